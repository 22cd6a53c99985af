//! What the forwarder tells the agent of without being asked, through a ring buffer.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A packet was dropped.
    Drop = 1,
}

/// One event. Rate limited per CPU: `suppressed` says how many were left out before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// [`EventKind`].
    pub kind: u8,
    /// `DropReason`.
    pub reason: u8,
    /// 4, 6 or 0 when the packet was not parsed that far.
    pub family: u8,
    /// IP protocol.
    pub protocol: u8,
    /// Counter slot of the interface.
    pub slot: u32,
    /// The interface the packet came from.
    pub ifindex: u32,
    /// Number of the rule, zero if none.
    pub rule: u32,
    /// Identity of the source, if it was looked up.
    pub source_identity: u32,
    /// Identity of the destination, if it was looked up.
    pub destination_identity: u32,
    /// Source address; IPv4 in the first four bytes.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port, network order.
    pub sport: [u8; 2],
    /// Destination port, network order.
    pub dport: [u8; 2],
    /// VRF.
    pub vrf: u16,
    /// Zero.
    pub reserved: u16,
    /// Bytes of the packet.
    pub length: u32,
    /// Events left out on this CPU since the last one.
    pub suppressed: u32,
    /// MPLS label or VNI for packets from the fabric, else zero.
    pub label: u32,
    /// Zero.
    pub reserved2: u32,
    /// Zero.
    pub reserved3: u64,
}
