//! Which keys the store holds for the configuration, and how objects are encoded.
//!
//! | key | value | use |
//! |---|---|---|
//! | `obj/<type>/<uuid>` | the object as JSON ([`encode`]) | the truth; what [`crate::config`] reads |
//! | `fq/<type>/<a:b:c>` | uuid | unique names, fqname-to-id |
//! | `id/<uuid>` | type, kebab-case | unique ids over all types, id-to-fqname |
//! | `child/<type>/<uuid>/<child type>/<child uuid>` | empty | children of an object |
//! | `ref/<type>/<uuid>/<from type>/<from uuid>` | empty | back references of an object |
//! | `link/<uuid>` | empty | rewritten whenever a child of or a reference to the object is made, so that its deletion conflicts |
//! | `alloc/<pool>/<id>` | owner, free form | unique numbers and addresses |
//! | `seq/<pool>` | decimal number | where the search for a free number starts |
//! | `meta/unfinished` | what is under way | a restore or an import has not come to its end ([`crate::backup::begin`]) |
//!
//! The rows of one object change in one transaction ([`put_ops`], [`delete_ops`]). Types are in kebab-case and ids in
//! lower-case hyphenated form, so a type's rows are contiguous.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use uuid::Uuid;
use uuid::fmt::Hyphenated;
use weft_model::{FqName, Object, ObjectType};

use crate::{Op, StoreError};

/// Prefix of all objects.
pub const OBJECTS: &str = "obj/";

/// Prefix of all names.
pub const NAMES: &str = "fq/";

/// Room for a uuid as text. Keys are put together in one piece: a write makes some twenty of them.
fn buffer() -> [u8; Hyphenated::LENGTH] {
    [0; Hyphenated::LENGTH]
}

fn text(uuid: Uuid, buffer: &mut [u8; Hyphenated::LENGTH]) -> &str {
    uuid.as_hyphenated().encode_lower(buffer)
}

fn member_key(kind: &str, holder: (ObjectType, Uuid), member: (ObjectType, Uuid)) -> String {
    let (holder_id, member_id) = (&mut buffer(), &mut buffer());
    let (holder_id, member_id) = (text(holder.1, holder_id), text(member.1, member_id));
    [kind, holder.0.name(), "/", holder_id, "/", member.0.name(), "/", member_id].concat()
}

/// Where an object is stored.
pub fn object_key(object_type: ObjectType, uuid: Uuid) -> String {
    [OBJECTS, object_type.name(), "/", text(uuid, &mut buffer())].concat()
}

/// Prefix of all objects of a type.
pub fn object_prefix(object_type: ObjectType) -> String {
    [OBJECTS, object_type.name(), "/"].concat()
}

/// The reverse of [`object_key`]; `None` for any other key.
pub fn parse_object_key(key: &str) -> Option<(ObjectType, Uuid)> {
    let (object_type, uuid) = key.strip_prefix(OBJECTS)?.split_once('/')?;
    Some((ObjectType::from_str(object_type).ok()?, Uuid::parse_str(uuid).ok()?))
}

/// Where the uuid of a name is stored.
pub fn fq_key(object_type: ObjectType, fq_name: &FqName) -> String {
    format!("{NAMES}{}/{fq_name}", object_type.name())
}

/// Prefix of the names of a type.
pub fn fq_prefix(object_type: ObjectType) -> String {
    format!("{NAMES}{}/", object_type.name())
}

/// Where the type of a uuid is stored.
pub fn id_key(uuid: Uuid) -> String {
    ["id/", text(uuid, &mut buffer())].concat()
}

/// Prefix of the children of an object.
pub fn children_prefix(object_type: ObjectType, uuid: Uuid) -> String {
    ["child/", object_type.name(), "/", text(uuid, &mut buffer()), "/"].concat()
}

/// The row that says `child` is a child of `parent`.
pub fn child_key(parent: (ObjectType, Uuid), child: (ObjectType, Uuid)) -> String {
    member_key("child/", parent, child)
}

/// Prefix of the back references of an object.
pub fn back_refs_prefix(object_type: ObjectType, uuid: Uuid) -> String {
    ["ref/", object_type.name(), "/", text(uuid, &mut buffer()), "/"].concat()
}

