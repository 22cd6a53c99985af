//! No declared field that could be a secret is forgotten, and what is one is not repeated in error messages.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use weft_model::secrets::{MASK, each_secret, may_have_secrets};
use weft_model::{ObjectType, ValueType, validate};

/// Parts of names that make one look twice.
const SUSPICIOUS: &[&str] = &[
    "pass", "secret", "key", "communit", "auth", "cred", "token", "cipher", "crypt", "psk", "phrase",
    "private", "cert", "hash", "pin", "login", "license",
];

/// Secrets among the declarations, `<structure or type>.<field>`.
const SECRETS: &[&str] = &[
    "AuthenticationKeyItem.key",
    "DriverInfo.ipmi_password",
    "ESXIHostInfo.password",
    "SNMPCredentials.v2_community",
    "SNMPCredentials.v3_authentication_password",
    "SNMPCredentials.v3_privacy_password",
    "UserCredentials.password",
];

/// Suspicious names that hold nothing secret.
const HARMLESS: &[&str] = &[
    "AuthenticationData.key_type",
    "BgpSessionAttributes.private_as_action",
    "CommunityAttributes.community_attribute",
    "CommunityListType.community",
    "ExtCommunityListType.community",
    "KeyValuePair.key",
    "PortGroupProperties.xmit_hash_policy",
    "SNMPCredentials.v3_authentication_protocol",
    "StaticRouteType.community",
    "TermMatchConditionType.community",
    "TermMatchConditionType.community_list",
    "TermMatchConditionType.extcommunity_list",
    "UveKeysType.uve_key",
    "global-vrouter-config.encryption_mode",
    "physical-router.physical_router_encryption_type",
];

/// The text fields of a structure, wherever they are: `<structure>.<field>` with a sample in which every text is its own
/// such name.
fn sample(owner: &str, name: &str, value: &ValueType) -> Value {
    match value {
        ValueType::Struct(info) => info
            .fields
            .iter()
            .map(|f| (f.name.to_owned(), sample(info.name, f.name, &f.value)))
            .collect::<Map<_, _>>()
            .into(),
        ValueType::List(item) => json!([sample(owner, name, item)]),
        ValueType::Bool | ValueType::Int { .. } | ValueType::Unsigned => Value::Null,
        ValueType::Text | ValueType::Enum(_) | ValueType::Address => format!("{owner}.{name}").into(),
    }
}

/// Every text a client can set anywhere, and those taken for secrets, by name.
fn texts() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut secret) = (BTreeSet::new(), BTreeSet::new());
    let mut look = |owner: &str, name: &str, value: &ValueType| {
        let mut value = json!({name: sample(owner, name, value)});
        collect(&value, &mut all);
        let text = value.to_string();
        let before = secret.len();
        each_secret(&mut value, &mut |text| {
            secret.insert(text.clone());
        });
        assert!(secret.len() == before || may_have_secrets(&text), "{text} would be stored unsealed");
    };
    for object_type in ObjectType::ALL {
        let info = object_type.info();
        info.all_props().for_each(|prop| look(object_type.name(), prop.name, &prop.value));
        for reference in info.refs {
            let attr = reference.attr.map(ValueType::Struct);
            attr.iter().for_each(|attr| look(object_type.name(), reference.to.refs_field(), attr));
        }
    }
    (all, secret)
}

fn collect(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(list) => list.iter().for_each(|item| collect(item, into)),
        Value::Object(map) => map.values().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[test]
fn every_declared_field_named_like_a_secret_is_one_or_is_known_not_to_be() {
    let (all, secret) = texts();
    assert!(all.len() > 500, "{} texts", all.len());
    assert_eq!(secret.iter().map(String::as_str).collect::<BTreeSet<_>>(), SECRETS.iter().copied().collect());
    let suspicious = |name: &&String| {
        let field = name.split('.').nth(1).unwrap();
        SUSPICIOUS.iter().any(|part| field.contains(part))
    };
    let open: BTreeSet<&str> =
        all.iter().filter(suspicious).filter(|n| !secret.contains(*n)).map(String::as_str).collect();
    let known: BTreeSet<&str> = HARMLESS.iter().copied().collect();
    let new: Vec<_> = open.difference(&known).collect();
    assert!(new.is_empty(), "neither secret (weft_model::secrets) nor known to be harmless: {new:#?}");
    assert_eq!(known.difference(&open).count(), 0, "no such fields any more: {:?}", known.difference(&open));
}

#[test]
fn errors_do_not_repeat_secrets() {
    let credentials = "physical_router_user_credentials";
    let cases = [
        (ObjectType::PhysicalRouter, credentials, json!({"username": "u", "password": 4711})),
        (ObjectType::PhysicalRouter, credentials, json!({"password": "4711\u{1}"})),
        (ObjectType::PhysicalRouter, credentials, json!({"password": {"deep": ["4711"]}})),
        (ObjectType::PhysicalRouter, credentials, json!([{"password": "4711"}])),
        (ObjectType::PhysicalRouter, credentials, json!("root:4711")),
        (ObjectType::PhysicalRouter, "physical_router_snmp_credentials", json!({"v2_community": ["4711"]})),
        (
            ObjectType::BgpRouter,
            "bgp_router_parameters",
            json!({"auth_data": {"key_items": [{"key": {"a": 4711}}]}}),
        ),
        (ObjectType::BgpRouter, "bgp_router_parameters", json!({"auth_data": {"key_items": "4711"}})),
        (
            ObjectType::Project,
            "annotations",
            json!({"key_value_pair": [{"key": "db-password", "value": "4711\u{1}"}]}),
        ),
    ];
    for (object_type, name, value) in cases {
        let error = validate::property(object_type, name, &value).unwrap_err().to_string();
        assert!(!error.contains("4711") && error.contains(MASK) && error.contains(name), "{error}");
    }
    // What is none is told.
    let error =
        validate::property(ObjectType::Project, "display_name", &json!(4711)).unwrap_err().to_string();
    assert!(error.contains("4711"), "{error}");
}
