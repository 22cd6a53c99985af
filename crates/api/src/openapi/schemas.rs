//! Schemas of the object types, their structures and what all objects have in common.

use super::schema;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use weft_model::schema::PropInfo;
use weft_model::{ObjectType, PropKind, RefInfo, StructInfo, TypeInfo, ValueType};

/// Object types as the document lists them: by name.
pub(super) fn types() -> impl Iterator<Item = ObjectType> {
    let by_name: BTreeMap<&str, ObjectType> = ObjectType::ALL.iter().map(|t| (t.name(), *t)).collect();
    by_name.into_values()
}

/// All schemas by name: structures under the name of the existing system's schema, objects under their type's.
pub(super) fn all() -> Map<String, Value> {
    let mut structures = BTreeMap::new();
    let mut out = common();
    for object_type in types() {
        let info = object_type.info();
        info.all_props().for_each(|prop| collect(&prop.value, &mut structures));
        let attributes = info.refs.iter().filter_map(|reference| reference.attr);
        attributes.for_each(|attr| collect(&ValueType::Struct(attr), &mut structures));
        out.insert(object_type.name().to_owned(), object(info));
    }
    out.extend(structures.into_iter().map(|(name, info)| (name.to_owned(), structure(info))));
    out
}

/// Notes a structure and those inside it.
fn collect(value: &ValueType, out: &mut BTreeMap<&'static str, &'static StructInfo>) {
    match value {
        ValueType::List(item) => collect(item, out),
        ValueType::Struct(info) if out.insert(info.name, info).is_none() => {
            info.fields.iter().for_each(|field| collect(&field.value, out));
        }
        _ => {}
    }
}

/// Names, identities, links.
fn common() -> Map<String, Value> {
    let entries = [
        ("Uuid", json!({"type": "string", "format": "uuid"})),
        (
            "FqName",
            json!({"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
                   "description": "Fully qualified name: the parent's, then the object's own."}),
        ),
        ("Link", link()),
        (
            "Reference",
            json!({"type": "object",
                   "description": "A reference: `uuid` or `to` must be given.",
                   "anyOf": [{"required": ["to"]}, {"required": ["uuid"]}],
                   "properties": {"to": schema("FqName"), "uuid": schema("Uuid"),
                                  "href": {"type": "string", "readOnly": true}}}),
        ),
        (
            "Summary",
            json!({"type": "object", "required": ["uuid", "fq_name"],
                   "properties": {"uuid": schema("Uuid"), "fq_name": schema("FqName"), "href": {"type": "string"}}}),
        ),
        ("Error", json!({"type": "string", "description": "What is wrong, naming field and value."})),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn link() -> Value {
    json!({"type": "object", "required": ["to", "uuid"],
           "description": "An object that is a child of this one or refers to it.",
           "properties": {"to": schema("FqName"), "uuid": schema("Uuid"), "href": {"type": "string"}, "attr": {}}})
}

/// One value.
fn value(value: &ValueType) -> Value {
    match value {
        ValueType::Bool => json!({"type": "boolean"}),
        ValueType::Int { min: i64::MIN, max: i64::MAX } => json!({"type": "integer", "format": "int64"}),
        ValueType::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        ValueType::Unsigned => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
        ValueType::Text => json!({"type": "string"}),
        ValueType::Enum(words) => json!({"type": "string", "enum": words}),
        ValueType::Address => {
            json!({"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}, {"const": ""}]})
        }
        ValueType::Struct(info) => schema(info.name),
        ValueType::List(item) => json!({"type": "array", "items": self::value(item)}),
    }
}

/// As [`value`], or null, which is the same as absent.
fn nullable(of: &ValueType) -> Value {
    let mut out = value(of);
    match (out.get("type").cloned(), out.get_mut("enum").and_then(Value::as_array_mut)) {
        (Some(Value::String(name)), words) => {
            words.into_iter().for_each(|words| words.push(Value::Null));
            out["type"] = json!([name, "null"]);
            out
        }
        _ => json!({"anyOf": [out, {"type": "null"}]}),
    }
}

fn structure(info: &StructInfo) -> Value {
    let fields: Map<String, Value> =
        info.fields.iter().map(|field| (field.name.to_owned(), nullable(&field.value))).collect();
    json!({"type": "object", "properties": fields, "additionalProperties": false})
}

/// A property, with what the page and clients want to know beside its type.
fn property(prop: &PropInfo) -> Value {
    let mut out = nullable(&prop.value);
    if let Some(default) = prop.default_value() {
        out["default"] = default;
    }
    match prop.kind {
        PropKind::Scalar => {}
        PropKind::List { field } => out["x-weft-list"] = field.into(),
        PropKind::Map { field, key } => {
            out["x-weft-map"] = json!({"field": field, "key": key});
        }
    }
    out
}

fn references(reference: &RefInfo) -> Value {
    let attr = match reference.attr {
        Some(info) => json!({"anyOf": [schema(info.name), {"type": "null"}]}),
        None => {
            json!({"type": ["object", "null"], "description": "Not used: links to this type carry nothing."})
        }
    };
    let item = json!({"allOf": [schema("Reference")], "properties": {"attr": attr}});
    let mut out = json!({"type": ["array", "null"], "items": item, "x-weft-to": reference.to.name()});
    if let Some(info) = reference.attr {
        out["x-weft-attribute"] = info.name.into();
    }
    if reference.system {
        out["readOnly"] = true.into();
    }
    out
}

/// An object of a type, as it is read and (without what is read-only) written.
fn object(info: &TypeInfo) -> Value {
    let mut properties = head(info);
    for prop in info.all_props().filter(|p| !p.system) {
        properties.insert(prop.name.into(), property(prop));
    }
    for reference in info.refs {
        properties.insert(reference.to.refs_field().into(), references(reference));
    }
    let links =
        |what: &str| json!({"type": "array", "items": schema("Link"), "readOnly": true, "description": what});
    for child in info.children() {
        properties.insert(child.children_field().into(), links("Children."));
    }
    for from in info.referrers() {
        properties.insert(from.back_refs_field().into(), links("What refers to this object."));
    }
    let parents: Vec<&str> = info.parents.iter().map(|p| p.name()).collect();
    let mut out = json!({"type": "object", "properties": properties, "x-weft-parents": parents});
    if info.derived {
        out["x-weft-derived"] = true.into();
        out["description"] = "Made by the compiler from other objects; read-only.".into();
    }
    out
}

/// Identity, name and parent.
fn head(info: &TypeInfo) -> Map<String, Value> {
    let mut out = Map::new();
    let mut add = |name: &str, value: Value| out.insert(name.to_owned(), value);
    let optional = |name: &str| json!({"anyOf": [schema(name), {"type": "null"}]});
    let computed = || json!({"type": "string", "readOnly": true});
    add("uuid", optional("Uuid"));
    add("fq_name", schema("FqName"));
    add("name", computed());
    add("href", computed());
    if !info.parents.is_empty() {
        let names: Vec<Value> = info.parents.iter().map(|p| p.name().into()).chain([Value::Null]).collect();
        add(
            "parent_type",
            json!({"type": ["string", "null"], "enum": names,
            "description": "May be left out where only one type can be the parent."}),
        );
        add("parent_uuid", optional("Uuid"));
        add("parent_href", computed());
    }
    out
}
