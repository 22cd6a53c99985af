//! The compiler: configuration in, intent out. Pure: no I/O, no clock, no randomness.
//!
//! Configuration objects ([`weft_model::Change`]) go in; routing instances with their import and export targets,
//! access control lists, derived references and the configuration each agent has to hold come out as deltas.
//!
//! The shape is a hand-written graph of nodes. Each node keeps one row per key, can compute any row from the rows
//! before it, and hands the rows that really changed to the nodes that declared a dependency on it ([`edges`]).
//! Two things always hold, and property tests check them over random edits:
//!
//! - incremental equals from scratch: whatever the history, the intent and every agent's configuration are those a new
//!   compiler gives for the same objects;
//! - order does not matter: the same set of objects gives the same intent in whatever order it arrived.
//!
//! Bad or dangling configuration never fails: the part concerned is left out (nothing is opened by a mistake) and a
//! [`Problem`] in the intent says what and why.

mod acl;
mod agent;
mod compiler;
mod derived;
mod edges;
mod engine;
mod intent;
mod nodes;
mod objects;
mod output;
mod packed;
mod problem;
mod rule;

pub use compiler::Compiler;
pub use intent::{Delta, DerivedRefs, Intent, RiChange, RoutingInstance};
pub use problem::{Problem, ProblemKind, Stage};
