//! Configuration as the controller delivers it, and the typed picture of this host made from it.
//!
//! Pure: [`Database`] holds nodes and links as they came, [`View::build`] walks them. A node that contradicts the
//! schema costs its own part of the picture and is reported in [`View::problems`], never more.

mod acl;
mod database;
mod subnet;
mod view;

pub use acl::{Acl, Action, Family, NO_MATCH_RULE, PortRange, Rule, Selector};
pub use database::{Database, NodeKey};
pub use subnet::{DnsMethod, Ipam, Subnet};
pub use view::{Encapsulation, ForwardingMode, Global, Interface, Network, SecurityGroup, View};
