//! What the roles say of themselves: routes, flows, drops, interfaces, status.

pub(crate) mod agents;
pub(crate) mod routes;
pub(crate) mod status;
