//! Which values of the configuration are secrets: the one list for storage, logs, the audit log and error messages.
//!
//! By name, so that what users name themselves (annotations, say) is found, too. That no declared field is forgotten is
//! checked by a test that walks all declarations (`tests/secrets.rs`).

use serde_json::Value;

/// What is shown in place of a secret.
pub const MASK: &str = "********";

/// Parts of names whose values are secrets. BGP communities are not: only SNMP's are passwords.
const PARTS: &[&str] = &["password", "passwd", "secret", "private_key", "api_key", "access_token"];
/// Whole names whose values are secrets.
const NAMES: &[&str] = &[
    "v2_community",
    "snmp_community",
    "community_string",
    "auth_key",
    "md5_key",
    "encryption_key",
    "ssh_key",
    "key_passphrase",
    "passphrase",
    "psk",
];
/// The list of keys of a BGP session (`auth_data.key_items[].key`).
const KEY_ITEMS: &str = "key_items";

/// Whether a property of that name is a secret, without regard to case, `-` and `_` alike.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    PARTS.iter().any(|part| name.contains(part)) || NAMES.contains(&name.as_str())
}

/// What a JSON text must contain for [`each_secret`] to find anything in it; cheap to look for.
pub fn may_have_secrets(json: &str) -> bool {
    let found = |needle: &&str| json.contains(*needle);
    // Names in the configuration are lower case; those inside key-value pairs are not.
    let any_case = || {
        json.contains("\"key_value_pair\"") && {
            let lower = json.to_ascii_lowercase().replace('-', "_");
            PARTS.iter().chain(NAMES).any(|needle| lower.contains(needle))
        }
    };
    json.contains(KEY_ITEMS) || PARTS.iter().chain(NAMES).any(found) || any_case()
}

/// Calls `each` with every secret text in a value.
pub fn each_secret(value: &mut Value, each: &mut dyn FnMut(&mut String)) {
    walk(value, false, false, each);
}

fn walk(value: &mut Value, secret: bool, key_items: bool, each: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) if secret && !text.is_empty() => each(text),
        Value::Array(list) => list.iter_mut().for_each(|item| walk(item, secret, key_items, each)),
        Value::Object(map) => {
            // {"key": name, "value": text}
            let pair = is_secret_pair(map);
            for (name, inner) in map.iter_mut() {
                let own = is_secret(name) || (pair && name == "value") || (key_items && name == "key");
                walk(inner, secret || own, name == KEY_ITEMS, each);
            }
        }
        _ => {}
    }
}

/// Whether `{"key": .., "value": ..}` gives a secret.
pub(crate) fn is_secret_pair(map: &serde_json::Map<String, Value>) -> bool {
    map.get("key").and_then(Value::as_str).is_some_and(is_secret)
}

/// Whether a dotted path (`bgp_router_parameters.auth_data.key_items[0].key`) leads to a secret or into one.
pub(crate) fn is_secret_path(path: &str) -> bool {
    let mut before = "";
    let segments: Vec<&str> = path.split('.').collect();
    segments.iter().enumerate().any(|(index, segment)| {
        let last = index + 1 == segments.len();
        let name = segment.split('[').next().unwrap_or_default();
        // What stands where a structure with secrets should may be one.
        let holder = name == KEY_ITEMS || name.contains("credential");
        let secret = is_secret(name) || holder && last || (before == KEY_ITEMS && name == "key");
        before = name;
        secret
    })
}

/// Replaces every secret in a value by [`MASK`].
pub fn mask(value: &mut Value) {
    each_secret(value, &mut |text| MASK.clone_into(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let mut value = json!({
            "physical_router_user_credentials": {"username": "root", "password": "p1"},
            "physical_router_snmp_credentials": {"v2_community": "p2", "v3_privacy_password": "p3", "version": 2},
            "bgp_router_parameters": {"auth_data": {"key_type": "md5", "key_items": [{"key": "p4", "key_id": 0}]}},
            "annotations": {"key_value_pair": [{"key": "Api-Key", "value": "p5"}, {"key": "note", "value": "v"}]},
            "community": ["64512:1"], "display_name": "password",
            "fabric_credentials": {"device_credential": [{"credential": {"password": "p6", "username": "a"}}]},
        });
        assert!(may_have_secrets(&value.to_string()));
        mask(&mut value);
        let text = value.to_string();
        for n in 1..=6 {
            assert!(!text.contains(&format!("\"p{n}\"")), "p{n} in {text}");
        }
        assert_eq!(text.matches(MASK).count(), 6);
        for kept in ["root", "md5", "note", "64512:1", "\"v\"", "\"password\"", "Api-Key"] {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
    }

    #[test]
    fn ordinary_objects_are_passed_by() {
        let plain = json!({"display_name": "a", "community_attributes": {"community_attribute": ["1:1"]}});
        assert!(!may_have_secrets(&plain.to_string()));
        let pair = json!({"key_value_pair": [{"key": "API-KEY", "value": "x"}]});
        assert!(may_have_secrets(&pair.to_string()));
    }
}
