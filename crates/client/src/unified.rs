//! Differences between objects as people read them: unified, of their YAML.

use serde_json::{Map, Value};
use similar::TextDiff;
use weft_model::ObjectType;

use crate::plan::{self, Step};
use crate::{ClientError, check};

/// Lines around a difference.
const AROUND: usize = 3;

/// An object as a user writes it: without what the server computes, what other objects say, and links.
pub fn written(kind: ObjectType, object: &Value) -> Value {
    let mut shown = Map::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let named = ["fq_name", "parent_type"].contains(&name.as_str());
        if value.is_null() || !(named || plan::is_written(kind, name)) {
            continue;
        }
        shown.insert(name.clone(), tidy(kind, name, value));
    }
    Value::Object(shown)
}

fn tidy(kind: ObjectType, name: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if check::target(kind, name).is_some() {
        for item in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            item.remove("href");
            if item.get("attr").is_some_and(Value::is_null) {
                item.remove("attr");
            }
            if item.contains_key("to") {
                item.remove("uuid");
            }
        }
    }
    if let ("id_perms", Some(perms)) = (name, value.as_object_mut()) {
        perms.retain(|key, v| !v.is_null() && !["uuid", "created", "last_modified"].contains(&key.as_str()));
    }
    value
}

/// An object as a document for `weft apply`.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn yaml(kind: ObjectType, object: &Value) -> Result<String, ClientError> {
    let wrapped = serde_json::json!({ kind.name(): written(kind, object) });
    serde_saphyr::to_string(&wrapped)
        .map_err(|e| ClientError::Answer { path: kind.name().to_owned(), reason: e.to_string() })
}

/// The unified difference that a step makes; empty when it makes none.
///
/// # Errors
/// As [`yaml`].
pub fn step(step: &Step) -> Result<String, ClientError> {
    let text = |object: Option<&Value>| object.map_or(Ok(String::new()), |o| yaml(step.kind, o));
    let (before, after) = (text(step.before.as_ref())?, text(step.after().as_ref())?);
    let title = step.title();
    let name = |exists: bool, side| if exists { format!("{title} ({side})") } else { "/dev/null".to_owned() };
    let (old, new) = (name(step.before.is_some(), "server"), name(step.after().is_some(), "files"));
    Ok(TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(AROUND)
        .header(&old, &new)
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;
    use crate::plan::{Options, decide};
    use serde_json::json;

    #[test]
    fn a_change_is_shown_in_its_surroundings() {
        let text = "virtual-network: {fq_name: d:p:n, is_shared: true}";
        let present = json!({"uuid": "u", "href": "h", "fq_name": ["d", "p", "n"], "is_shared": false, "mac_aging_time": 300,
            "id_perms": {"created": "now", "enable": true}, "instance_ip_back_refs": [{}],
            "network_policy_refs": [{"to": ["d", "p", "x"], "uuid": "1", "href": "h", "attr": null}]});
        let document = parse(text, "t").unwrap().remove(0);
        let found = decide(document, Some(&present), &Options::default()).unwrap();
        let shown = step(&found).unwrap();
        assert!(
            shown.starts_with("--- virtual-network d:p:n (server)\n+++ virtual-network d:p:n (files)\n"),
            "{shown}"
        );
        assert!(shown.contains("\n-  is_shared: false\n+  is_shared: true\n"), "{shown}");
        for hidden in ["href", "created", "uuid", "attr", "back_refs"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
    }
}
