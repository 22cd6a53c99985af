//! Headers in front of packets that go up to the agent and come down from it, on the pkt0 TAP.
//!
//! Up: `TrapHeader` then the whole Ethernet frame as the workload sent it. Down: `InjectHeader` then a frame.

/// "WEFT": the first bytes of a trapped packet, and bytes 14..18 of an injected one.
pub const MAGIC: [u8; 4] = *b"WEFT";
/// Frames trapped for `MtuExceeded` and `TtlExceeded` are cut to this many bytes.
pub const TRAP_SNAP_BYTES: u32 = 590;

/// Why a packet went up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TrapReason {
    /// A DHCPv4 request.
    Dhcp = 1,
    /// A DHCPv6 request.
    Dhcp6 = 2,
    /// An IPv6 router solicitation.
    RouterSolicitation = 3,
    /// A DNS query over UDP to the network's DNS address.
    Dns = 4,
    /// Too big for the tunnel and not to be fragmented (IPv4 DF, or IPv6): cut to `TRAP_SNAP_BYTES`. `mtu` is what fits.
    MtuExceeded = 5,
    /// Too big for the tunnel, may be fragmented: the whole packet. `mtu` is what fits.
    Fragment = 6,
    /// The TTL ran out: cut to `TRAP_SNAP_BYTES`.
    TtlExceeded = 7,
}

impl TrapReason {
    /// The reason with this number.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<TrapReason> {
        Some(match value {
            1 => TrapReason::Dhcp,
            2 => TrapReason::Dhcp6,
            3 => TrapReason::RouterSolicitation,
            4 => TrapReason::Dns,
            5 => TrapReason::MtuExceeded,
            6 => TrapReason::Fragment,
            7 => TrapReason::TtlExceeded,
            _ => return None,
        })
    }
}

/// In front of each packet that the agent reads. Numbers in native order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TrapHeader {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`TrapReason`].
    pub reason: u8,
    /// Zero.
    pub reserved: u8,
    /// VRF of the interface.
    pub vrf: u16,
    /// The workload interface the packet came from.
    pub ifindex: u32,
    /// For the MTU reasons: the largest inner IP packet that fits.
    pub mtu: u32,
    /// Bytes of the frame before it was cut.
    pub length: u32,
    /// Zero.
    pub reserved2: [u32; 3],
}

/// `InjectHeader::action`: transmit the frame to the workload interface, as it is.
pub const INJECT_DELIVER: u8 = 1;
/// `InjectHeader::action`: handle the frame as if the workload interface had sent it.
pub const INJECT_FORWARD: u8 = 2;

/// In front of each packet that the agent writes. Its first 14 bytes look like an IPv4 Ethernet header, because the
/// TAP takes the packet's type from there. Numbers in native order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct InjectHeader {
    /// Zero.
    pub fake_macs: [u8; 12],
    /// 0x0800.
    pub fake_type: [u8; 2],
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// `INJECT_*`.
    pub action: u8,
    /// Zero.
    pub reserved: u8,
    /// The workload interface, native byte order.
    pub ifindex: [u8; 4],
    /// Zero.
    pub reserved2: [u8; 8],
}

impl InjectHeader {
    /// A header for a frame that concerns the workload interface `ifindex`.
    #[must_use]
    pub const fn new(action: u8, ifindex: u32) -> Self {
        InjectHeader {
            fake_macs: [0; 12],
            fake_type: [8, 0],
            magic: MAGIC,
            action,
            reserved: 0,
            ifindex: ifindex.to_ne_bytes(),
            reserved2: [0; 8],
        }
    }
}