/// The row that says `from` refers to `to`.
pub fn back_ref_key(to: (ObjectType, Uuid), from: (ObjectType, Uuid)) -> String {
    member_key("ref/", to, from)
}

/// The row that every new child of an object, and every new reference to it, rewrites. Who deletes the object (or takes
/// away what its users rely on) compares it with what was read before the users were counted.
pub fn link_key(uuid: Uuid) -> String {
    ["link/", text(uuid, &mut buffer())].concat()
}

/// The object a [`child_key`] or [`back_ref_key`] ends with.
pub fn parse_member_key(key: &str) -> Option<(ObjectType, Uuid)> {
    let mut parts = key.rsplitn(3, '/');
    let uuid = Uuid::parse_str(parts.next()?).ok()?;
    Some((ObjectType::from_str(parts.next()?).ok()?, uuid))
}

/// Prefix of the allotted ids of a pool. Pool names may contain `/` to nest them.
pub fn alloc_prefix(pool: &str) -> String {
    format!("alloc/{pool}/")
}

/// The row that says `id` of `pool` is taken.
pub fn alloc_key(pool: &str, id: impl Display) -> String {
    format!("alloc/{pool}/{id}")
}

/// The row of a number, padded so that keys sort as numbers do.
pub fn alloc_number_key(pool: &str, number: u64) -> String {
    format!("alloc/{pool}/{number:020}")
}

/// Where the next search in `pool` starts.
pub fn sequence_key(pool: &str) -> String {
    format!("seq/{pool}")
}

/// An object in the form the store keeps.
///
/// # Errors
/// [`StoreError::InvalidTxn`] if it has no JSON form.
pub fn encode(object: &Object) -> Result<Bytes, StoreError> {
    serde_json::to_vec(object).map(Bytes::from).map_err(|e| StoreError::InvalidTxn(e.to_string()))
}

/// The reverse of [`encode`].
///
/// # Errors
/// [`StoreError::Corrupt`] if it is not an object in the store's form.
pub fn decode(bytes: &[u8]) -> Result<Object, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// The rows beside the object's own: its place under its parent and in the objects it refers to.
fn index_keys(object: &Object) -> BTreeSet<String> {
    let me = (object.object_type, object.uuid);
    let parent = object.parent.iter().map(|parent| child_key(*parent, me));
    let refs = object
        .refs
        .iter()
        .flat_map(|(to, list)| list.iter().map(move |reference| back_ref_key((*to, reference.uuid), me)));
    parent.chain(refs).collect()
}

/// The writes that create `object` (`previous` is `None`) or replace its earlier form `previous`.
///
/// # Errors
/// As [`encode`].
pub fn put_ops(object: &Object, previous: Option<&Object>) -> Result<Vec<Op>, StoreError> {
    let mut ops = vec![Op::put(object_key(object.object_type, object.uuid), encode(object)?)];
    let new = index_keys(object);
    let old = previous.map(index_keys).unwrap_or_default();
    ops.extend(new.difference(&old).map(|key| Op::put(key.clone(), Bytes::new())));
    ops.extend(old.difference(&new).map(|key| Op::delete(key.clone())));
    if previous.is_none_or(|p| p.fq_name != object.fq_name) {
        let uuid = object.uuid.as_hyphenated().to_string();
        ops.push(Op::put(fq_key(object.object_type, &object.fq_name), uuid));
        if let Some(previous) = previous {
            ops.push(Op::delete(fq_key(previous.object_type, &previous.fq_name)));
        }
    }
    if previous.is_none() {
        ops.push(Op::put(id_key(object.uuid), object.object_type.name()));
    }
    Ok(ops)
}

/// The writes that remove all rows of `object`.
pub fn delete_ops(object: &Object) -> Vec<Op> {
    let mut ops = vec![
        Op::delete(object_key(object.object_type, object.uuid)),
        Op::delete(fq_key(object.object_type, &object.fq_name)),
        Op::delete(id_key(object.uuid)),
    ];
    ops.extend(index_keys(object).into_iter().map(Op::delete));
    ops
}
