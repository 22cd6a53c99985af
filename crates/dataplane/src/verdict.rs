//! Policy as the kernel reads it: a longest-prefix table from {who, whom, direction, protocol, port} to a verdict.

/// Which side of a flow the near end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// The near end opened the flow: judged on the sender's host.
    Egress = 0,
    /// The far end opened the flow: judged on the receiver's host.
    Ingress = 1,
}

/// Key bits of {near, far, direction}: the least a key may have.
pub const VERDICT_BITS_PAIR: u32 = 72;
/// Key bits with the protocol.
pub const VERDICT_BITS_PROTOCOL: u32 = 80;
/// Key bits with the whole destination port.
pub const VERDICT_BITS_ALL: u32 = 96;

/// Longest-prefix key. A wildcard is a shorter prefix: any protocol (72 bits), any port (80), a power-of-two
/// aligned port range (81..95), one port (96). ICMP and protocols without ports use port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct VerdictKey {
    /// Bits that count.
    pub prefix_len: u32,
    /// Identity of the near (local) end, big endian.
    pub near: [u8; 4],
    /// Identity of the far end, big endian.
    pub far: [u8; 4],
    /// [`Direction`].
    pub direction: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Destination port (of the packet that opened the flow), big endian.
    pub port: [u8; 2],
}

impl VerdictKey {
    /// The key for all protocols and ports between two ends.
    #[must_use]
    pub const fn pair(near: u32, far: u32, direction: Direction) -> Self {
        VerdictKey {
            prefix_len: VERDICT_BITS_PAIR,
            near: near.to_be_bytes(),
            far: far.to_be_bytes(),
            direction: direction as u8,
            protocol: 0,
            port: [0; 2],
        }
    }

    /// The key for all ports of a protocol.
    #[must_use]
    pub const fn protocol(near: u32, far: u32, direction: Direction, protocol: u8) -> Self {
        let mut key = Self::pair(near, far, direction);
        key.prefix_len = VERDICT_BITS_PROTOCOL;
        key.protocol = protocol;
        key
    }

    /// The key for the ports whose first `bits` (0..=16) bits are those of `port`.
    #[must_use]
    pub const fn ports(near: u32, far: u32, direction: Direction, protocol: u8, port: u16, bits: u8) -> Self {
        let bits = if bits > 16 { 16 } else { bits };
        let mask = if bits == 0 { 0 } else { u16::MAX << (16 - bits) };
        let mut key = Self::protocol(near, far, direction, protocol);
        key.prefix_len = VERDICT_BITS_PROTOCOL + bits as u32;
        key.port = (port & mask).to_be_bytes();
        key
    }

    /// The key that a packet is looked up with.
    #[inline(always)]
    #[must_use]
    pub const fn lookup(near: u32, far: u32, direction: Direction, protocol: u8, port: u16) -> Self {
        VerdictKey {
            prefix_len: VERDICT_BITS_ALL,
            near: near.to_be_bytes(),
            far: far.to_be_bytes(),
            direction: direction as u8,
            protocol,
            port: port.to_be_bytes(),
        }
    }
}

/// `Verdict::action`: drop.
pub const ACTION_DENY: u32 = 0;
/// `Verdict::action`: forward.
pub const ACTION_ALLOW: u32 = 1;
/// `Verdict::action`: the first matching entry of the rule list `list` decides; none: deny by `rule`.
pub const ACTION_LIST: u32 = 2;

/// What a key's flows may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Verdict {
    /// `ACTION_*`.
    pub action: u32,
    /// Number of the rule that decided, allotted by the agent (it knows the UUID); zero if none.
    pub rule: u32,
    /// Index of the rule list when `action` is `ACTION_LIST`.
    pub list: u32,
}

/// Entries of a rule list.
pub const RULE_LIST_ENTRIES: usize = 16;

/// One entry of a rule list: both port ranges must hold (inclusive; ports in native order).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortRule {
    /// First source port.
    pub source_low: u16,
    /// Last source port.
    pub source_high: u16,
    /// `ACTION_ALLOW` or `ACTION_DENY`.
    pub action: u16,
    /// Zero.
    pub reserved: u16,
    /// Number of the rule.
    pub rule: u32,
}

/// A short ordered list of rules that look at the source port. The first match decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RuleList {
    /// Entries in use.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// The entries.
    pub rules: [PortRule; RULE_LIST_ENTRIES],
}

/// The outcome of policy for one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the flow may be.
    pub allow: bool,
    /// Whether a rule spoke at all.
    pub found: bool,
    /// The rule's number, zero if none.
    pub rule: u32,
}
