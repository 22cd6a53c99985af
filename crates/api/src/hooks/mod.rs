//! What is particular to single object types: checks beyond the declaration, computed properties, and the numbers and
//! addresses an object owns. One file per type. A hook works on a plan: what it claims is claimed by the very transaction
//! that writes the object, and it runs again, from fresh reads, when that transaction conflicts.

mod instance_ip;
mod network_ipam;
pub(crate) mod reserve;
mod rules;
mod security_group;
mod virtual_dns;
mod virtual_machine_interface;
mod virtual_network;

use crate::alloc::Pool;
use crate::plan::Plan;
use crate::{ApiError, ApiState};
use serde_json::Value;
use weft_model::{Object, ObjectType};

pub(crate) use instance_ip::{Request, find_subnets, pick_address};

/// What a hook works with.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) plan: &'a mut Plan,
}

/// Completes and checks a new or changed object, and claims what it needs. `old` is `None` when it is created.
pub(crate) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    match new.object_type {
        ObjectType::VirtualNetwork => virtual_network::put(ctx, new, old).await,
        ObjectType::NetworkIpam => network_ipam::put(ctx, new, old).await,
        ObjectType::VirtualMachineInterface => virtual_machine_interface::put(new),
        ObjectType::InstanceIp => instance_ip::put(ctx, new, old).await,
        ObjectType::NetworkPolicy => rules::put(new, "network_policy_entries", rules::Kind::Policy),
        ObjectType::SecurityGroup => security_group::put(ctx, new, old).await,
        ObjectType::VirtualDns => virtual_dns::put_server(ctx.state, new).await,
        ObjectType::VirtualDnsRecord => virtual_dns::put_record(new),
        _ => Ok(()),
    }
}

/// Gives back what an object owns; refuses when it must stay.
pub(crate) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    if crate::singletons::is_permanent(object) {
        return Err(ApiError::conflict(format!(
            "{} {} can not be deleted",
            object.object_type, object.fq_name
        )));
    }
    match object.object_type {
        ObjectType::VirtualNetwork => virtual_network::delete(ctx, object).await,
        ObjectType::NetworkIpam => network_ipam::delete(ctx, object).await,
        ObjectType::InstanceIp => instance_ip::delete(ctx, object).await,
        ObjectType::SecurityGroup => security_group::delete(ctx, object),
        _ => Ok(()),
    }
}

/// A property as its Rust type.
pub(crate) fn property<T: serde::de::DeserializeOwned>(
    object: &Object,
    name: &str,
) -> Result<Option<T>, ApiError> {
    Ok(object.property(name)?)
}

/// Writes a property back from its Rust type.
pub(crate) fn set<T: serde::Serialize>(object: &mut Object, name: &str, value: &T) -> Result<(), ApiError> {
    let value = serde_json::to_value(value).map_err(|e| ApiError::internal(e.to_string()))?;
    object.props.insert(name.to_owned(), value);
    Ok(())
}

/// A number property that only the system sets. Returns the number the object keeps, or one of the pool that the client
/// asks for at creation (an object written back from an export); an attempt to change it is refused.
pub(crate) fn fixed_number(
    new: &Object,
    old: Option<&Object>,
    name: &str,
    pool: &Pool,
) -> Result<Option<u64>, ApiError> {
    let given = new.props.get(name).filter(|value| !value.is_null());
    let kept = old.and_then(|o| o.props.get(name)).and_then(Value::as_u64);
    match (given, kept) {
        (Some(given), Some(kept)) if given.as_u64() != Some(kept) => Err(ApiError::bad_request(format!(
            "{name} {kept} of {} can not be changed to {given}",
            new.fq_name
        ))),
        (Some(given), None) => match given.as_u64().filter(|id| pool.contains((*id).into())) {
            Some(id) => Ok(Some(id)),
            None => {
                let message = format!("{name} {given} of {} is not one the system gives out", new.fq_name);
                Err(ApiError::bad_request(message))
            }
        },
        (_, kept) => Ok(kept),
    }
}
