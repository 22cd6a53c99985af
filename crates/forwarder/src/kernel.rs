//! The real forwarder: programs and tables in the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_dataplane::flow::{Flow, FlowKey, FlowKey4, FlowKey6};
use weft_dataplane::tables::{LABEL_NONE, NEXT_HOP_DISCARD};
use weft_dataplane::{
    BridgeEntry, BridgeKey, Config, Counters, DropKey, DropReason, Event, Interface, Label, Limits, LpmKey4,
    LpmKey6, NextHop, Pod, Route, RuleList, SCHEMA_VERSION, Verdict, VerdictKey, Vni, Vrf,
};

use crate::ageing::Ageing;
use crate::table::{PerCpuTable, Table};
use crate::{
    AgeOptions, AgeReport, Datapath, DropCount, FlowFilter, FlowRecord, ForwarderError, SlotCounters,
};
use crate::{links, loader, sys};

type Result<T> = std::result::Result<T, ForwarderError>;

/// How to open a forwarder.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory for the pins; a bpf file system is mounted there if it is not in one.
    pub bpf_dir: PathBuf,
    /// Sizes of tables that have to be made; adopted ones keep theirs.
    pub limits: Limits,
}

impl Options {
    /// Default sizes.
    #[must_use]
    pub fn new(bpf_dir: impl Into<PathBuf>) -> Self {
        Options { bpf_dir: bpf_dir.into(), limits: Limits::default() }
    }
}

struct Tables {
    config: Table<u32, Config>,
    interfaces: Table<u32, Interface>,
    next_hops: Table<u32, NextHop>,
    routes4: Table<LpmKey4, Route>,
    routes6: Table<LpmKey6, Route>,
    bridge: Table<BridgeKey, BridgeEntry>,
    labels: Table<u32, Label>,
    vnis: Table<u32, Vni>,
    vrfs: Table<u32, Vrf>,
    verdicts: Table<VerdictKey, Verdict>,
    rule_lists: Table<u32, RuleList>,
    flows4: Table<FlowKey4, Flow>,
    flows6: Table<FlowKey6, Flow>,
    counters: PerCpuTable<u32, Counters>,
    drops: PerCpuTable<DropKey, u64>,
}

impl Tables {
    fn open(directory: &Path) -> Result<Self> {
        Ok(Tables {
            config: Table::open(directory, "CONFIG")?,
            interfaces: Table::open(directory, "INTERFACES")?,
            next_hops: Table::open(directory, "NEXT_HOPS")?,
            routes4: Table::open(directory, "ROUTES4")?,
            routes6: Table::open(directory, "ROUTES6")?,
            bridge: Table::open(directory, "BRIDGE")?,
            labels: Table::open(directory, "LABELS")?,
            vnis: Table::open(directory, "VNIS")?,
            vrfs: Table::open(directory, "VRFS")?,
            verdicts: Table::open(directory, "VERDICTS")?,
            rule_lists: Table::open(directory, "RULE_LISTS")?,
            flows4: Table::open(directory, "FLOWS4")?,
            flows6: Table::open(directory, "FLOWS6")?,
            counters: PerCpuTable::open(directory, "COUNTERS")?,
            drops: PerCpuTable::open(directory, "DROPS")?,
        })
    }
}

