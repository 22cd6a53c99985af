//! Identities: what an address *is* for policy, interned by the agent as a small integer.

/// No identity is known: never allotted to anything, and no verdict names it.
pub const UNKNOWN: u32 = 0;
