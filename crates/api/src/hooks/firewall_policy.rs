//! firewall-policy: its rules in an order.

use super::draft;
use super::values::text;
use crate::ApiError;
use serde_json::Value;
use weft_model::{Object, ObjectType};

pub(super) fn put(new: &Object) -> Result<(), ApiError> {
    draft::same_scope(new, &[ObjectType::FirewallRule])?;
    sequences(new, ObjectType::FirewallRule)
}

/// A sequence is a text that is compared as such ("00003.0"); what a reference has instead is refused.
pub(super) fn sequences(new: &Object, to: ObjectType) -> Result<(), ApiError> {
    for reference in new.refs_to(to) {
        let attr = reference.attr.as_ref().unwrap_or(&Value::Null);
        let Some(sequence) = text(attr, "sequence") else { continue };
        if !sequence.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(ApiError::bad_request(format!(
                "{} of {} {}: sequence {sequence:?} of {} is not digits and dots",
                to.refs_field(),
                new.object_type,
                new.fq_name,
                reference.fq_name
            )));
        }
    }
    Ok(())
}