/// Programs and tables in the kernel, for the network namespace of the thread that opened it.
pub struct Forwarder {
    directory: PathBuf,
    ebpf: Mutex<Ebpf>,
    tables: Tables,
    events: Mutex<RingBuf<MapData>>,
    ageing: Ageing,
    /// Serialises read-change-write of generations.
    generations: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forwarder {
    /// Loads the programs. Tables and links that a process of the same schema left under `bpf_dir` are adopted, the
    /// links' programs replaced in place.
    ///
    /// # Errors
    /// The bpf file system, the verifier or a table said no.
    pub fn open(options: &Options) -> Result<Self> {
        let directory = options.bpf_dir.clone();
        loader::prepare(&directory)?;
        let mut ebpf = loader::load(&directory, &options.limits)?;
        let tables = Tables::open(&loader::tables_directory(&directory))?;
        let config = tables.config.get(&0)?.unwrap_or_else(Config::zeroed);
        tables.config.put(&0, &Config { schema: SCHEMA_VERSION, ..config })?;
        links::replace_all(&mut ebpf, &directory)?;
        let events = open_events(&directory)?;
        Ok(Forwarder {
            directory,
            ebpf: Mutex::new(ebpf),
            tables,
            events: Mutex::new(events),
            ageing: Ageing::default(),
            generations: Mutex::new(()),
        })
    }

    /// Removes every pin under the directory: programs leave their interfaces, tables are freed when the last
    /// process that has them open ends.
    ///
    /// # Errors
    /// A pin could not be removed.
    pub fn remove_pins(bpf_dir: &Path) -> Result<()> {
        loader::discard(bpf_dir)
    }

    /// Runs a program (`workload`, `fabric`, `pkt0`, or a stage) on a frame as if it had arrived on `ifindex` (which
    /// must be an interface of this namespace); returns its verdict (2 dropped, 7 redirected, -1 passed on) and the
    /// frame as the program left it.
    ///
    /// # Errors
    /// The kernel refuses frames shorter than an Ethernet header, and unknown interfaces.
    pub fn test_run(&self, program: &str, ifindex: u32, packet: &[u8]) -> Result<(i32, Vec<u8>)> {
        let mut context = [0u8; CONTEXT_BYTES];
        for at in [CONTEXT_INGRESS_IFINDEX, CONTEXT_IFINDEX] {
            if let Some(field) = context.get_mut(at..at + 4) {
                field.copy_from_slice(&ifindex.to_ne_bytes());
            }
        }
        let mut out = vec![0u8; packet.len() + 256];
        let mut ebpf = lock(&self.ebpf);
        let program = loader::classifier(&mut ebpf, program)?;
        let fd = program.fd().map_err(|e| ForwarderError::Load(loader::chain(&e)))?;
        let (verdict, length) =
            sys::test_run(fd.as_fd(), packet, &context, &mut out).map_err(ForwarderError::TestRun)?;
        out.truncate(length);
        Ok((verdict.cast_signed(), out))
    }

    /// Instructions that the verifier processed for each program: (name, instructions).
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn verified_instructions(&self) -> Result<Vec<(String, u32)>> {
        let ebpf = lock(&self.ebpf);
        let mut counts = Vec::new();
        for (name, program) in ebpf.programs() {
            let info = program.info().map_err(|e| ForwarderError::Load(loader::chain(&e)))?;
            counts.push((name.to_owned(), info.verified_instruction_count().unwrap_or(0)));
        }
        counts.sort();
        Ok(counts)
    }

    fn attach(&self, program: &'static str, ifindex: u32) -> Result<()> {
        links::attach(&mut lock(&self.ebpf), &self.directory, program, ifindex)
    }

    fn set_next_hop(&self, index: u32, next_hop: &NextHop) -> Result<()> {
        if index == 0 {
            return Err(ForwarderError::OutOfRange { table: "next_hops", index });
        }
        let _guard = lock(&self.generations);
        let old = self
            .tables
            .next_hops
            .get(&index)?
            .ok_or(ForwarderError::OutOfRange { table: "next_hops", index })?;
        let new = NextHop { generation: old.generation, ..*next_hop };
        if new == old {
            return Ok(());
        }
        self.tables.next_hops.put(&index, &NextHop { generation: old.generation.wrapping_add(1), ..new })
    }
}

/// Bytes of `struct __sk_buff` that are given to a test run.
const CONTEXT_BYTES: usize = 192;
const CONTEXT_INGRESS_IFINDEX: usize = 36;
const CONTEXT_IFINDEX: usize = 40;

fn open_events(directory: &Path) -> Result<RingBuf<MapData>> {
    let failed = |e: &dyn std::error::Error| ForwarderError::Load(format!("EVENTS: {}", loader::chain(e)));
    let data =
        MapData::from_pin(loader::tables_directory(directory).join("EVENTS")).map_err(|e| failed(&e))?;
    RingBuf::try_from(Map::RingBuf(data)).map_err(|e| failed(&e))
}

fn address4(bytes: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(bytes))
}

fn address6(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes))
}

fn record<K: FlowKey>(key: &K, src: IpAddr, dst: IpAddr, flow: Flow) -> FlowRecord {
    let (sport, dport) = key.ports();
    FlowRecord {
        zone: key.zone(),
        src,
        dst,
        protocol: key.protocol(),
        sport: u16::from_be_bytes(sport),
        dport: u16::from_be_bytes(dport),
        flow,
    }
}

fn vrf_of(bytes: [u8; 4]) -> u16 {
    u16::try_from(u32::from_be_bytes(bytes)).unwrap_or(u16::MAX)
}

fn prefix4((key, route): (LpmKey4, Route)) -> Option<(u16, IpNet, Route)> {
    let length = u8::try_from(key.prefix_len.checked_sub(32)?).ok()?;
    let net = Ipv4Net::new(Ipv4Addr::from(key.addr), length).ok()?;
    Some((vrf_of(key.vrf), IpNet::V4(net), route))
}

fn prefix6((key, route): (LpmKey6, Route)) -> Option<(u16, IpNet, Route)> {
    let length = u8::try_from(key.prefix_len.checked_sub(32)?).ok()?;
    let net = Ipv6Net::new(Ipv6Addr::from(key.addr), length).ok()?;
    Some((vrf_of(key.vrf), IpNet::V6(net), route))
}

