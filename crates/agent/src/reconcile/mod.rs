//! Bringing the forwarder's tables to what they should be, and finding out when they are not.
//!
//! [`Plan`] is a pure difference of two [`Tables`]; [`Reconciler`] carries it out in an order in which nothing passes
//! that neither the old nor the new state would let pass, and nothing established is lost:
//!
//! 1. rule lists and verdicts, the more specific first; next hops;
//! 2. interfaces, labels, VNIs, bridge entries, routes that are new or different;
//! 3. routes, bridge entries, labels, VNIs, interfaces, verdicts that should not be;
//! 4. the generation of every VRF concerned: flows are judged again at their next packet;
//! 5. next hops and rule lists that nothing names any more.

mod plan;
mod run;

pub use plan::{Plan, Surplus};
pub use run::{AuditReport, Reconciler, Totals, read_tables};
