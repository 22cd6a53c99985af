//! api-access-list: rules name an object, roles and operations.

use super::values::{items, prop, text};
use crate::ApiError;
use weft_model::{Object, ObjectType};

pub(super) fn put(new: &Object) -> Result<(), ApiError> {
    for (index, rule) in items(prop(new, "api_access_list_entries"), &["rbac_rule"]).iter().enumerate() {
        let what = format!("api_access_list_entries.rbac_rule[{index}]");
        let object = text(rule, "rule_object").unwrap_or_default();
        if !is_object(object) {
            return Err(ApiError::bad_request(format!(
                "{what}.rule_object {object:?} is neither '*' nor an object type, collection or action"
            )));
        }
        for perms in items(rule, &["rule_perms"]) {
            if text(perms, "role_name").is_none() {
                return Err(ApiError::bad_request(format!("{what}.rule_perms: role_name is empty")));
            }
            let crud = text(perms, "role_crud").unwrap_or_default();
            if !crud.chars().all(|c| "CRUD".contains(c)) {
                return Err(ApiError::bad_request(format!(
                    "{what}.rule_perms: role_crud {crud:?} is not letters of CRUD"
                )));
            }
        }
    }
    Ok(())
}

/// Types singular or plural, in either spelling; other words name actions and documents.
fn is_object(name: &str) -> bool {
    let known = |t: &ObjectType| t.name() == name || t.collection() == name || t.json_name() == name;
    name == "*"
        || ObjectType::ALL.iter().any(known)
        || (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/ ".contains(c)))
}
