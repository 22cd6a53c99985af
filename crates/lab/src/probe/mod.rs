//! Probes: real packets between workloads, with an account of which request was seen where and which answer came back.
//!
//! Every request carries an identifier and a sequence number. Each workload taking part has a [`stations::Station`] that
//! notes every request arriving there, so it is known who answered even where two tenants use the same address.

pub(crate) mod icmp;
pub(crate) mod ledger;
pub(crate) mod record;
pub(crate) mod shot;
pub(crate) mod stations;
pub(crate) mod stream;

#[cfg(test)]
mod tests;
