//! Whether the rows of a store agree with one another: each object has its name, identity, child and reference rows,
//! each such row has its object, what objects refer to exists, and allotted numbers have owners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use uuid::Uuid;
use weft_model::{Object, ObjectType, defaults};

use crate::{Op, Store, StoreError, backup, layout};

/// All rows of a store.
pub type Rows = BTreeMap<String, Bytes>;

/// Something that does not agree, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The row.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// The write that mends it; `None` if only somebody who knows what was meant can.
    pub repair: Option<Op>,
}

/// Reads all rows, at one revision.
///
/// # Errors
/// Those of [`Store::snapshot`].
pub async fn rows(store: &dyn Store) -> Result<Rows, StoreError> {
    let (_, mut pages) = store.snapshot().await?;
    let mut rows = Rows::new();
    while let Some(page) = pages.next().await {
        rows.extend(page?.into_iter().map(|entry| (entry.key, entry.value)));
    }
    Ok(rows)
}

/// Checks `rows`. Ordered by key within each kind of finding.
pub fn check(rows: &Rows) -> Vec<Finding> {
    let (mut out, mut accounted, mut owners) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    if let Some(what) = rows.get(backup::UNFINISHED) {
        let what = format!("{} did not finish: run it again", String::from_utf8_lossy(what));
        out.push(Finding { key: backup::UNFINISHED.into(), what, repair: None });
    }
    for (key, value) in rows.range(layout::OBJECTS.to_owned()..) {
        if !key.starts_with(layout::OBJECTS) {
            break;
        }
        match layout::decode(value) {
            Ok(object) => {
                object_rows(rows, key, &object, &mut accounted, &mut out);
                allotted_rows(rows, key, &object, &mut out);
                owners.insert(object.uuid);
            }
            Err(error) => out.push(Finding { key: key.clone(), what: error.to_string(), repair: None }),
        }
    }
    // With an object that cannot be read, nobody knows whether rows without an object are its own.
    let certain = out.iter().all(|finding| finding.repair.is_some());
    for (key, value) in rows {
        if is_index(key) && !accounted.contains(key) {
            let repair = certain.then(|| Op::delete(key.clone()));
            out.push(Finding { key: key.clone(), what: "belongs to no object".into(), repair });
        }
        if key.starts_with("alloc/")
            && let Some(what) = orphan(rows, &owners, key, &String::from_utf8_lossy(value))
        {
            out.push(Finding { key: key.clone(), what, repair: certain.then(|| Op::delete(key.clone())) });
        }
    }
    out
}

fn is_index(key: &str) -> bool {
    [layout::NAMES, "id/", "child/", "ref/"].iter().any(|prefix| key.starts_with(prefix))
}

/// The rows an object must have, and the objects it must find.
fn object_rows(
    rows: &Rows,
    key: &str,
    object: &Object,
    accounted: &mut BTreeSet<String>,
    out: &mut Vec<Finding>,
) {
    let finding = |what, repair| Finding { key: key.to_owned(), what, repair };
    if layout::parse_object_key(key) != Some((object.object_type, object.uuid)) {
        out.push(finding(format!("holds {} {}", object.object_type, object.uuid), None));
        return;
    }
    let ops = match layout::put_ops(object, None) {
        Ok(ops) => ops,
        Err(error) => return out.push(finding(error.to_string(), None)),
    };
    for op in ops.into_iter().filter(|op| op.key() != key) {
        match rows.get(op.key()) {
            None => out.push(finding(format!("{} is missing", op.key()), Some(op.clone()))),
            // A child or reference row may say more than that it is there.
            Some(held) if op.value().is_some_and(|value| !value.is_empty() && value != held) => {
                let held = String::from_utf8_lossy(held);
                out.push(finding(format!("{} says {held}", op.key()), None));
            }
            Some(_) => {}
        }
        accounted.insert(op.key().to_owned());
    }
    let linked = object.refs.iter().flat_map(|(to, list)| list.iter().map(move |r| (*to, r.uuid)));
    // Derived objects have no rows.
    for (object_type, uuid) in linked.chain(object.parent).filter(|(to, _)| !to.info().derived) {
        let target = layout::object_key(object_type, uuid);
        if !rows.contains_key(&target) {
            out.push(finding(format!("{target} is gone"), drop_reference(object, uuid)));
        }
    }
}