fn key4(vrf: u16, net: &Ipv4Net) -> LpmKey4 {
    LpmKey4::new(vrf, net.network().octets(), net.prefix_len())
}

fn key6(vrf: u16, net: &Ipv6Net) -> LpmKey6 {
    LpmKey6::new(vrf, net.network().octets(), net.prefix_len())
}

fn flush<K: Pod + FlowKey>(table: &Table<K, Flow>, filter: FlowFilter) -> Result<usize> {
    let mut removed = 0;
    for (key, flow) in table.list()? {
        let zone = filter.zone.is_none_or(|z| z == key.zone() || z == flow.reverse_zone);
        if zone && filter.ifindex.is_none_or(|i| i == flow.in_ifindex) {
            removed += usize::from(table.delete(&key)?);
            removed += usize::from(table.delete(&key.reversed(flow.reverse_zone))?);
        }
    }
    Ok(removed)
}

fn add(a: Counters, b: Counters) -> Counters {
    Counters {
        rx_packets: a.rx_packets + b.rx_packets,
        rx_bytes: a.rx_bytes + b.rx_bytes,
        tx_packets: a.tx_packets + b.tx_packets,
        tx_bytes: a.tx_bytes + b.tx_bytes,
    }
}

impl Datapath for Forwarder {
    fn config(&self) -> Result<Option<Config>> {
        // A record that only has its schema was never written by a caller.
        Ok(self
            .tables
            .config
            .get(&0)?
            .filter(|config| config.fabric_ifindex != 0 || config.tunnel_ip != [0; 4]))
    }

    fn set_config(&self, config: &Config) -> Result<()> {
        self.tables.config.put(&0, &Config { schema: SCHEMA_VERSION, ..*config })
    }

    fn put_interface(&self, ifindex: u32, interface: &Interface) -> Result<()> {
        self.tables.interfaces.put(&ifindex, interface)
    }

    fn delete_interface(&self, ifindex: u32) -> Result<()> {
        self.tables.interfaces.delete(&ifindex).map(|_| ())
    }

    fn interfaces(&self) -> Result<Vec<(u32, Interface)>> {
        self.tables.interfaces.list()
    }

    fn put_next_hop(&self, index: u32, next_hop: &NextHop) -> Result<()> {
        self.set_next_hop(index, next_hop)
    }

    fn delete_next_hop(&self, index: u32) -> Result<()> {
        self.set_next_hop(index, &NextHop::zeroed())
    }

    fn next_hops(&self) -> Result<Vec<(u32, NextHop)>> {
        let used = self.tables.next_hops.list()?.into_iter().filter(|(_, hop)| hop.kind != NEXT_HOP_DISCARD);
        Ok(used.map(|(index, hop)| (index, NextHop { generation: 0, ..hop })).collect())
    }

    fn put_route(&self, vrf: u16, prefix: IpNet, route: &Route) -> Result<()> {
        match prefix {
            IpNet::V4(net) => self.tables.routes4.put(&key4(vrf, &net), route),
            IpNet::V6(net) => self.tables.routes6.put(&key6(vrf, &net), route),
        }
    }

    fn delete_route(&self, vrf: u16, prefix: IpNet) -> Result<()> {
        match prefix {
            IpNet::V4(net) => self.tables.routes4.delete(&key4(vrf, &net)).map(|_| ()),
            IpNet::V6(net) => self.tables.routes6.delete(&key6(vrf, &net)).map(|_| ()),
        }
    }

    fn routes(&self) -> Result<Vec<(u16, IpNet, Route)>> {
        let mut routes: Vec<_> = self.tables.routes4.list()?.into_iter().filter_map(prefix4).collect();
        routes.extend(self.tables.routes6.list()?.into_iter().filter_map(prefix6));
        Ok(routes)
    }

    fn put_bridge(&self, vrf: u16, mac: [u8; 6], entry: &BridgeEntry) -> Result<()> {
        self.tables.bridge.put(&BridgeKey { vrf, mac }, entry)
    }

    fn delete_bridge(&self, vrf: u16, mac: [u8; 6]) -> Result<()> {
        self.tables.bridge.delete(&BridgeKey { vrf, mac }).map(|_| ())
    }

    fn bridge(&self) -> Result<Vec<(u16, [u8; 6], BridgeEntry)>> {
        Ok(self.tables.bridge.list()?.into_iter().map(|(key, entry)| (key.vrf, key.mac, entry)).collect())
    }

    fn put_label(&self, label: u32, value: &Label) -> Result<()> {
        self.tables.labels.put(&label, value)
    }

    fn delete_label(&self, label: u32) -> Result<()> {
        self.tables.labels.put(&label, &Label::zeroed())
    }

