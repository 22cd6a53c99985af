//! The tables, by the names that user space pins them under. Sizes here are replaced when they are loaded.

use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{
    Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerCpuHashMap, ProgramArray, RingBuf,
};
use weft_dataplane::flow::{Flow, FlowKey4, FlowKey6, FragmentKey, FragmentPorts};
use weft_dataplane::judge;
use weft_dataplane::{
    BridgeEntry, BridgeKey, Config, Counters, DropKey, DropReason, Interface, Label, LpmKey4, LpmKey6,
    NextHop, Route, RuleList, TrapHeader, Verdict, VerdictKey, Vni, Vrf,
};

const NO_PREALLOC: u32 = 1;

#[map]
pub static CONFIG: Array<Config> = Array::with_max_entries(1, 0);
#[map]
pub static INTERFACES: HashMap<u32, Interface> = HashMap::with_max_entries(4352, 0);
#[map]
pub static NEXT_HOPS: Array<NextHop> = Array::with_max_entries(65_536, 0);
#[map]
pub static ROUTES4: LpmTrie<[u8; 8], Route> = LpmTrie::with_max_entries(262_144, NO_PREALLOC);
#[map]
pub static ROUTES6: LpmTrie<[u8; 20], Route> = LpmTrie::with_max_entries(131_072, NO_PREALLOC);
#[map]
pub static BRIDGE: HashMap<BridgeKey, BridgeEntry> = HashMap::with_max_entries(262_144, NO_PREALLOC);
#[map]
pub static LABELS: Array<Label> = Array::with_max_entries(65_536, 0);
#[map]
pub static VNIS: HashMap<u32, Vni> = HashMap::with_max_entries(8192, NO_PREALLOC);
#[map]
pub static VRFS: Array<Vrf> = Array::with_max_entries(4096, 0);
#[map]
pub static VERDICTS: LpmTrie<[u8; 12], Verdict> = LpmTrie::with_max_entries(524_288, NO_PREALLOC);
#[map]
pub static RULE_LISTS: Array<RuleList> = Array::with_max_entries(4096, 0);
#[map]
pub static FLOWS4: HashMap<FlowKey4, Flow> = HashMap::with_max_entries(262_144, 0);
#[map]
pub static FLOWS6: HashMap<FlowKey6, Flow> = HashMap::with_max_entries(131_072, 0);
#[map]
pub static FRAGMENTS: LruHashMap<FragmentKey, FragmentPorts> = LruHashMap::with_max_entries(8192, 0);
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(4352, 0);
#[map]
pub static DROPS: PerCpuHashMap<DropKey, u64> = PerCpuHashMap::with_max_entries(65_536, NO_PREALLOC);
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
/// The later stages of the programs, by `stage::*`.
#[map]
pub static STAGES: ProgramArray = ProgramArray::with_max_entries(16, 0);

/// Room for what is too large for the stack, and what a drop report wants to know from earlier on. Per CPU: programs
/// do not interrupt each other on one. Each part is taken by itself, through [`part`].
#[repr(C)]
pub struct Scratch {
    /// Built here, then copied into a flow table.
    pub flow: Flow,
    /// The slow stage's judgement.
    pub judgement: judge::Judgement,
    /// A flow key of either family is built here.
    pub key: [u64; 5],
    /// The packet's own flow key, in the slow stages.
    pub arrival_key: [u64; 5],
    /// A fragment key is built here.
    pub fragment: FragmentKey,
    /// A route key is built here.
    pub route: LpmKey6,
    /// What was judged, for the stage that sends.
    pub sending: Sending,
    /// The header of a trapped packet is built here.
    pub trap: TrapHeader,
    /// Zero.
    pub reserved: u32,
    /// What is said of drops.
    pub reporting: Reporting,
    /// Who refused the last judged packet.
    pub denial: Denial,
}

/// What the reporting stage knows and remembers.
#[repr(C)]
pub struct Reporting {
    /// Why the packet is dropped.
    pub reason: u32,
    /// The slot it is counted under.
    pub slot: u32,
    /// Second within which `events` were sent.
    pub event_second: u64,
    /// Events sent in that second.
    pub events: u32,
    /// Events left out since the last one.
    pub suppressed: u32,
}

