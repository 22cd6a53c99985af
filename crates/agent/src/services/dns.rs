//! DNS relay.