    fn labels(&self) -> Result<Vec<(u32, Label)>> {
        let labels = self.tables.labels.list()?;
        Ok(labels.into_iter().filter(|(_, label)| label.kind != LABEL_NONE).collect())
    }

    fn put_vni(&self, vni: u32, value: &Vni) -> Result<()> {
        self.tables.vnis.put(&vni, value)
    }

    fn delete_vni(&self, vni: u32) -> Result<()> {
        self.tables.vnis.delete(&vni).map(|_| ())
    }

    fn vnis(&self) -> Result<Vec<(u32, Vni)>> {
        self.tables.vnis.list()
    }

    fn put_verdict(&self, key: &VerdictKey, verdict: &Verdict) -> Result<()> {
        self.tables.verdicts.put(key, verdict)
    }

    fn delete_verdict(&self, key: &VerdictKey) -> Result<()> {
        self.tables.verdicts.delete(key).map(|_| ())
    }

    fn verdicts(&self) -> Result<Vec<(VerdictKey, Verdict)>> {
        self.tables.verdicts.list()
    }

    fn put_rule_list(&self, index: u32, list: &RuleList) -> Result<()> {
        self.tables.rule_lists.put(&index, list)
    }

    fn delete_rule_list(&self, index: u32) -> Result<()> {
        self.tables.rule_lists.put(&index, &RuleList::zeroed())
    }

    fn rule_lists(&self) -> Result<Vec<(u32, RuleList)>> {
        Ok(self.tables.rule_lists.list()?.into_iter().filter(|(_, list)| list.count != 0).collect())
    }

    fn bump_vrf(&self, vrf: u16) -> Result<()> {
        let _guard = lock(&self.generations);
        let index = u32::from(vrf);
        let old = self.tables.vrfs.get(&index)?.ok_or(ForwarderError::OutOfRange { table: "vrfs", index })?;
        self.tables.vrfs.put(&index, &Vrf { generation: old.generation.wrapping_add(1), reserved: 0 })
    }

    fn flows(&self) -> Result<Vec<FlowRecord>> {
        let first = self.tables.flows4.list()?;
        let mut records: Vec<_> = first
            .iter()
            .map(|(key, flow)| record(key, address4(key.src), address4(key.dst), *flow))
            .collect();
        let second = self.tables.flows6.list()?;
        records.extend(
            second.iter().map(|(key, flow)| record(key, address6(key.src), address6(key.dst), *flow)),
        );
        Ok(records)
    }

    fn flush_flows(&self, filter: FlowFilter) -> Result<usize> {
        Ok(flush(&self.tables.flows4, filter)? + flush(&self.tables.flows6, filter)?)
    }

    fn age(&self, options: &AgeOptions) -> Result<AgeReport> {
        self.ageing.step(&self.tables.flows4, &self.tables.flows6, options)
    }

    fn counters(&self) -> Result<Vec<SlotCounters>> {
        let sums = self.tables.counters.sums(add)?.into_iter();
        let used = sums.filter(|(_, counters)| *counters != Counters::default());
        Ok(used.map(|(slot, counters)| SlotCounters { slot, counters }).collect())
    }

    fn drops(&self) -> Result<Vec<DropCount>> {
        let sums = self.tables.drops.sums(|a, b| a + b)?;
        let known = sums.into_iter().filter_map(|(key, packets)| {
            let reason = DropReason::from_u8(u8::try_from(key.reason).ok()?)?;
            Some(DropCount { slot: key.slot, reason, packets })
        });
        Ok(known.filter(|count| count.packets != 0).collect())
    }

    fn reset_slot(&self, slot: u32) -> Result<()> {
        self.tables.counters.clear(&slot)?;
        for reason in DropReason::ALL {
            self.tables.drops.delete(&DropKey { slot, reason: *reason as u32 })?;
        }
        Ok(())
    }

    fn poll_events(&self, max: usize) -> Result<Vec<Event>> {
        let mut ring = lock(&self.events);
        let mut events = Vec::new();
        while events.len() < max {
            let Some(item) = ring.next() else { break };
            events.extend(Event::from_bytes(&item));
        }
        Ok(events)
    }

    fn attach_workload(&self, ifindex: u32) -> Result<()> {
        self.attach("workload", ifindex)
    }

    fn detach_workload(&self, ifindex: u32) -> Result<()> {
        links::detach(&self.directory, "workload", ifindex)
    }

    fn attach_fabric(&self, ifindex: u32) -> Result<()> {
        self.attach("fabric", ifindex)
    }

    fn attach_pkt0(&self, ifindex: u32) -> Result<()> {
        self.attach("pkt0", ifindex)
    }

    fn attached_workloads(&self) -> Result<Vec<u32>> {
        links::attached(&self.directory, "workload")
    }
}
