//! Structures and scalar types used by properties and link attributes, one file per family.
//! Field names and order are the existing system's; absent and null are the same thing.

use crate::schema::{Complex, FieldInfo, Schema, StructInfo, ValueType};

mod common;
mod interface;
mod network;
mod policy;
mod routing;
mod scalars;
mod system;

pub use common::*;
pub use interface::*;
pub use network::*;
pub use policy::*;
pub use routing::*;
pub use scalars::*;
pub use system::*;
