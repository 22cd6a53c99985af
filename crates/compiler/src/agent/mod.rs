//! The configuration each agent has to hold.
//!
//! Objects and links form a graph. An agent gets what a walk over white-listed links reaches from its virtual-router and
//! the virtual machines it subscribed to; [`agents`] keeps that set for each agent up to date as the graph changes.

mod agents;
mod changes;
mod schema;
mod view;
mod whitelist;

pub(crate) use agents::Agents;
pub(crate) use changes::{Batch, Touched};
pub(crate) use view::View;
