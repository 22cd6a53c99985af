//! A forwarder of maps in memory: no packets, for tests of what programs the tables.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use weft_dataplane::tables::{LABEL_NONE, NEXT_HOP_DISCARD};
use weft_dataplane::{
    BridgeEntry, Config, Counters, DropReason, Event, Interface, Label, NextHop, Route, RuleList,
    SCHEMA_VERSION, Verdict, VerdictKey, Vni,
};

use crate::{
    AgeOptions, AgeReport, Datapath, DropCount, FlowFilter, FlowRecord, ForwarderError, SlotCounters,
};

type Result<T> = std::result::Result<T, ForwarderError>;

#[derive(Default)]
struct Tables {
    config: Option<Config>,
    interfaces: BTreeMap<u32, Interface>,
    next_hops: BTreeMap<u32, NextHop>,
    routes: BTreeMap<(u16, IpNet), Route>,
    bridge: BTreeMap<(u16, [u8; 6]), BridgeEntry>,
    labels: BTreeMap<u32, Label>,
    vnis: BTreeMap<u32, Vni>,
    verdicts: BTreeMap<VerdictKey, Verdict>,
    rule_lists: BTreeMap<u32, RuleList>,
    generations: BTreeMap<u16, u32>,
    flows: Vec<FlowRecord>,
    counters: BTreeMap<u32, Counters>,
    drops: BTreeMap<(u32, DropReason), u64>,
    events: VecDeque<Event>,
    attached: BTreeSet<u32>,
    fabric: Option<u32>,
    pkt0: Option<u32>,
    fail_next_write: bool,
    writes: u64,
}

/// [`Datapath`] in memory.
#[derive(Default)]
pub struct MemoryDatapath {
    tables: Mutex<Tables>,
}

impl MemoryDatapath {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a VRF was bumped.
    #[must_use]
    pub fn generation(&self, vrf: u16) -> u32 {
        self.read().generations.get(&vrf).copied().unwrap_or(0)
    }

    /// Table writes (puts and deletes) so far: to show that reconciling what is equal writes nothing.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.read().writes
    }

    /// Makes the next table write fail with `TableFull`.
    pub fn fail_next_write(&self) {
        self.read().fail_next_write = true;
    }

    /// Sets the flows that [`Datapath::flows`] returns.
    pub fn set_flows(&self, flows: Vec<FlowRecord>) {
        self.read().flows = flows;
    }

    /// Sets a slot's counters.
    pub fn set_counters(&self, slot: u32, counters: Counters) {
        self.read().counters.insert(slot, counters);
    }

    /// Sets a drop counter.
    pub fn set_drop(&self, slot: u32, reason: DropReason, packets: u64) {
        self.read().drops.insert((slot, reason), packets);
    }

    /// Queues an event for [`Datapath::poll_events`].
    pub fn push_event(&self, event: Event) {
        self.read().events.push_back(event);
    }

    /// The interfaces given to `attach_fabric` and `attach_pkt0`.
    #[must_use]
    pub fn infrastructure(&self) -> (Option<u32>, Option<u32>) {
        let tables = self.read();
        (tables.fabric, tables.pkt0)
    }

    fn read(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, table: &'static str) -> Result<MutexGuard<'_, Tables>> {
        let mut tables = self.read();
        if std::mem::take(&mut tables.fail_next_write) {
            return Err(ForwarderError::TableFull { table });
        }
        tables.writes += 1;
        Ok(tables)
    }
}

fn pairs<K: Clone, V: Copy>(map: &BTreeMap<K, V>) -> Vec<(K, V)> {
    map.iter().map(|(key, value)| (key.clone(), *value)).collect()
}

fn matches(filter: &FlowFilter, record: &FlowRecord) -> bool {
    let zone = filter.zone.is_none_or(|z| z == record.zone || z == record.flow.reverse_zone);
    zone && filter.ifindex.is_none_or(|i| i == record.flow.in_ifindex)
}

impl Datapath for MemoryDatapath {
    fn config(&self) -> Result<Option<Config>> {
        Ok(self.read().config)
    }

    fn set_config(&self, config: &Config) -> Result<()> {
        self.write("config")?.config = Some(Config { schema: SCHEMA_VERSION, ..*config });
        Ok(())
    }

    fn put_interface(&self, ifindex: u32, interface: &Interface) -> Result<()> {
        self.write("interfaces")?.interfaces.insert(ifindex, *interface);
        Ok(())
    }

    fn delete_interface(&self, ifindex: u32) -> Result<()> {
        self.write("interfaces")?.interfaces.remove(&ifindex);
        Ok(())
    }

    fn interfaces(&self) -> Result<Vec<(u32, Interface)>> {
        Ok(pairs(&self.read().interfaces))
    }

    fn put_next_hop(&self, index: u32, next_hop: &NextHop) -> Result<()> {
        if index == 0 {
            return Err(ForwarderError::OutOfRange { table: "next_hops", index });
        }
        self.write("next_hops")?.next_hops.insert(index, NextHop { generation: 0, ..*next_hop });
        Ok(())
    }

    fn delete_next_hop(&self, index: u32) -> Result<()> {
        self.write("next_hops")?.next_hops.remove(&index);
        Ok(())
    }

    fn next_hops(&self) -> Result<Vec<(u32, NextHop)>> {
        let hops = pairs(&self.read().next_hops);
        Ok(hops.into_iter().filter(|(_, hop)| hop.kind != NEXT_HOP_DISCARD).collect())
    }

    fn put_route(&self, vrf: u16, prefix: IpNet, route: &Route) -> Result<()> {
        self.write("routes")?.routes.insert((vrf, prefix.trunc()), *route);
        Ok(())
    }

