//! service-template, service-instance, service-health-check, service-appliance-set, loadbalancers.

use super::Context;
use super::values::{at, at_most_one, changed, in_range, items, key_value, prop, text};
use crate::ApiError;
use crate::parse::shorten;
use weft_model::{Object, ObjectType};

/// service-template: each kind of interface once.
pub(super) fn template(new: &Object) -> Result<(), ApiError> {
    const FIELD: &str = "service_template_properties";
    at_most_one(new, ObjectType::ServiceApplianceSet)?;
    if let Some(version) = at(prop(new, FIELD), &["version"]).as_i64() {
        in_range(&format!("{FIELD}.version"), version, 1, 2)?;
    }
    let mut seen = std::collections::BTreeSet::new();
    for interface in items(prop(new, FIELD), &["interface_type"]) {
        let kind = text(interface, "service_interface_type").unwrap_or_default();
        if !matches!(kind, "left" | "right" | "management") && !kind.starts_with("other") {
            return Err(ApiError::bad_request(format!(
                "{FIELD}.interface_type: service_interface_type {kind:?} is not left, right, management or other*"
            )));
        }
        if !seen.insert(kind) {
            return Err(ApiError::bad_request(format!(
                "{FIELD}.interface_type: service_interface_type {kind} occurs twice"
            )));
        }
    }
    Ok(())
}

/// service-instance: of one template; a physical device's says how it is attached.
pub(super) fn instance(new: &Object) -> Result<(), ApiError> {
    at_most_one(new, ObjectType::ServiceTemplate)?;
    let properties = prop(new, "service_instance_properties");
    if let Some(count) = at(properties, &["scale_out", "max_instances"]).as_i64() {
        in_range("service_instance_properties.scale_out.max_instances", count, 1, i64::MAX)?;
    }
    if text(properties, "service_virtualization_type") != Some("physical-device") {
        return Ok(());
    }
    for key in ["left-svc-vlan", "right-svc-vlan", "left-svc-asns", "right-svc-asns"] {
        if key_value(new, "annotations", key).is_none() {
            return Err(ApiError::bad_request(format!(
                "annotations: {key} should be defined in svc instance annotations of {}",
                new.fq_name
            )));
        }
    }
    Ok(())
}

/// service-health-check: what it checks is decided once; times.
pub(super) fn health_check(new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
    const FIELD: &str = "service_health_check_properties";
    let properties = prop(new, FIELD);
    if let Some(old) = old {
        let kind = |object: &Object| text(prop(object, FIELD), "health_check_type").map(str::to_owned);
        if kind(old).is_some() && kind(old) != kind(new) {
            return Err(ApiError::bad_request(format!(
                "{FIELD}.health_check_type can not be changed from {} to {}",
                kind(old).unwrap_or_default(),
                kind(new).unwrap_or_default()
            )));
        }
    }
    for name in ["delay", "timeout", "max_retries", "delayUsecs", "timeoutUsecs"] {
        if let Some(value) = at(properties, &[name]).as_i64() {
            in_range(&format!("{FIELD}.{name}"), value, 0, i64::from(u32::MAX))?;
        }
    }
    Ok(())
}

/// service-appliance-set: what pools rely on does not change.
pub(super) async fn appliance_set(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let Some(old) = old else { return Ok(()) };
    let names = ["service_appliance_driver", "service_appliance_ha_mode", "service_appliance_set_properties"];
    if !names.iter().any(|name| changed(new, old, name)) {
        return Ok(());
    }
    let set = (ObjectType::ServiceApplianceSet, new.uuid);
    let users = ctx.state.back_refs_of_type(set, ObjectType::LoadbalancerPool).await?;
    match users.first() {
        None => Ok(()),
        Some(pool) => Err(ApiError::conflict(format!(
            "Service appliance set {} can not be updated as loadbalancer pools are using it: {}",
            new.fq_name, pool.uuid
        ))),
    }
}

/// Ports, weights and times of the loadbalancer family.
pub(super) fn loadbalancer(new: &Object) -> Result<(), ApiError> {
    let (field, ranges): (_, &[(&str, i64, i64)]) = match new.object_type {
        ObjectType::LoadbalancerListener => {
            at_most_one(new, ObjectType::Loadbalancer)?;
            (
                "loadbalancer_listener_properties",
                &[("protocol_port", 1, 65535), ("connection_limit", -1, i64::MAX)],
            )
        }
        ObjectType::LoadbalancerMember => {
            ("loadbalancer_member_properties", &[("protocol_port", 1, 65535), ("weight", 0, 256)])
        }
        ObjectType::VirtualIp => {
            at_most_one(new, ObjectType::LoadbalancerPool)?;
            ("virtual_ip_properties", &[("protocol_port", 1, 65535), ("connection_limit", -1, i64::MAX)])
        }
        ObjectType::LoadbalancerHealthmonitor => (
            "loadbalancer_healthmonitor_properties",
            &[("delay", 0, i64::MAX), ("timeout", 0, i64::MAX), ("max_retries", 0, i64::MAX)],
        ),
        ObjectType::LoadbalancerPool => {
            at_most_one(new, ObjectType::LoadbalancerListener)?;
            return cookie(new, "loadbalancer_pool_properties", "session_persistence");
        }
        _ => return Ok(()),
    };
    for (name, first, last) in ranges {
        if let Some(value) = at(prop(new, field), &[name]).as_i64() {
            in_range(&format!("{field}.{name}"), value, *first, *last)?;
        }
    }
    if new.object_type == ObjectType::VirtualIp {
        return cookie(new, field, "persistence_type");
    }
    Ok(())
}

/// Sessions kept by a cookie of the application need its name.
fn cookie(new: &Object, field: &str, persistence: &str) -> Result<(), ApiError> {
    let properties = prop(new, field);
    if text(properties, persistence) == Some("APP_COOKIE")
        && text(properties, "persistence_cookie_name").is_none()
    {
        return Err(ApiError::bad_request(format!(
            "{field}.persistence_cookie_name {} is needed with {persistence} APP_COOKIE",
            shorten(at(properties, &["persistence_cookie_name"]))
        )));
    }
    Ok(())
}
