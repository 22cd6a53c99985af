//! An object as the store keeps it: JSON, read and written without a tree in between.

use crate::{FqName, Object, ObjectType, Reference};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Fields in the order of their names, so that equal objects have equal bytes.
#[derive(Serialize)]
struct Written<'a> {
    fq_name: &'a FqName,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_type: Option<ObjectType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_uuid: Option<Uuid>,
    props: &'a Map<String, Value>,
    refs: Refs<'a>,
    #[serde(rename = "type")]
    object_type: ObjectType,
    uuid: Uuid,
}

struct Refs<'a>(&'a BTreeMap<ObjectType, Vec<Reference>>);

impl Serialize for Refs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (to, list) in self.0.iter().filter(|(_, list)| !list.is_empty()) {
            map.serialize_entry(to, list)?;
        }
        map.end()
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(attr) = &self.attr {
            map.serialize_entry("attr", attr)?;
        }
        map.serialize_entry("fq_name", &self.fq_name)?;
        map.serialize_entry("uuid", &self.uuid)?;
        map.end()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            fq_name: &self.fq_name,
            parent_type: self.parent.map(|parent| parent.0),
            parent_uuid: self.parent.map(|parent| parent.1),
            props: &self.props,
            refs: Refs(&self.refs),
            object_type: self.object_type,
            uuid: self.uuid,
        };
        written.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct Read {
    fq_name: FqName,
    #[serde(default)]
    parent_type: Option<ObjectType>,
    #[serde(default)]
    parent_uuid: Option<Uuid>,
    props: Map<String, Value>,
    refs: BTreeMap<ObjectType, Vec<ReadReference>>,
    #[serde(rename = "type")]
    object_type: ObjectType,
    uuid: Uuid,
}

#[derive(Deserialize)]
struct ReadReference {
    #[serde(default)]
    attr: Option<Value>,
    fq_name: FqName,
    uuid: Uuid,
}

/// Properties are taken as they are: they were checked when they were written.
impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let parent = match (read.parent_type, read.parent_uuid) {
            (Some(parent_type), Some(uuid)) => Some((parent_type, uuid)),
            (None, _) => None,
            (Some(_), None) => return Err(D::Error::missing_field("parent_uuid")),
        };
        let reference =
            |read: ReadReference| Reference { uuid: read.uuid, fq_name: read.fq_name, attr: read.attr };
        let refs = read.refs.into_iter().map(|(to, list)| (to, list.into_iter().map(reference).collect()));
        Ok(Self {
            object_type: read.object_type,
            uuid: read.uuid,
            fq_name: read.fq_name,
            parent,
            refs: refs.collect(),
            props: read.props,
        })
    }
}

/// The name alone of an object in stored form.
///
/// # Errors
/// If it is not JSON with a name.
pub fn stored_name(bytes: &[u8]) -> Result<FqName, serde_json::Error> {
    #[derive(Deserialize)]
    struct Named {
        fq_name: FqName,
    }
    serde_json::from_slice(bytes).map(|named: Named| named.fq_name)
}
