//! Checks an object of a file against the declarations of the model, before any server is asked: all mistakes at once.

use serde_json::{Map, Value};
use weft_model::schema::{StructInfo, ValueType};
use weft_model::{ModelError, ObjectType, validate};

use crate::suggest::did_you_mean;

/// Fields of every object that name it rather than describe it, or that the server computes.
pub(crate) const IDENTITY: [&str; 8] =
    ["fq_name", "uuid", "parent_type", "parent_uuid", "parent_href", "href", "name", "parent_fq_name"];

/// Something wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path of the field, `a.b[0].c`.
    pub(crate) path: String,
    /// What is wrong; names field and value.
    pub(crate) text: String,
    /// The name of the field is wrong, not its value.
    pub(crate) key: bool,
}

/// All that is wrong with the fields of an object; names are complete already.
pub(crate) fn object(kind: ObjectType, fields: &Map<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    parent(kind, fields, &mut faults);
    for (name, field) in fields {
        if kind.info().prop(name).is_some() {
            property(kind, name, field, &mut faults);
        } else if !IDENTITY.contains(&name.as_str()) && !belongs_to_others(kind, name) {
            other(kind, name, field, &mut faults);
        }
    }
    faults
}

/// Whether a field shows other objects: back references and children, which a server ignores.
pub(crate) fn belongs_to_others(kind: ObjectType, name: &str) -> bool {
    name.ends_with("_back_refs") || kind.info().children().any(|child| child.children_field() == name)
}

/// The type that a field of references refers to.
pub(crate) fn target(kind: ObjectType, field: &str) -> Option<ObjectType> {
    kind.info().refs.iter().map(|r| r.to).find(|to| to.refs_field() == field)
}

fn parent(kind: ObjectType, fields: &Map<String, Value>, faults: &mut Vec<Fault>) {
    let Some(given) = fields.get("parent_type").filter(|p| !p.is_null()) else { return };
    let legal = kind.info().parents;
    let word = given.as_str().unwrap_or_default();
    let parsed = word.parse::<ObjectType>().ok();
    if parsed.is_some_and(|p| p == ObjectType::ConfigRoot || legal.contains(&p)) {
        return;
    }
    let names: Vec<&str> = legal.iter().map(|p| p.name()).collect();
    let list = if names.is_empty() { "nothing".to_owned() } else { names.join(" or ") };
    let text = format!("invalid value {given} for parent_type: {kind} may be under {list}");
    faults.push(Fault { path: "parent_type".into(), text, key: false });
}

fn property(kind: ObjectType, name: &str, field: &Value, faults: &mut Vec<Fault>) {
    let before = faults.len();
    let Some(info) = kind.info().prop(name) else { return };
    value(&info.value, field, name, faults);
    if faults.len() == before
        && let Err(e) = validate::property(kind, name, field)
    {
        faults.push(fault(name, &e));
    }
}

/// References, and names that mean nothing.
fn other(kind: ObjectType, name: &str, field: &Value, faults: &mut Vec<Fault>) {
    if let Some(to) = target(kind, name) {
        return references(kind, to, field, faults);
    }
    let empty = field.is_null() || field.as_array().is_some_and(Vec::is_empty);
    if empty && name.ends_with("_refs") {
        return;
    }
    let info = kind.info();
    let known = info.all_props().map(|p| p.name).chain(info.refs.iter().map(|r| r.to.refs_field()));
    let known = known.chain(["fq_name", "uuid", "parent_type"]);
    let text = format!("{kind} has no field {name}{}", did_you_mean(name, known));
    faults.push(Fault { path: name.to_owned(), text, key: true });
}

