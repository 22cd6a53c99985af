//! Making derived objects: their names, identities and common properties.

use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::types::AclEntriesType;
use weft_model::{FqName, Object, ObjectType, Reference, RouteTarget, derived_uuid};

/// A derived object under `parent`, with the properties every object has.
pub(crate) fn object(object_type: ObjectType, fq_name: FqName, parent: Option<(ObjectType, Uuid)>) -> Object {
    let uuid = derived_uuid(object_type, &fq_name);
    let mut object = Object::new(object_type, uuid, fq_name);
    object.parent = parent;
    let (high, low) = uuid.as_u64_pair();
    let id = json!({"uuid_mslong": high, "uuid_lslong": low});
    object.props.insert("id_perms".into(), json!({"enable": true, "user_visible": true, "uuid": id}));
    object.props.insert("display_name".into(), object.fq_name.last().into());
    object
}

/// An access control list with these entries.
pub(crate) fn acl(parent: (ObjectType, Uuid), fq_name: FqName, entries: AclEntriesType) -> Arc<Object> {
    let mut acl = object(ObjectType::AccessControlList, fq_name, Some(parent));
    // A struct of texts, numbers and lists always has a JSON form.
    let entries = serde_json::to_value(entries).unwrap_or_else(|_| Value::Object(Map::new()));
    acl.props.insert("access_control_list_entries".into(), entries);
    Arc::new(acl)
}

/// The name of a network's default routing instance: the network's name, then its last part again.
pub(crate) fn instance_name(network: &FqName) -> FqName {
    network.child(network.last())
}

/// A reference to a derived object.
pub(crate) fn reference(object_type: ObjectType, fq_name: FqName, attr: Option<Value>) -> Reference {
    Reference { uuid: derived_uuid(object_type, &fq_name), fq_name, attr }
}

/// The name of a route target as an object.
pub(crate) fn target_name(target: RouteTarget) -> FqName {
    FqName::new([target.to_string()])
}

/// The identity of a route target as an object.
pub(crate) fn target_uuid(target: RouteTarget) -> Uuid {
    derived_uuid(ObjectType::RouteTarget, &target_name(target))
}
