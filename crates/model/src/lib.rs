//! The configuration model: object types, their properties and references, validation, and the small value types
//! (names, route targets, MAC addresses) everybody shares. No I/O.
//!
//! Every object type is one declaration in [`objects`]; every structure one in [`types`]. From these come the Rust
//! structs, the JSON form, the legal parents and references, and validation.

#[macro_use]
mod macros;

mod error;
mod fq_name;
mod mac;
mod normalize;
mod object;
mod object_type;
mod route_target;
mod stored;

pub mod defaults;
pub mod objects;
pub mod schema;
pub mod secrets;
pub mod types;
pub mod validate;

pub use error::ModelError;
pub use fq_name::FqName;
pub use mac::MacAddress;
pub use object::{Change, Object, Reference, Typed, derived_uuid};
pub use objects::*;
pub use route_target::{Administrator, RouteTarget};
pub use schema::{FieldInfo, PropInfo, PropKind, RefInfo, StructInfo, TypeInfo, ValueType};
pub use stored::stored_name;
