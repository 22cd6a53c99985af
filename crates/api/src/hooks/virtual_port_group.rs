//! virtual-port-group: numbers of aggregated interfaces, one per device, once there is more than one link; VLANs of its
//! interfaces.

use super::Context;
use super::values::{at, in_range};
use crate::ApiError;
use crate::alloc::Pool;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_model::{Object, ObjectType, Reference};
use weft_store::layout;

/// Aggregated interfaces of a device (wire-facts 9).
const LAST_NUMBER: u64 = 127;

fn pool(device: &str) -> Pool {
    let device: String = device.bytes().map(|byte| format!("{byte:02x}")).collect();
    Pool::numbers(&format!("aggregated-ethernet/{device}"), 0, LAST_NUMBER)
}

/// The device of an interface: the second part of its name.
fn device(reference: &Reference) -> &str {
    reference.fq_name.0.get(1).map_or("", String::as_str)
}

/// The numbers of a group by device.
fn numbers(object: &Object) -> BTreeMap<String, u64> {
    let number = |r: &Reference| r.attr.as_ref().and_then(|attr| at(attr, &["ae_num"]).as_u64());
    let links = object.refs_to(ObjectType::PhysicalInterface).iter();
    links.filter_map(|r| Some((device(r).to_owned(), number(r)?))).collect()
}

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let held = old.map(numbers).unwrap_or_default();
    let asked = numbers(new);
    let links = new.refs_to(ObjectType::PhysicalInterface);
    let aggregated = links.len() > 1;
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    let devices: Vec<String> = links.iter().filter(|_| aggregated).map(|r| device(r).to_owned()).collect();
    for name in devices {
        if wanted.contains_key(&name) {
            continue;
        }
        let number = match (held.get(&name), asked.get(&name)) {
            (Some(held), Some(asked)) if held != asked => {
                return Err(ApiError::bad_request(format!(
                    "ae_num: AE-ID ({held}) already allocated at PR ({name}), it can not be changed to {asked}"
                )));
            }
            (Some(held), _) => *held,
            (None, asked) => claim(ctx, new, &name, asked.copied()).await?,
        };
        wanted.insert(name, number);
    }
    for (name, number) in held.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        ctx.plan.release(pool(name).key((*number).into()));
    }
    for reference in new.refs.get_mut(&ObjectType::PhysicalInterface).into_iter().flatten() {
        let number = wanted.get(device(reference));
        reference.attr = number.map(|number| json!({"ae_num": number}));
    }
    Ok(())
}

async fn claim(
    ctx: &mut Context<'_>,
    new: &Object,
    device: &str,
    asked: Option<u64>,
) -> Result<u64, ApiError> {
    let pool = pool(device);
    let number = match asked {
        Some(asked) => {
            in_range("ae_num", asked, 0, LAST_NUMBER)?;
            if ctx.state.store().get(&pool.key(asked.into())).await?.is_some() {
                return Err(ApiError::bad_request(format!("ae_num: AE-ID {asked} is in use at {device}")));
            }
            asked
        }
        None => {
            let free = pool.free(ctx.state).await?;
            let free = free.ok_or_else(|| {
                ApiError::bad_request(format!(
                    "ae_num: all AE-IDs of physical-router {device} are in use, none is left for {}",
                    new.fq_name
                ))
            })?;
            u64::try_from(free).unwrap_or(LAST_NUMBER)
        }
    };
    ctx.plan.claim(pool.key(number.into()), new.uuid.to_string());
    Ok(number)
}

pub(super) fn delete(ctx: &mut Context<'_>, object: &Object) {
    for (device, number) in numbers(object) {
        ctx.plan.release(pool(&device).key(number.into()));
    }
}

/// The rows of the VLANs an interface takes in its groups.
fn vlan_keys(interface: &Object) -> BTreeMap<String, (Uuid, String)> {
    let mut keys = BTreeMap::new();
    for group in interface.refs_to(ObjectType::VirtualPortGroup) {
        let attr = group.attr.as_ref().unwrap_or(&Value::Null);
        let pool = format!("port-group-vlan/{}", group.uuid.as_hyphenated());
        for (field, native) in [("vlan_tag", false), ("native_vlan_tag", true)] {
            let Some(vlan) = at(attr, &[field]).as_u64().filter(|vlan| *vlan != 0) else { continue };
            keys.insert(layout::alloc_number_key(&pool, vlan), (group.uuid, format!("{field} {vlan}")));
            if native {
                keys.insert(layout::alloc_key(&pool, "native"), (group.uuid, "native_vlan_tag".into()));
            }
        }
    }
    keys
}

/// In a group each VLAN is of one interface, and one interface is untagged.
pub(super) async fn claim_vlans(
    ctx: &mut Context<'_>,
    new: Option<&Object>,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let (wanted, held) = (new.map(vlan_keys).unwrap_or_default(), old.map(vlan_keys).unwrap_or_default());
    for key in held.keys().filter(|key| !wanted.contains_key(*key)) {
        ctx.plan.release(key.clone());
    }
    let Some(new) = new else { return Ok(()) };
    for (key, (group, what)) in wanted.iter().filter(|(key, _)| !held.contains_key(*key)) {
        if let Some(entry) = ctx.state.store().get(key).await? {
            return Err(ApiError::bad_request(format!(
                "{what} of {} is used in virtual-port-group {group} by {}",
                new.fq_name,
                String::from_utf8_lossy(&entry.value)
            )));
        }
        ctx.plan.claim(key.clone(), new.uuid.to_string());
    }
    Ok(())
}
