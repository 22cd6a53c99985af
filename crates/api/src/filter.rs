//! `filters=key==json,key2==json`: the same key repeated means "or", different keys mean "and".

use crate::http::Query;
use crate::{ApiError, render};
use serde_json::Value;
use std::collections::BTreeMap;
use weft_model::{Object, ObjectType, validate};

/// Filters of one listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filters(BTreeMap<String, Vec<Value>>);

impl Filters {
    /// Reads the filters of a query.
    ///
    /// # Errors
    /// 400 for a filter without `==` or for a field that objects of this type do not have.
    pub(crate) fn parse(object_type: ObjectType, query: &Query) -> Result<Self, ApiError> {
        let mut out: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (_, text) in query.0.iter().filter(|(key, _)| key == "filters") {
            for item in split(text) {
                let (key, value) = parse_one(item)?;
                if !known(object_type, key) {
                    return Err(ApiError::bad_request(format!(
                        "Invalid filter: {object_type} has no field {key}"
                    )));
                }
                out.entry(key.to_owned()).or_default().push(stored_form(object_type, key, value));
            }
        }
        Ok(Self(out))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the object passes.
    pub(crate) fn accept(&self, object: &Object) -> bool {
        self.0.iter().all(|(key, wanted)| {
            let actual = field(object, key);
            wanted.iter().any(|wanted| equal(actual.as_ref(), wanted))
        })
    }
}

fn known(object_type: ObjectType, key: &str) -> bool {
    matches!(key, "uuid" | "name" | "fq_name" | "parent_type" | "parent_uuid")
        || object_type.info().prop(key).is_some()
}

fn parse_one(item: &str) -> Result<(&str, Value), ApiError> {
    let bad = || {
        ApiError::bad_request(format!(
            "Invalid filter {:?}: expected field==value",
            item.chars().take(80).collect::<String>()
        ))
    };
    let (key, value) = item.split_once("==").ok_or_else(bad)?;
    // What is not JSON is taken as text, as the existing system does.
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.trim().to_owned()));
    Ok((key.trim(), value))
}

/// The value as it would be stored, so that nulls and number texts do not matter.
fn stored_form(object_type: ObjectType, key: &str, value: Value) -> Value {
    match validate::property(object_type, key, &value) {
        Ok(Some(stored)) => stored,
        _ => value,
    }
}

fn field(object: &Object, key: &str) -> Option<Value> {
    match key {
        "uuid" => Some(object.uuid.to_string().into()),
        "name" => Some(object.fq_name.last().into()),
        "fq_name" => serde_json::to_value(&object.fq_name).ok(),
        "parent_type" => object.parent.map(|(t, _)| t.name().into()),
        "parent_uuid" => object.parent.map(|(_, uuid)| uuid.to_string().into()),
        "display_name" => Some(render::display_name(object)),
        "id_perms" => Some(render::id_perms(object)),
        "perms2" => Some(render::perms2(object)),
        _ => {
            let default = || object.object_type.info().prop(key).and_then(|p| p.default_value());
            object.props.get(key).cloned().or_else(default)
        }
    }
}

fn equal(actual: Option<&Value>, wanted: &Value) -> bool {
    match (actual, wanted) {
        (None, wanted) => wanted.is_null(),
        (Some(Value::String(actual)), Value::String(wanted)) => actual == wanted,
        // display_name==123 means the text
        (Some(Value::String(actual)), wanted) => {
            let text = wanted.to_string();
            *actual == text
        }
        (Some(actual), wanted) => actual == wanted,
    }
}

/// Splits at commas that are not inside a JSON string, list or object.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0usize, false, false, 0usize);
    let mut out = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out.retain(|item| !item.trim().is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_values_do_not_split() {
        let text = r#"display_name=="a,b",fq_name==["x","y"],is_shared==true"#;
        assert_eq!(split(text), [r#"display_name=="a,b""#, r#"fq_name==["x","y"]"#, "is_shared==true"]);
    }

    #[test]
    fn bad_filters_are_refused_and_or_works() {
        let query = |text: &str| Query(vec![("filters".into(), text.into())]);
        let vn = ObjectType::VirtualNetwork;
        assert!(Filters::parse(vn, &query("display_name")).is_err());
        assert!(Filters::parse(vn, &query("nonsense==1")).is_err());
        let filters =
            Filters::parse(vn, &query("display_name==a,display_name==\"b\",is_shared==null")).unwrap();
        let object = Object::new(vn, uuid::Uuid::nil(), "d:p:b".into());
        assert!(filters.accept(&object));
        let other = Object::new(vn, uuid::Uuid::nil(), "d:p:c".into());
        assert!(!filters.accept(&other));
    }

    proptest::proptest! {
        #[test]
        fn any_filter_text_is_answered(text in ".{0,60}") {
            let _ = Filters::parse(ObjectType::VirtualNetwork, &Query(vec![("filters".into(), text)]));
        }
    }
}
