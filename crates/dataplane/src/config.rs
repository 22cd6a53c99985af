//! What all programs need to know of the host, and the sizes of the tables.

/// `Config::flags`: send packets whose TTL ran out to the agent instead of dropping them.
pub const CONFIG_TRAP_TTL: u32 = 1;

/// One record, written by the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// [`crate::SCHEMA_VERSION`] of the maps beside it.
    pub schema: u32,
    /// `CONFIG_*`.
    pub flags: u32,
    /// The interface towards the underlay.
    pub fabric_ifindex: u32,
    /// The agent's TAP; zero when there is none (traps are then dropped).
    pub pkt0_ifindex: u32,
    /// Our address in the underlay: tunnelled packets to any other go to the host.
    pub tunnel_ip: [u8; 4],
    /// Bytes the underlay carries, outer IP header included.
    pub fabric_mtu: u32,
    /// Seed of the flow hash, random per boot.
    pub hash_seed: u32,
    /// Counter slot of the fabric interface.
    pub fabric_slot: u32,
    /// UDP port on which MPLS arrives and to which it is sent; zero means 6635.
    pub mpls_port: u16,
    /// UDP port of VXLAN; zero means 4789.
    pub vxlan_port: u16,
    /// The fabric interface's own MAC.
    pub fabric_mac: [u8; 6],
    /// The gateway's MAC in every network: frames to it from VXLAN or an L2 label of a network are routed.
    pub gateway_mac: [u8; 6],
    /// Events a CPU may send per second; zero means none.
    pub events_per_second: u32,
    /// Zero.
    pub reserved2: [u32; 3],
}

/// Sizes of the tables, fixed when the maps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Interfaces.
    pub interfaces: u32,
    /// Counter slots (dense, index < this).
    pub slots: u32,
    /// VRFs (index < this).
    pub vrfs: u32,
    /// IPv4 routes over all VRFs.
    pub routes4: u32,
    /// IPv6 routes over all VRFs.
    pub routes6: u32,
    /// Bridge entries over all VRFs.
    pub bridge: u32,
    /// MPLS labels (label < this).
    pub labels: u32,
    /// VXLAN identifiers.
    pub vnis: u32,
    /// Next hops (index < this).
    pub next_hops: u32,
    /// Verdicts.
    pub verdicts: u32,
    /// Rule lists (index < this).
    pub rule_lists: u32,
    /// IPv4 flow entries: two per session.
    pub flows4: u32,
    /// IPv6 flow entries: two per session.
    pub flows6: u32,
    /// Datagrams whose fragments are being followed.
    pub fragments: u32,
    /// Bytes of the event ring; a power of two.
    pub event_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            interfaces: 4352,
            slots: 4352,
            vrfs: 4096,
            routes4: 262_144,
            routes6: 131_072,
            bridge: 262_144,
            labels: 65_536,
            vnis: 8192,
            next_hops: 65_536,
            verdicts: 524_288,
            rule_lists: 4096,
            flows4: 262_144,
            flows6: 131_072,
            fragments: 8192,
            event_bytes: 1 << 18,
        }
    }
}

/// Slots of the table of program stages.
pub mod stage {
    /// `workload6`.
    pub const WORKLOAD6: u32 = 0;
    /// `workload_new4`.
    pub const WORKLOAD_NEW4: u32 = 1;
    /// `workload_new6`.
    pub const WORKLOAD_NEW6: u32 = 2;
    /// `fabric6`.
    pub const FABRIC6: u32 = 3;
    /// `fabric_new4`.
    pub const FABRIC_NEW4: u32 = 4;
    /// `fabric_new6`.
    pub const FABRIC_NEW6: u32 = 5;
    /// `dropped`.
    pub const DROPPED: u32 = 6;
    /// `neighbour`.
    pub const NEIGHBOUR: u32 = 7;
    /// `workload_send4`.
    pub const WORKLOAD_SEND4: u32 = 8;
    /// `workload_send6`.
    pub const WORKLOAD_SEND6: u32 = 9;
    /// `fabric_send4`.
    pub const FABRIC_SEND4: u32 = 10;
    /// `fabric_send6`.
    pub const FABRIC_SEND6: u32 = 11;
    /// Every stage with its program's name.
    pub const ALL: [(u32, &str); 12] = [
        (WORKLOAD6, "workload6"),
        (WORKLOAD_NEW4, "workload_new4"),
        (WORKLOAD_NEW6, "workload_new6"),
        (FABRIC6, "fabric6"),
        (FABRIC_NEW4, "fabric_new4"),
        (FABRIC_NEW6, "fabric_new6"),
        (DROPPED, "dropped"),
        (NEIGHBOUR, "neighbour"),
        (WORKLOAD_SEND4, "workload_send4"),
        (WORKLOAD_SEND6, "workload_send6"),
        (FABRIC_SEND4, "fabric_send4"),
        (FABRIC_SEND6, "fabric_send6"),
    ];
}
