//! Names of object types: display, parsing, JSON.

use crate::{ModelError, ObjectType};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

static BY_NAME: LazyLock<HashMap<&'static str, ObjectType>> =
    LazyLock::new(|| ObjectType::ALL.iter().flat_map(|t| [(t.name(), *t), (t.json_name(), *t)]).collect());

static BY_COLLECTION: LazyLock<HashMap<&'static str, ObjectType>> =
    LazyLock::new(|| ObjectType::ALL.iter().map(|t| (t.collection(), *t)).collect());

impl ObjectType {
    /// The type of a collection in URLs, e.g. `virtual-networks`.
    pub fn from_collection(name: &str) -> Option<ObjectType> {
        BY_COLLECTION.get(name).copied()
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ObjectType {
    type Err = ModelError;

    /// Accepts the kebab-case and the snake-case name.
    fn from_str(text: &str) -> Result<Self, ModelError> {
        let found = BY_NAME.get(text).copied();
        found.ok_or_else(|| ModelError::UnknownType(text.chars().take(64).collect()))
    }
}

impl Serialize for ObjectType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ObjectType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name)
    }
}

/// Reads a name where it stands: every object that is read has several.
struct Name;

impl Visitor<'_> for Name {
    type Value = ObjectType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an object type")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ObjectType, E> {
        text.parse().map_err(E::custom)
    }
}
