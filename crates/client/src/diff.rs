//! The difference between what an object has and what is wanted of it.
//!
//! Wanted values are compared as far as they go: a server adds fields of its own inside structures (identifiers,
//! defaults), which are no difference. Lists are compared by length and position.

use serde_json::Value;

/// One differing place: a path like `virtual_network_properties.rpf`, and both values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
}

/// Appends every place where `wanted` is not met by `present`.
pub(crate) fn compare(path: &str, present: Option<&Value>, wanted: &Value, into: &mut Vec<Difference>) {
    match (present, wanted) {
        (None | Some(Value::Null), wanted) if is_empty(wanted) => {}
        (Some(Value::Object(have)), Value::Object(want)) => {
            for (key, value) in want {
                compare(&format!("{path}.{key}"), have.get(key), value, into);
            }
        }
        (Some(Value::Array(have)), Value::Array(want)) => compare_lists(path, have, want, into),
        (Some(have), want) if scalar_equal(have, want) => {}
        (have, want) => into.push(Difference {
            path: path.to_owned(),
            old: have.filter(|v| !v.is_null()).cloned(),
            new: Some(want.clone()).filter(|v| !v.is_null()),
        }),
    }
}

fn compare_lists(path: &str, have: &[Value], want: &[Value], into: &mut Vec<Difference>) {
    for (index, value) in want.iter().enumerate() {
        compare(&format!("{path}[{index}]"), have.get(index), value, into);
    }
    for (index, value) in have.iter().enumerate().skip(want.len()) {
        into.push(Difference { path: format!("{path}[{index}]"), old: Some(value.clone()), new: None });
    }
}

/// References are a set: each is compared with the one of the same name, and those not wanted are differences.
pub(crate) fn compare_refs(path: &str, present: Option<&Value>, wanted: &Value, into: &mut Vec<Difference>) {
    let empty = Vec::new();
    let have = present.and_then(Value::as_array).unwrap_or(&empty);
    let want = wanted.as_array().unwrap_or(&empty);
    for item in want {
        let found = have.iter().find(|h| same_target(h, item));
        let place = format!("{path}[{}]", label(item));
        match found {
            None => into.push(Difference { path: place, old: None, new: Some(item.clone()) }),
            Some(found) => {
                let attr = item.get("attr").unwrap_or(&Value::Null);
                compare(&format!("{place}.attr"), found.get("attr"), attr, into);
            }
        }
    }
    for item in have.iter().filter(|h| !want.iter().any(|w| same_target(h, w))) {
        into.push(Difference {
            path: format!("{path}[{}]", label(item)),
            old: Some(item.clone()),
            new: None,
        });
    }
}

/// What an object has after it was brought to what is wanted of it: what the server added stays, `null` takes away.
/// An element of a list that is there already, wherever, is taken as it is, so that its identifiers stay its own.
pub(crate) fn merge(present: Option<&Value>, wanted: &Value) -> Value {
    match (present, wanted) {
        (Some(Value::Object(have)), Value::Object(want)) => {
            let mut merged = have.clone();
            for (key, value) in want {
                match value {
                    Value::Null => drop(merged.remove(key)),
                    value => drop(merged.insert(key.clone(), merge(have.get(key), value))),
                }
            }
            Value::Object(merged)
        }
        (Some(Value::Array(have)), Value::Array(want)) => {
            let mut left: Vec<&Value> = have.iter().collect();
            let mut take = |value: &Value| match left.iter().position(|p| satisfied(p, value)) {
                Some(found) => left.remove(found).clone(),
                None => value.clone(),
            };
            Value::Array(want.iter().map(&mut take).collect())
        }
        (Some(have), want) if scalar_equal(have, want) => have.clone(),
        (_, want) => want.clone(),
    }
}

/// The same for a list of references.
pub(crate) fn merge_refs(present: Option<&Value>, wanted: &Value) -> Value {
    let have = present.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let items = wanted.as_array().into_iter().flatten().map(|item| {
        let found = have.iter().find(|h| same_target(h, item));
        match (found, item.get("attr")) {
            (Some(found), Some(attr)) => {
                let mut merged = found.clone();
                merged["attr"] = merge(found.get("attr"), attr);
                merged
            }
            (Some(found), None) => found.clone(),
            (None, _) => item.clone(),
        }
    });
    Value::Array(items.collect())
}

fn satisfied(present: &Value, wanted: &Value) -> bool {
    let mut differences = Vec::new();
    compare("", Some(present), wanted, &mut differences);
    differences.is_empty()
}

fn same_target(a: &Value, b: &Value) -> bool {
    let same = |key: &str| a.get(key).is_some_and(|v| !v.is_null() && b.get(key) == Some(v));
    same("uuid") || same("to")
}

fn label(item: &Value) -> String {
    match item.get("to").and_then(Value::as_array) {
        Some(parts) => parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(":"),
        None => item.get("uuid").and_then(Value::as_str).unwrap_or("?").to_owned(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

/// Servers keep some numbers as text and the reverse; `5` and `"5"` are the same wish.
fn scalar_equal(a: &Value, b: &Value) -> bool {
    let text = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    a == b || (text(a).is_some() && text(a) == text(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(present: Value, wanted: Value) -> Vec<String> {
        let mut found = Vec::new();
        compare("x", Some(&present), &wanted, &mut found);
        found.into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn fields_the_server_adds_are_no_difference() {
        assert!(differences(json!({"a": 1, "id": "u"}), json!({"a": 1})).is_empty());
        assert!(
            differences(json!({"a": [{"p": "1", "u": 2}]}), json!({"a": [{"p": 1, "n": null}]})).is_empty()
        );
    }

    #[test]
    fn each_differing_leaf_is_named() {
        assert_eq!(
            differences(json!({"a": {"b": 1}, "l": [1, 2]}), json!({"a": {"b": 2}, "l": [1]})),
            ["x.a.b", "x.l[1]"]
        );
    }

    #[test]
    fn what_the_server_added_stays_with_its_element() {
        let have = json!({"a": 1, "own": 2, "l": [{"p": 1, "id": "x"}, {"p": 2, "id": "y"}]});
        let want = json!({"a": "1", "own": null, "l": [{"p": 3}, {"p": 2}]});
        let merged = json!({"a": 1, "l": [{"p": 3}, {"p": 2, "id": "y"}]});
        assert_eq!(merge(Some(&have), &want), merged);
        let have = json!([{"to": ["a"], "uuid": "1", "attr": {"s": 1, "id": 7}}, {"to": ["b"], "uuid": "2"}]);
        let want = json!([{"to": ["c"]}, {"to": ["a"], "attr": {"s": 2}}]);
        let merged = json!([{"to": ["c"]}, {"to": ["a"], "uuid": "1", "attr": {"s": 2, "id": 7}}]);
        assert_eq!(merge_refs(Some(&have), &want), merged);
    }

    #[test]
    fn references_compare_as_a_set() {
        let have =
            json!([{"to": ["a"], "uuid": "1", "attr": null}, {"to": ["b"], "uuid": "2", "attr": {"s": 1}}]);
        let mut found = Vec::new();
        compare_refs("r", Some(&have), &json!([{"to": ["b"], "attr": {"s": 1}}, {"to": ["a"]}]), &mut found);
        assert_eq!(found, []);
        compare_refs("r", Some(&have), &json!([{"to": ["c"]}, {"to": ["a"]}]), &mut found);
        assert_eq!(found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["r[c]", "r[b]"]);
    }
}
