//! Objects from files: YAML (several documents) or JSON, each document one object, a list of objects, or a map of them.
//!
//! An object is the body of a REST request, `{virtual-network: {fq_name: [...], ...}}`. Names may be written shorter than
//! REST wants them, and are completed here: `fq_name: a:b:c`, references as `a:b:c` or `[a, b, c]`, and the parent's type
//! left out where the length of the name tells it.

use serde_json::{Map, Value, json};
use weft_model::ObjectType;

use crate::{ClientError, api};

/// One object as REST wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its type.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its fields, names completed; without the wrapper.
    pub fields: Map<String, Value>,
}

impl Document {
    /// The name as one word, `a:b:c`.
    pub fn name(&self) -> String {
        self.fq_name.join(":")
    }
}

/// Reads all objects of a text; `place` names it in errors.
///
/// # Errors
/// Syntax errors with line and column, unknown types, missing or malformed names.
pub fn parse(text: &str, place: &str) -> Result<Vec<Document>, ClientError> {
    // Only `true` and `false` are booleans: `y`, `no` and `on` are fine names.
    let options = serde_saphyr::options! { strict_booleans: true };
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|e| ClientError::Document { place: place.to_owned(), reason: e.to_string() })?;
    let mut documents = Vec::new();
    for value in values {
        match value {
            Value::Array(items) => {
                for item in items {
                    collect(item, place, &mut documents)?;
                }
            }
            Value::Null => {}
            other => collect(other, place, &mut documents)?,
        }
    }
    Ok(documents)
}

fn collect(value: Value, place: &str, into: &mut Vec<Document>) -> Result<(), ClientError> {
    let Value::Object(map) = value else {
        return Err(bad(
            place,
            format!("{value} is no object: write {{virtual-network: {{fq_name: [...]}}}}"),
        ));
    };
    into.extend(from_map(map).map_err(|e| match e {
        ClientError::Document { place: at, reason } => bad(&format!("{place}: {at}"), reason),
        other => bad(place, other.to_string()),
    })?);
    Ok(())
}

/// The objects of one `{type: {...}}` map.
///
/// # Errors
/// Unknown types, missing or malformed names.
pub fn from_map(map: Map<String, Value>) -> Result<Vec<Document>, ClientError> {
    map.into_iter()
        .map(|(type_name, body)| {
            let kind = api::object_type(&type_name)?;
            let Value::Object(fields) = body else {
                return Err(bad(&type_name, "the object's fields are missing".into()));
            };
            complete(kind, fields)
        })
        .collect()
}

fn complete(kind: ObjectType, mut fields: Map<String, Value>) -> Result<Document, ClientError> {
    let fq_name = fields
        .get("fq_name")
        .and_then(|value| names(value, kind))
        .ok_or_else(|| bad(kind.name(), "fq_name is missing: write [a, b, c] or a:b:c".into()))?;
    let place = format!("{} {}", kind.name(), fq_name.join(":"));
    fields.insert("fq_name".into(), json!(fq_name));
    if !fields.contains_key("parent_type")
        && let Some(parent) = parent_of(kind, fq_name.len())
    {
        fields.insert("parent_type".into(), json!(parent.name()));
    }
    for (field, value) in &mut fields {
        if let Some(target) = field.strip_suffix("_refs") {
            let target = target.parse().unwrap_or(kind);
            complete_refs(value, target).ok_or_else(|| {
                bad(&place, format!("{field}: a reference is a:b:c, [a, b, c] or {{to: ..}}"))
            })?;
        }
    }
    Ok(Document { kind, fq_name, fields })
}

/// The one legal parent type whose names are one part shorter; none for root types or when several fit.
fn parent_of(kind: ObjectType, parts: usize) -> Option<ObjectType> {
    let mut fits = kind.info().parents.iter().copied().filter(|p| depth(*p) + 1 == parts && depth(*p) > 0);
    fits.next().filter(|_| fits.next().is_none())
}

/// Number of parts in the names of a type's objects: 0 for the root itself.
fn depth(kind: ObjectType) -> usize {
    if kind == ObjectType::ConfigRoot {
        return 0;
    }
    kind.info().parents.iter().map(|p| depth(*p)).min().unwrap_or(0) + 1
}

/// The parts of a name; a route target's name is one part with colons in it.
fn names(value: &Value, kind: ObjectType) -> Option<Vec<String>> {
    match value {
        Value::String(text) if kind == ObjectType::RouteTarget => Some(vec![text.clone()]),
        Value::String(text) => Some(text.split(':').map(str::to_owned).collect()),
        Value::Array(parts) => parts.iter().map(|p| p.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
    .filter(|parts: &Vec<String>| !parts.is_empty() && parts.iter().all(|p| !p.is_empty()))
}

fn complete_refs(value: &mut Value, kind: ObjectType) -> Option<()> {
    if let Value::String(_) = value {
        *value = json!([value]);
    }
    if value.is_null() {
        return Some(());
    }
    for item in value.as_array_mut()? {
        match item {
            Value::Object(map) => {
                if let Some(to) = map.get("to") {
                    let to = names(to, kind)?;
                    map.insert("to".into(), json!(to));
                }
            }
            other => *other = json!({"to": names(other, kind)?}),
        }
    }
    Some(())
}

fn bad(place: &str, reason: String) -> ClientError {
    ClientError::Document { place: place.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed() {
        let text = "virtual-network:\n  fq_name: d:p:n\n  network_ipam_refs: [d:p:i]\n  network_policy_refs: [{to: d:p:x, attr: {}}, [d, p, y]]\n---\n- project: {fq_name: [d, p]}\n";
        let found = parse(text, "t").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].fields["parent_type"], "project");
        assert_eq!(found[0].fields["network_ipam_refs"], json!([{"to": ["d", "p", "i"]}]));
        assert_eq!(
            found[0].fields["network_policy_refs"],
            json!([{"to": ["d", "p", "x"], "attr": {}}, {"to": ["d", "p", "y"]}])
        );
        assert_eq!(found[1].fields["parent_type"], "domain");
    }

    #[test]
    fn json_is_read_too() {
        let found = parse(r#"{"project": {"fq_name": ["d", "p"]}}"#, "t").unwrap();
        assert_eq!(found[0].name(), "d:p");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("virtual-netwrk: {fq_name: a:b:c}", "virtual-netwrk"),
            ("project: {}", "fq_name is missing"),
            ("project: {fq_name: 3}", "fq_name is missing"),
            ("virtual-network: {fq_name: a:b:c, network_ipam_refs: [7]}", "network_ipam_refs"),
            ("- just text", "is no object"),
            ("a: [1", "line 1"),
        ] {
            let message = parse(text, "file.yaml").unwrap_err().to_string();
            assert!(message.contains(words) && message.starts_with("file.yaml"), "{text}: {message}");
        }
    }
}