/// The rows of the numbers and addresses an object says it has. Those of types not named here are only checked the other
/// way round: that the rows have owners.
fn allotted(object: &Object) -> Vec<String> {
    let number = |name: &str| object.props.get(name).and_then(Value::as_u64);
    let text = |name: &str| object.props.get(name).and_then(Value::as_str);
    match object.object_type {
        ObjectType::VirtualNetwork => {
            let id =
                number("virtual_network_network_id").map(|id| layout::alloc_number_key("network-id", id));
            let target = number(defaults::ROUTE_TARGET_NUMBER_PROPERTY);
            id.into_iter().chain(target.map(|n| layout::alloc_number_key("route-target", n))).collect()
        }
        ObjectType::SecurityGroup => {
            let automatic = u64::from(defaults::FIRST_SECURITY_GROUP_ID);
            let id = number("security_group_id").filter(|id| *id >= automatic);
            id.map(|id| layout::alloc_number_key("security-group-id", id)).into_iter().collect()
        }
        ObjectType::InstanceIp => {
            let address = text("instance_ip_address").and_then(|text| text.parse::<IpAddr>().ok());
            let (Some(address), Some(subnet)) = (address, text("subnet_uuid")) else { return Vec::new() };
            let bits = match address {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            vec![layout::alloc_key(&format!("ip/{subnet}"), format!("{bits:032x}"))]
        }
        _ => Vec::new(),
    }
}

fn allotted_rows(rows: &Rows, key: &str, object: &Object, out: &mut Vec<Finding>) {
    let owner = object.uuid.to_string();
    for row in allotted(object) {
        // In networks without subnets of their own a client may write any address and subnet.
        let subnet = row.strip_prefix("alloc/ip/").and_then(|rest| rest.split('/').next());
        if subnet.is_some_and(|subnet| !rows.contains_key(&layout::alloc_key("subnet", subnet))) {
            continue;
        }
        let (what, repair) = match rows.get(&row) {
            Some(held) if *held == owner => continue,
            // Two objects with one number: somebody has to give way.
            Some(held) => (format!("{row} belongs to {}", String::from_utf8_lossy(held)), None),
            None => (format!("{row} is missing"), Some(Op::put(row, owner.clone()))),
        };
        out.push(Finding { key: key.to_owned(), what, repair });
    }
}

/// The object without its references to `gone`; `None` if that was its parent.
fn drop_reference(object: &Object, gone: Uuid) -> Option<Op> {
    if object.parent.is_some_and(|(_, uuid)| uuid == gone) {
        return None;
    }
    let mut object = object.clone();
    for list in object.refs.values_mut() {
        list.retain(|reference| reference.uuid != gone);
    }
    let value = layout::encode(&object).ok()?;
    Some(Op::put(layout::object_key(object.object_type, object.uuid), value))
}

/// What is wrong with an allotted number or address; `None` if its owner exists.
fn orphan(rows: &Rows, owners: &BTreeSet<Uuid>, key: &str, owner: &str) -> Option<String> {
    if let Ok(uuid) = Uuid::parse_str(owner) {
        return (!owners.contains(&uuid)).then(|| format!("its owner {owner} is gone"));
    }
    // Taken by a subnet itself: the subnet must exist.
    let subnet = key.strip_prefix("alloc/ip/")?.split('/').next()?;
    let row = layout::alloc_key("subnet", Uuid::parse_str(subnet).ok()?);
    (!rows.contains_key(&row)).then(|| format!("subnet {subnet} is gone"))
}

/// Checks `store` and, as long as it helps, mends what can be mended. Nobody else may write meanwhile. Returns how many
/// writes were made and what is left.
///
/// # Errors
/// Those of [`Store::snapshot`] and [`Store::txn`].
pub async fn repair(store: &dyn Store) -> Result<(usize, Vec<Finding>), StoreError> {
    /// Mending one row may show the next that is wrong.
    const ROUNDS: usize = 8;
    let mut writes = 0;
    let mut findings = check(&rows(store).await?);
    for _ in 0..ROUNDS {
        // One write per key at a time: two references of one object go one after the other.
        let ops: BTreeMap<String, Op> =
            findings.iter().filter_map(|f| f.repair.clone()).map(|op| (op.key().to_owned(), op)).collect();
        if ops.is_empty() {
            break;
        }
        writes += ops.len();
        backup::put(store, ops.into_values().collect()).await?;
        findings = check(&rows(store).await?);
    }
    Ok((writes, findings))
}
