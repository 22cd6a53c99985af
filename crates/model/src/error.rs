//! Errors of the model. Their texts are shown to REST clients as they are.

use crate::{FqName, ObjectType};

/// What is wrong with a value, a name or an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A value does not have the type or the limits of its field.
    #[error("invalid value {value} for {path}: {reason}")]
    Value {
        /// Dotted path of the field.
        path: String,
        /// The offending value as (shortened) JSON.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// A structure has no such field.
    #[error("class {class} does not have field {field} (at {path})")]
    UnknownField {
        /// Structure name.
        class: &'static str,
        /// The unknown key.
        field: String,
        /// Dotted path of the structure.
        path: String,
    },
    /// An object type has no such property.
    #[error("{} has no property {name}", object_type.name())]
    UnknownProperty {
        /// The object type.
        object_type: ObjectType,
        /// The unknown key.
        name: String,
    },
    /// An object type may not refer to that type.
    #[error("{} may not refer to {}", from.name(), to.name())]
    UnknownReference {
        /// The referring type.
        from: ObjectType,
        /// The target type.
        to: ObjectType,
    },
    /// No object type of that name.
    #[error("object type {0:?} not found")]
    UnknownType(String),
    /// A name is not a legal fully qualified name.
    #[error("invalid fq_name {name}: {reason}")]
    Name {
        /// The name as given.
        name: FqName,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A text is not a route target.
    #[error("invalid route target {0:?}: expected target:<asn or address>:<number>")]
    RouteTarget(String),
    /// A text is not a MAC address.
    #[error("invalid MAC address {0:?}")]
    Mac(String),
    /// A stored object does not have the stored form.
    #[error("malformed object: {0}")]
    Malformed(String),
}
