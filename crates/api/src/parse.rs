//! From a request body to a checked, still unresolved object: names are not yet identities.

use crate::ApiError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_model::{FqName, ObjectType, validate};

/// Fields of every object that are computed, and that a client may send back as it read them.
const COMPUTED: &[&str] = &["uuid", "fq_name", "name", "parent_type", "parent_uuid", "parent_href", "href"];

/// A reference as a client gives it: by identity, by name, or both.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefInput {
    pub(crate) uuid: Option<Uuid>,
    pub(crate) to: Option<FqName>,
    pub(crate) attr: Option<Value>,
}

/// The body of a create or an update.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) uuid: Option<Uuid>,
    pub(crate) fq_name: Option<FqName>,
    pub(crate) parent_type: Option<ObjectType>,
    pub(crate) parent_uuid: Option<Uuid>,
    /// `None`: the property is to be absent.
    pub(crate) props: BTreeMap<String, Option<Value>>,
    pub(crate) refs: BTreeMap<ObjectType, Vec<RefInput>>,
    /// The system itself writes, and not a client.
    pub(crate) system: bool,
}

/// Parses a JSON body; the error names line and column.
///
/// # Errors
/// 400 for anything that is not JSON or too deep.
pub fn json(bytes: &[u8]) -> Result<Value, ApiError> {
    crate::limits::check_depth(bytes)?;
    serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(format!("Malformed JSON body: {e}")))
}

/// A JSON body that must be an object.
pub(crate) fn json_object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match json(bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::bad_request("Malformed body: expected a JSON object")),
    }
}

/// Checks a body for an object type as far as that is possible without the store.
///
/// # Errors
/// 400 naming what is wrong.
pub fn check(object_type: ObjectType, bytes: &[u8]) -> Result<(), ApiError> {
    object(object_type, bytes).map(drop)
}

/// Parses the body of a create or an update: `{"<type>": {...}}`.
///
/// # Errors
/// 400 naming what is wrong.
pub(crate) fn object(object_type: ObjectType, bytes: &[u8]) -> Result<Input, ApiError> {
    let mut body = json_object(bytes)?;
    let inner = body.remove(object_type.name()).or_else(|| body.remove(object_type.json_name()));
    let Some(Value::Object(fields)) = inner else {
        return Err(ApiError::bad_request(format!(
            "Malformed body: expected {{\"{object_type}\": {{...}}}}"
        )));
    };
    let mut input = Input::default();
    for (name, value) in &fields {
        field(object_type, &mut input, name, value)?;
    }
    Ok(input)
}

fn field(object_type: ObjectType, input: &mut Input, name: &str, value: &Value) -> Result<(), ApiError> {
    match name {
        "uuid" => input.uuid = optional(value, |v| uuid(v, "uuid"))?,
        "parent_uuid" => input.parent_uuid = optional(value, |v| uuid(v, "parent_uuid"))?,
        "fq_name" => input.fq_name = optional(value, fq_name)?,
        "parent_type" => input.parent_type = optional(value, parent_type)?,
        _ if COMPUTED.contains(&name) => {}
        _ if object_type.info().prop(name).is_some() => {
            input.props.insert(name.to_owned(), validate::property(object_type, name, value)?);
        }
        _ => other_field(object_type, input, name, value)?,
    }
    Ok(())
}

/// References; back references and children are ignored, they belong to other objects.
fn other_field(
    object_type: ObjectType,
    input: &mut Input,
    name: &str,
    value: &Value,
) -> Result<(), ApiError> {
    let info = object_type.info();
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if name.ends_with("_back_refs") || info.children().any(|child| child.children_field() == name) {
        return Ok(());
    }
    let Some(to) = name.strip_suffix("_refs") else {
        if empty {
            return Ok(());
        }
        let name = name.chars().take(80).collect();
        return Err(weft_model::ModelError::UnknownProperty { object_type, name }.into());
    };
    let target = to.parse::<ObjectType>().ok().filter(|t| info.reference(*t).is_some());
    match target {
        Some(target) => {
            input.refs.insert(target, references(object_type, target, value)?);
            Ok(())
        }
        None if empty => Ok(()),
        None => Err(ApiError::bad_request(format!(
            "{object_type} may not have {}",
            name.chars().take(80).collect::<String>()
        ))),
    }
}

fn references(from: ObjectType, to: ObjectType, value: &Value) -> Result<Vec<RefInput>, ApiError> {
    let bad = || ApiError::bad_request(format!("{} must be a list of {{to, uuid, attr}}", to.refs_field()));
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        _ => return Err(bad()),
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let item = item.as_object().ok_or_else(bad)?;
        let get = |name: &str| item.get(name).unwrap_or(&Value::Null);
        let reference = RefInput {
            uuid: optional(get("uuid"), |v| uuid(v, to.refs_field()))?,
            to: optional(get("to"), fq_name)?,
            attr: validate::attribute(from, to, get("attr"))?,
        };
        if reference.uuid.is_none() && reference.to.is_none() {
            return Err(bad());
        }
        out.push(reference);
    }
    Ok(out)
}

/// A value that may be null.
pub(crate) fn optional<T>(
    value: &Value,
    parse: impl Fn(&Value) -> Result<T, ApiError>,
) -> Result<Option<T>, ApiError> {
    if value.is_null() { Ok(None) } else { parse(value).map(Some) }
}

/// A uuid in JSON; `what` names the field in the error.
pub(crate) fn uuid(value: &Value, what: &str) -> Result<Uuid, ApiError> {
    let parsed = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
    parsed.ok_or_else(|| ApiError::bad_request(format!("Invalid UUID format {} in {what}", shorten(value))))
}

/// A name: a list of texts.
pub(crate) fn fq_name(value: &Value) -> Result<FqName, ApiError> {
    let bad =
        || ApiError::bad_request(format!("Invalid fq_name {}: expected a list of strings", shorten(value)));
    let parts = value.as_array().ok_or_else(bad)?;
    let parts: Option<Vec<String>> = parts.iter().map(|p| p.as_str().map(str::to_owned)).collect();
    parts.map(FqName).ok_or_else(bad)
}

fn parent_type(value: &Value) -> Result<ObjectType, ApiError> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(|_| ApiError::bad_request(format!("Invalid parent type: {}", shorten(value))))
}

/// A value for an error message.
pub(crate) fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for object_type in ObjectType::ALL {
                let _ = check(*object_type, &bytes);
            }
        }

        #[test]
        fn any_fields_are_judged_without_panic(
            name in "[a-z_]{1,10}(_refs|_back_refs|s)?", text in "[\\[\\]{}\":,a-z0-9]{0,40}"
        ) {
            let body = format!("{{\"virtual-network\": {{\"{name}\": {text}}}}}");
            let _ = check(ObjectType::VirtualNetwork, body.as_bytes());
        }
    }

    #[test]
    fn what_belongs_to_other_objects_is_ignored() {
        let body = r#"{"virtual-network": {"fq_name": ["a", "b", "c"], "href": "x", "tag_refs": [],
            "instance_ip_back_refs": [{"uuid": "x"}], "access_control_lists": [{}], "routing_instances": null}}"#;
        assert_eq!(check(ObjectType::VirtualNetwork, body.as_bytes()), Ok(()));
    }
}
