//! One configuration object: name, parent, references, properties; its stored form and its typed view.

use crate::schema::TypeInfo;
use crate::{FqName, ModelError, ObjectType};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Namespace of the uuids of derived objects.
const DERIVED_NAMESPACE: Uuid = Uuid::from_u128(0x5765_6674_6465_4269_8465_6400_0000_0001);

/// A reference to another object.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The target.
    pub uuid: Uuid,
    /// The target's name (names never change).
    pub fq_name: FqName,
    /// The link attribute, checked against the declaration.
    pub attr: Option<Value>,
}

impl Reference {
    /// The link attribute as its Rust type; the default when there is none.
    pub fn attribute<T: DeserializeOwned + Default>(&self) -> Result<T, ModelError> {
        match &self.attr {
            Some(value) => T::deserialize(value).map_err(|e| ModelError::Malformed(e.to_string())),
            None => Ok(T::default()),
        }
    }
}

/// A configuration object. Properties hold no nulls; defaults are not stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its type.
    pub object_type: ObjectType,
    /// Its identity.
    pub uuid: Uuid,
    /// Its name.
    pub fq_name: FqName,
    /// The object it lives under; `None` at the root.
    pub parent: Option<(ObjectType, Uuid)>,
    /// References by target type.
    pub refs: BTreeMap<ObjectType, Vec<Reference>>,
    /// Properties by JSON name.
    pub props: Map<String, Value>,
}

/// The properties of an object type as a Rust struct (generated).
pub trait Typed: DeserializeOwned {
    /// The object type.
    const TYPE: ObjectType;
    /// Its declaration.
    const INFO: &'static TypeInfo;
}

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The object was created or changed; this is its new state.
    Put(Arc<Object>),
    /// The object is gone.
    Delete {
        /// Its type.
        object_type: ObjectType,
        /// Its identity.
        uuid: Uuid,
        /// Its name.
        fq_name: FqName,
    },
}

/// The uuid of a derived object: the same name always gives the same uuid.
pub fn derived_uuid(object_type: ObjectType, fq_name: &FqName) -> Uuid {
    Uuid::new_v5(&DERIVED_NAMESPACE, format!("{}:{fq_name}", object_type.name()).as_bytes())
}

impl Object {
    /// An object with no references and no properties.
    pub fn new(object_type: ObjectType, uuid: Uuid, fq_name: FqName) -> Self {
        Self { object_type, uuid, fq_name, parent: None, refs: BTreeMap::new(), props: Map::new() }
    }

    /// A property as its Rust type; the declared default when absent.
    pub fn property<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ModelError> {
        let fail = |e: serde_json::Error| ModelError::Malformed(format!("{}.{name}: {e}", self.object_type));
        if let Some(value) = self.props.get(name) {
            return T::deserialize(value).map(Some).map_err(fail);
        }
        let default = self.object_type.info().prop(name).and_then(|p| p.default_value());
        default.map(|value| T::deserialize(value).map_err(fail)).transpose()
    }

    /// References to one type; empty when there are none.
    pub fn refs_to(&self, to: ObjectType) -> &[Reference] {
        self.refs.get(&to).map_or(&[], Vec::as_slice)
    }

    /// All properties as the generated struct, declared defaults filled in.
    pub fn typed<T: Typed>(&self) -> Result<T, ModelError> {
        if T::TYPE != self.object_type {
            return Err(ModelError::Malformed(format!("{} is not a {}", self.object_type, T::TYPE)));
        }
        let mut props = self.props.clone();
        for prop in T::INFO.props {
            if let Some(default) = prop.default_value() {
                props.entry(prop.name).or_insert(default);
            }
        }
        T::deserialize(Value::Object(props)).map_err(|e| ModelError::Malformed(format!("{}: {e}", T::TYPE)))
    }

    /// The stored form as a tree; the object itself is [`serde::Serialize`], which is faster.
    pub fn to_json(&self) -> Value {
        // Names, identities and values that come from JSON have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads the stored form. Properties are taken as they are: they were checked when they were written.
    pub fn from_json(value: &Value) -> Result<Self, ModelError> {
        Self::deserialize(value).map_err(|e| ModelError::Malformed(e.to_string()))
    }
}
