//! The two ends of `weft edit`: what of an object is given to the editor, and what a user changed in it.

use serde_json::{Map, Value, json};
use weft_model::ObjectType;

use crate::documents::Document;
use crate::source::Mistake;
use crate::{check, plan, unified};

/// The fields that the user changed: what was taken out is to be absent.
///
/// # Errors
/// When type or name were changed: that would be another object.
pub fn changes(
    kind: ObjectType,
    original: &Value,
    edited: &Document,
) -> Result<Map<String, Value>, Vec<Mistake>> {
    let shown = unified::written(kind, original);
    let named =
        |field: &str| edited.fields.get(field).is_none_or(|v| v.is_null() || shown.get(field) == Some(v));
    if edited.kind != kind || !named("fq_name") {
        let text = format!(
            "an object's type and name cannot be changed, this is {kind} {}",
            original_name(original)
        );
        let origin = edited.origin.as_ref();
        return Err(origin.map(|o| vec![o.mistake_at_key("fq_name", text)]).unwrap_or_default());
    }
    let mut changed = Map::new();
    for (name, value) in &edited.fields {
        if plan::is_written(kind, name) && shown.get(name) != Some(value) {
            changed.insert(name.clone(), value.clone());
        }
    }
    for name in shown.as_object().into_iter().flat_map(Map::keys) {
        if plan::is_written(kind, name) && !edited.fields.contains_key(name) {
            changed.insert(
                name.clone(),
                if check::target(kind, name).is_some() { json!([]) } else { Value::Null },
            );
        }
    }
    Ok(changed)
}

/// The fields that others changed since.
pub fn changed_meanwhile(kind: ObjectType, then: &Value, now: &Value) -> Vec<String> {
    let (then, now) = (unified::written(kind, then), unified::written(kind, now));
    let empty = Map::new();
    let (then, now) = (then.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let mut names: Vec<String> =
        then.keys().chain(now.keys()).filter(|name| then.get(*name) != now.get(*name)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn original_name(object: &Value) -> String {
    crate::api::fq_name_of(object).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;

    fn original() -> Value {
        json!({"uuid": "u", "fq_name": ["d", "p", "n"], "parent_type": "project", "is_shared": false, "mtu": 1500,
            "network_policy_refs": [{"to": ["d", "p", "x"], "uuid": "1", "href": "h", "attr": null}],
            "id_perms": {"enable": true, "last_modified": "1"}, "instance_ip_back_refs": []})
    }

    #[test]
    fn only_what_was_edited_is_changed() {
        let kind = ObjectType::VirtualNetwork;
        let text = unified::yaml(kind, &original()).unwrap();
        let same = parse(&text, "t").unwrap().remove(0);
        assert_eq!(changes(kind, &original(), &same).unwrap(), Map::new());
        let text = "virtual-network:\n  fq_name: d:p:n\n  is_shared: true\n  id_perms: {enable: true}\n";
        let edited = parse(text, "t").unwrap().remove(0);
        let found = changes(kind, &original(), &edited).unwrap();
        assert_eq!(Value::Object(found), json!({"is_shared": true, "mtu": null, "network_policy_refs": []}));
        let other = parse("virtual-network: {fq_name: d:p:m}", "t").unwrap().remove(0);
        assert!(changes(kind, &original(), &other).unwrap_err()[0].text.contains("cannot be changed"));
    }

    #[test]
    fn changes_of_others_are_noticed() {
        let kind = ObjectType::VirtualNetwork;
        let mut now = original();
        now["id_perms"]["last_modified"] = "2".into();
        assert!(changed_meanwhile(kind, &original(), &now).is_empty());
        now["mtu"] = 9000.into();
        now["display_name"] = "x".into();
        assert_eq!(changed_meanwhile(kind, &original(), &now), ["display_name", "mtu"]);
    }
}
