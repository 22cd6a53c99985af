//! The list of rules every installation has (`_create_default_rbac_rule` of the existing system).

use serde_json::{Value, json};
use weft_model::{FqName, ObjectType, defaults};

/// The type whose objects hold rules.
pub(crate) const TYPE: ObjectType = ObjectType::ApiAccessList;
/// The property that holds them.
pub(crate) const ENTRIES: &str = "api_access_list_entries";
/// Its name under the global configuration.
const NAME: &str = "default-api-access-list";
/// Object, field, letters for every role.
const RULES: &[(&str, &str, &str)] = &[
    ("fqname-to-id", "", "CRUD"),
    ("id-to-fqname", "", "CRUD"),
    ("useragent-kv", "", "CRUD"),
    ("documentation", "", "R"),
    ("/", "", "R"),
    ("watch", "", "R"),
    ("logical-router", "logical_router_gateway_external", "R"),
];

/// The name of the list.
pub(crate) fn name() -> FqName {
    defaults::global_system_config().child(NAME)
}

/// Its `api_access_list_entries`.
pub(crate) fn entries() -> Value {
    let rule = |(object, field, letters): &(&str, &str, &str)| {
        json!({
            "rule_object": object, "rule_field": field,
            "rule_perms": [{"role_name": "*", "role_crud": letters}],
        })
    };
    json!({"rbac_rule": RULES.iter().map(rule).collect::<Vec<_>>()})
}
