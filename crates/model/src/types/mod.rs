//! Structures and scalar types used by properties and link attributes, one file per family.
//! Field names and order are the existing system's; absent and null are the same thing.

use crate::schema::{Complex, FieldInfo, Schema, StructInfo, ValueType};

mod bgp;
mod common;
mod device;
mod fabric;
mod firewall;
mod interface;
mod loadbalancer;
mod network;
mod nodes;
mod policy;
mod qos;
mod routing;
mod scalars;
mod service;
mod system;
mod telemetry;

pub use bgp::*;
pub use common::*;
pub use device::*;
pub use fabric::*;
pub use firewall::*;
pub use interface::*;
pub use loadbalancer::*;
pub use network::*;
pub use nodes::*;
pub use policy::*;
pub use qos::*;
pub use routing::*;
pub use scalars::*;
pub use service::*;
pub use system::*;
pub use telemetry::*;