/// What policy last said, for the report of a denial.
#[repr(C)]
pub struct Denial {
    /// The rule.
    pub rule: u32,
    /// Identity of the source.
    pub source: u32,
    /// Identity of the destination.
    pub destination: u32,
    /// Zero.
    pub reserved: u32,
}

/// A judged packet's way, between two stages.
#[repr(C)]
pub struct Sending {
    /// Index of the next hop.
    pub next_hop: u32,
    /// Not zero: the packet is for this vRouter itself.
    pub receive: u32,
    /// Not zero: the destination MAC stays.
    pub bridged: u32,
    /// Inner destination MAC.
    pub dmac: [u8; 6],
    /// UDP source port.
    pub source_port: [u8; 2],
}

/// The tables as `weft-dataplane` asks for them.
pub struct Kernel;

impl judge::Tables for Kernel {
    #[inline(always)]
    fn route4(&self, vrf: u16, addr: [u8; 4]) -> Option<&Route> {
        let key = LpmKey4::new(vrf, addr, 32);
        // SAFETY: both types are the prefix length followed by the same bytes.
        ROUTES4.get(unsafe { &*(&raw const key).cast::<Key<[u8; 8]>>() })
    }

    #[inline(always)]
    fn route6(&self, vrf: u16, addr: &[u8; 16]) -> Option<&Route> {
        let key = part!(route).ok()?;
        *key = LpmKey6::new(vrf, *addr, 128);
        // SAFETY: as in `route4`.
        ROUTES6.get(unsafe { &*(&raw const *key).cast::<Key<[u8; 20]>>() })
    }

    #[inline(always)]
    fn bridge(&self, key: &BridgeKey) -> Option<&BridgeEntry> {
        // SAFETY: entries are not preallocated, so they live until the program ends.
        unsafe { BRIDGE.get(key) }
    }

    #[inline(always)]
    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        NEXT_HOPS.get(index)
    }

    #[inline(always)]
    fn verdict(&self, key: &VerdictKey) -> Option<&Verdict> {
        // SAFETY: as in `route4`.
        VERDICTS.get(unsafe { &*(&raw const *key).cast::<Key<[u8; 12]>>() })
    }

    #[inline(always)]
    fn rule_list(&self, index: u32) -> Option<&RuleList> {
        RULE_LISTS.get(index)
    }

    #[inline(always)]
    fn generation(&self, vrf: u16) -> u32 {
        match VRFS.get(u32::from(vrf)) {
            Some(vrf) => vrf.generation,
            None => 0,
        }
    }
}

/// The interface with this ifindex.
#[inline(always)]
pub fn interface(ifindex: u32) -> Option<&'static Interface> {
    // SAFETY: a reader may see an entry being replaced; every bit pattern is a value.
    unsafe { INTERFACES.get(&ifindex) }
}

/// The configuration record.
#[inline(always)]
pub fn config() -> Result<&'static Config, DropReason> {
    CONFIG.get(0).ok_or(DropReason::NotConfigured)
}

/// One part of this CPU's scratch record, by its field's name: a reference to that part alone, so that functions which
/// call each other may hold different parts at the same time. No function takes the part that a caller of it holds.
macro_rules! part {
    ($field:ident) => {
        match $crate::maps::SCRATCH.get_ptr_mut(0) {
            // SAFETY: one program at a time runs on a CPU, and nobody else refers to this part (see above).
            Some(scratch) => Ok(unsafe { &mut (*scratch).$field }),
            None => Err(weft_dataplane::DropReason::Internal),
        }
    };
}
pub(crate) use part;

/// Counts a packet received from an interface.
#[inline(always)]
pub fn count_received(slot: u32, bytes: u32) {
    if let Some(counters) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: this CPU's own copy.
        unsafe {
            (*counters).rx_packets += 1;
            (*counters).rx_bytes += u64::from(bytes);
        }
    }
}

/// Counts a packet delivered to an interface.
#[inline(always)]
pub fn count_delivered(slot: u32, bytes: u32) {
    if let Some(counters) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: this CPU's own copy.
        unsafe {
            (*counters).tx_packets += 1;
            (*counters).tx_bytes += u64::from(bytes);
        }
    }
}