    fn delete_route(&self, vrf: u16, prefix: IpNet) -> Result<()> {
        self.write("routes")?.routes.remove(&(vrf, prefix.trunc()));
        Ok(())
    }

    fn routes(&self) -> Result<Vec<(u16, IpNet, Route)>> {
        Ok(self.read().routes.iter().map(|((vrf, prefix), route)| (*vrf, *prefix, *route)).collect())
    }

    fn put_bridge(&self, vrf: u16, mac: [u8; 6], entry: &BridgeEntry) -> Result<()> {
        self.write("bridge")?.bridge.insert((vrf, mac), *entry);
        Ok(())
    }

    fn delete_bridge(&self, vrf: u16, mac: [u8; 6]) -> Result<()> {
        self.write("bridge")?.bridge.remove(&(vrf, mac));
        Ok(())
    }

    fn bridge(&self) -> Result<Vec<(u16, [u8; 6], BridgeEntry)>> {
        Ok(self.read().bridge.iter().map(|((vrf, mac), entry)| (*vrf, *mac, *entry)).collect())
    }

    fn put_label(&self, label: u32, value: &Label) -> Result<()> {
        self.write("labels")?.labels.insert(label, *value);
        Ok(())
    }

    fn delete_label(&self, label: u32) -> Result<()> {
        self.write("labels")?.labels.remove(&label);
        Ok(())
    }

    fn labels(&self) -> Result<Vec<(u32, Label)>> {
        let labels = pairs(&self.read().labels);
        Ok(labels.into_iter().filter(|(_, label)| label.kind != LABEL_NONE).collect())
    }

    fn put_vni(&self, vni: u32, value: &Vni) -> Result<()> {
        self.write("vnis")?.vnis.insert(vni, *value);
        Ok(())
    }

    fn delete_vni(&self, vni: u32) -> Result<()> {
        self.write("vnis")?.vnis.remove(&vni);
        Ok(())
    }

    fn vnis(&self) -> Result<Vec<(u32, Vni)>> {
        Ok(pairs(&self.read().vnis))
    }

    fn put_verdict(&self, key: &VerdictKey, verdict: &Verdict) -> Result<()> {
        self.write("verdicts")?.verdicts.insert(*key, *verdict);
        Ok(())
    }

    fn delete_verdict(&self, key: &VerdictKey) -> Result<()> {
        self.write("verdicts")?.verdicts.remove(key);
        Ok(())
    }

    fn verdicts(&self) -> Result<Vec<(VerdictKey, Verdict)>> {
        Ok(pairs(&self.read().verdicts))
    }

    fn put_rule_list(&self, index: u32, list: &RuleList) -> Result<()> {
        self.write("rule_lists")?.rule_lists.insert(index, *list);
        Ok(())
    }

    fn delete_rule_list(&self, index: u32) -> Result<()> {
        self.write("rule_lists")?.rule_lists.remove(&index);
        Ok(())
    }

    fn rule_lists(&self) -> Result<Vec<(u32, RuleList)>> {
        Ok(pairs(&self.read().rule_lists).into_iter().filter(|(_, list)| list.count != 0).collect())
    }

    fn bump_vrf(&self, vrf: u16) -> Result<()> {
        *self.read().generations.entry(vrf).or_insert(0) += 1;
        Ok(())
    }

    fn flows(&self) -> Result<Vec<FlowRecord>> {
        Ok(self.read().flows.clone())
    }

    fn flush_flows(&self, filter: FlowFilter) -> Result<usize> {
        let mut tables = self.read();
        let before = tables.flows.len();
        tables.flows.retain(|record| !matches(&filter, record));
        Ok(before - tables.flows.len())
    }

    fn age(&self, _options: &AgeOptions) -> Result<AgeReport> {
        Ok(AgeReport { scanned: self.read().flows.len(), removed: 0, complete: true })
    }

    fn counters(&self) -> Result<Vec<SlotCounters>> {
        Ok(self
            .read()
            .counters
            .iter()
            .map(|(slot, counters)| SlotCounters { slot: *slot, counters: *counters })
            .collect())
    }

    fn drops(&self) -> Result<Vec<DropCount>> {
        let tables = self.read();
        let count =
            |(&(slot, reason), &packets): (&(u32, DropReason), &u64)| DropCount { slot, reason, packets };
        Ok(tables.drops.iter().map(count).collect())
    }

    fn reset_slot(&self, slot: u32) -> Result<()> {
        let mut tables = self.read();
        tables.counters.remove(&slot);
        tables.drops.retain(|(s, _), _| *s != slot);
        Ok(())
    }

    fn poll_events(&self, max: usize) -> Result<Vec<Event>> {
        let mut tables = self.read();
        let count = max.min(tables.events.len());
        Ok(tables.events.drain(..count).collect())
    }

    fn attach_workload(&self, ifindex: u32) -> Result<()> {
        self.read().attached.insert(ifindex);
        Ok(())
    }

    fn detach_workload(&self, ifindex: u32) -> Result<()> {
        self.read().attached.remove(&ifindex);
        Ok(())
    }

    fn attach_fabric(&self, ifindex: u32) -> Result<()> {
        self.read().fabric = Some(ifindex);
        Ok(())
    }

    fn attach_pkt0(&self, ifindex: u32) -> Result<()> {
        self.read().pkt0 = Some(ifindex);
        Ok(())
    }

    fn attached_workloads(&self) -> Result<Vec<u32>> {
        Ok(self.read().attached.iter().copied().collect())
    }
}