fn references(kind: ObjectType, to: ObjectType, field: &Value, faults: &mut Vec<Fault>) {
    let Some(info) = kind.info().reference(to) else { return };
    for (index, item) in field.as_array().into_iter().flatten().enumerate() {
        let path = format!("{}[{index}]", to.refs_field());
        for key in item.as_object().into_iter().flat_map(Map::keys) {
            let known = ["to", "uuid", "attr", "href"];
            if !known.contains(&key.as_str()) {
                let text = format!("a reference has no field {key}{} (at {path})", did_you_mean(key, known));
                faults.push(Fault { path: format!("{path}.{key}"), text, key: true });
            }
        }
        let attr = item.get("attr").unwrap_or(&Value::Null);
        if let Some(structure) = info.attr {
            value(&ValueType::Struct(structure), attr, &format!("{path}.attr"), faults);
        }
    }
}

fn value(expected: &ValueType, given: &Value, path: &str, faults: &mut Vec<Fault>) {
    match (expected, given) {
        (_, Value::Null) => {}
        (ValueType::Struct(info), Value::Object(fields)) => structure(info, given, fields, path, faults),
        (ValueType::List(item), Value::Array(items)) => {
            for (index, element) in items.iter().enumerate() {
                value(item, element, &format!("{path}[{index}]"), faults);
            }
        }
        // The existing system takes a single value for a list of one.
        (ValueType::List(item), single) => value(item, single, path, faults),
        _ => faults.extend(validate::value(expected, given, path).err().map(|e| fault(path, &e))),
    }
}

fn structure(
    info: &'static StructInfo,
    given: &Value,
    fields: &Map<String, Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    let before = faults.len();
    for (name, field) in fields {
        let below = format!("{path}.{name}");
        match info.field(name) {
            Some(known) => value(&known.value, field, &below, faults),
            None => {
                let hint = did_you_mean(name, info.fields.iter().map(|f| f.name));
                let text = format!("class {} does not have field {name} (at {path}){hint}", info.name);
                faults.push(Fault { path: below, text, key: true });
            }
        }
    }
    // What the fields are to each other can only be judged when each is right.
    if faults.len() == before && info.normalize.is_some() {
        let whole = validate::value(&ValueType::Struct(info), given, path);
        faults.extend(whole.err().map(|e| fault(path, &e)));
    }
}

fn fault(path: &str, error: &ModelError) -> Fault {
    let path = match error {
        ModelError::Value { path, .. } => path.clone(),
        _ => path.to_owned(),
    };
    Fault { path, text: error.to_string(), key: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(body: Value) -> Vec<Fault> {
        object(ObjectType::VirtualNetwork, body.as_object().unwrap())
    }

    #[test]
    fn all_mistakes_are_found_and_named() {
        let found = faults(json!({
            "fq_name": ["a", "b", "c"], "parent_type": "virtual-machine", "is_sharde": true, "mac_aging_time": -5,
            "virtual_network_properties": {"rpf": "off", "forwarding_moed": "l2"},
            "network_policy_refs": [{"to": ["a", "b", "c"], "attr": {"sequence": {"major": "x"}}, "atr": 1}],
            "network_ipam_back_refs": [3], "access_control_lists": [4],
        }));
        let paths: Vec<&str> = found.iter().map(|f| f.path.as_str()).collect();
        let expected = [
            "parent_type",
            "is_sharde",
            "mac_aging_time",
            "network_policy_refs[0].atr",
            "network_policy_refs[0].attr.sequence.major",
            "virtual_network_properties.forwarding_moed",
            "virtual_network_properties.rpf",
        ];
        assert_eq!(paths, expected);
        assert!(found[1].text.contains("did you mean is_shared?"), "{}", found[1].text);
        assert!(found[2].text.contains("-5"), "{}", found[2].text);
        assert!(found[5].text.contains("did you mean forwarding_mode?"), "{}", found[5].text);
    }

    #[test]
    fn what_a_server_takes_is_no_mistake() {
        let fine = json!({"fq_name": ["a", "b", "c"], "uuid": null, "href": "x", "tag_refs": [], "display_name": null,
            "mac_aging_time": "300", "id_perms": {"enable": true},
            "route_target_list": {"route_target": "target:64512:7"}});
        assert_eq!(faults(fine), []);
    }
}
