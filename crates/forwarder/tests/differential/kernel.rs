//! The eBPF programs, run on frames by the kernel's test facility, against the model.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use aya::maps::{HashMap, Map, MapData};
use weft_forwarder::dataplane::{Counters, DropReason, Limits};
use weft_forwarder::reference::{EntryPoint, Model, Outcome, Tables};
use weft_forwarder::{Datapath, FlowFilter, Forwarder, Options};

use crate::common::{Namespace, run, try_run};
use crate::packets::{Packets, Sent};
use crate::rng::{Rng, setting};
use crate::state::{difference, flow_of, unstamped};
use crate::world::{self, Change, Devices, FABRIC_SLOT};

/// Entries of each flow table: few enough to be full sometimes.
const FLOWS: u32 = 8;
const SLOTS: u32 = 32;
const STEPS: usize = 60;
const DROPPED: i32 = 2;
const REDIRECTED: i32 = 7;
const PASSED_ON: i32 = -1;

/// A forwarder in a namespace of its own.
pub struct Bench {
    pub devices: Devices,
    pub forwarder: Forwarder,
    directory: PathBuf,
    fragments: HashMap<MapData, [u8; 44], [u8; 8]>,
}

impl Bench {
    /// Makes the devices and opens the forwarder. The caller is inside the namespace.
    pub fn new(ns: &Namespace) -> Self {
        for device in ["w0", "w2", "w4", "fab0"] {
            run(&format!("ip -n {} link add {device} type veth peer name {device}p", ns.name));
        }
        let devices = Devices {
            workloads: ["w0", "w0p", "w2", "w2p", "w4"].map(|name| ns.ifindex(name)),
            fabric: ns.ifindex("fab0"),
            pkt0: ns.ifindex("fab0p"),
            stranger: ns.ifindex("w4p"),
        };
        let directory = std::env::temp_dir().join(&ns.name);
        let limits =
            Limits { flows4: FLOWS, flows6: FLOWS, slots: SLOTS, event_bytes: 4096, ..Limits::default() };
        let forwarder = Forwarder::open(&Options { limits, ..Options::new(&directory) }).expect("opens");
        let data = MapData::from_pin(directory.join("tables/FRAGMENTS")).expect("pinned");
        let fragments = HashMap::try_from(Map::LruHashMap(data)).expect("a map of fragments");
        Bench { devices, forwarder, directory, fragments }
    }

    /// Empties every table.
    pub fn clear(&mut self) {
        let dp = &self.forwarder;
        dp.flush_flows(FlowFilter::default()).expect("flows");
        let tables = Tables::read(dp).expect("tables");
        let changes = (tables.interfaces.into_keys().map(|i| Change::Interface(i, None)))
            .chain(tables.next_hops.into_keys().map(|i| Change::NextHop(i, None)))
            .chain(tables.routes.into_keys().map(|(vrf, prefix)| Change::Route(vrf, prefix, None)))
            .chain(tables.bridge.into_keys().map(|(vrf, mac)| Change::Bridge(vrf, mac, None)))
            .chain(tables.labels.into_keys().map(|label| Change::Label(label, None)))
            .chain(tables.vnis.into_keys().map(|vni| Change::Vni(vni, None)))
            .chain(tables.verdicts.into_keys().map(|key| Change::Verdict(key, None)))
            .chain(tables.rule_lists.into_keys().map(|i| Change::RuleList(i, None)));
        for change in changes {
            change.write(dp);
        }
        for slot in 0..SLOTS {
            dp.reset_slot(slot).expect("slot");
        }
        let keys: Vec<_> = self.fragments.keys().filter_map(Result::ok).collect();
        for key in keys {
            let _ = self.fragments.remove(&key);
        }
    }

    /// A model of the empty forwarder.
    pub fn model() -> Model {
        Model { flow_limit: [FLOWS as usize; 2], ..Model::default() }
    }

    /// Runs a frame through both, and compares what became of it; with `tables`, flows and counters too.
    pub fn step(&self, model: &mut Model, sent: &Sent, tables: bool) -> Result<Outcome, String> {
        let (program, ifindex) = match sent.at {
            EntryPoint::Workload(ifindex) => ("workload", ifindex),
            EntryPoint::Fabric => ("fabric", self.devices.fabric),
            EntryPoint::Agent => ("pkt0", self.devices.pkt0),
        };
        let run = self.forwarder.test_run(program, ifindex, &sent.frame);
        let (action, mut out) = run.map_err(|e| format!("test run of {} bytes: {e}", sent.frame.len()))?;
        let outcome = model.process(sent.at, &sent.frame);
        let described = || format!("\n  model: {}", kind(&outcome));
        let expected = match &outcome {
            Outcome::Drop { .. } => DROPPED,
            Outcome::Host => PASSED_ON,
            _ => REDIRECTED,
        };
        if (tables || action == DROPPED || expected == DROPPED)
            && let Some(text) = difference(&self.drops(), &model.drops)
        {
            return Err(format!("drops differ: {text}{}", described()));
        }
        if action != expected {
            let rest = self.compare(model).err().unwrap_or_default();
            return Err(format!("verdict {action}, expected {expected}{}\n{rest}", described()));
        }
        if let Outcome::Tunnel { .. } = outcome {
            hide_source_port(&mut out)?;
        }
        let expected = match &outcome {
            Outcome::Drop { .. } => &out,
            Outcome::Host => &sent.frame,
            Outcome::Deliver { frame, .. }
            | Outcome::Tunnel { frame }
            | Outcome::Trap { frame, .. }
            | Outcome::Reply { frame }
            | Outcome::Inject { frame, .. } => frame,
        };
        if expected != &out {
            let (kernel, model) = (hex(&out), hex(expected));
            return Err(format!("bytes differ:\n  kernel {kernel}\n  model  {model}{}", described()));
        }
        if tables {
            self.compare(model).map_err(|text| text + &described())?;
        }
        Ok(outcome)
    }

    fn compare(&self, model: &Model) -> Result<(), String> {
        let flows = self.forwarder.flows().map_err(|e| e.to_string())?;
        let flows: BTreeMap<_, _> = flows.iter().map(flow_of).collect();
        if let Some(text) = difference(&flows, &unstamped(&model.flows)) {
            return Err(format!("flows differ: {text}"));
        }
        let counters = self.forwarder.counters().map_err(|e| e.to_string())?;
        let counters: BTreeMap<_, _> = counters.iter().map(|c| (c.slot, c.counters)).collect();
        let counted = model.counters.iter().filter(|(_, c)| **c != Counters::default());
        match difference(&counters, &counted.map(|(slot, c)| (*slot, *c)).collect()) {
            Some(text) => Err(format!("counters differ: {text}")),
            None => Ok(()),
        }
    }

    fn drops(&self) -> BTreeMap<(u32, DropReason), u64> {
        let drops = self.forwarder.drops().expect("drops");
        drops.into_iter().map(|d| ((d.slot, d.reason), d.packets)).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = Forwarder::remove_pins(&self.directory);
        let _ = try_run(&format!("umount {0} && rmdir {0}", self.directory.display()));
    }
}

/// The source port is a hash that only the programs know; it must be in the range for it.
fn hide_source_port(frame: &mut [u8]) -> Result<(), String> {
    let port = u16::from_be_bytes([frame[34], frame[35]]);
    frame[34] = 0;
    frame[35] = 0;
    if (49_152..65_535).contains(&port) { Ok(()) } else { Err(format!("source port {port}")) }
}

/// The test facility refuses frames that say IP and end inside the IP header: those are left to `native`.
fn lengthen(frame: &mut Vec<u8>) {
    let least = match frame.get(12..14) {
        Some([8, 0]) => 34,
        Some([0x86, 0xdd]) => 54,
        _ => 14,
    };
    frame.resize(frame.len().max(least), 0);
}

/// One case: random tables, then packets and changes.
fn case(bench: &mut Bench, seed: u64, seen: &mut BTreeMap<String, u64>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    bench.clear();
    let mut model = Bench::model();
    let devices = bench.devices;
    for change in world::initial(&mut rng, &devices) {
        change.write(&bench.forwarder);
        change.tell(&mut model);
    }
    let mut packets = Packets::new(devices);
    // Reading whole tables is most of the time: when a failure is looked for, they are read after every packet.
    let every = if std::env::var("WEFT_SEED").is_ok() { 1 } else { 10 };
    for step in 0..STEPS {
        if rng.chance(15) {
            let mut changes = vec![world::random(&mut rng, &devices, &model)];
            if rng.chance(75) {
                changes.extend((1..4).map(Change::Bump));
            }
            for change in changes {
                change.write(&bench.forwarder);
                change.tell(&mut model);
            }
        }
        let mut sent = packets.next(&mut rng);
        lengthen(&mut sent.frame);
        let outcome = bench
            .step(&mut model, &sent, every == 1 || step % every == 0 || step + 1 == STEPS)
            .map_err(|text| format!("step {step}, {:?} {}: {text}", sent.at, hex(&sent.frame)))?;
        *seen.entry(kind(&outcome)).or_default() += 1;
    }
    let tables = Tables::read(&bench.forwarder).map_err(|e| e.to_string())?;
    let expected = Tables { next_hop_changes: BTreeMap::new(), bumps: BTreeMap::new(), ..model.tables };
    if tables == expected { Ok(()) } else { Err("the tables read back differ".into()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Drop { reason, .. } => format!("drop {}", reason.name()),
        Outcome::Trap { reason, .. } => format!("trap {reason:?}"),
        Outcome::Deliver { .. } => "deliver".into(),
        Outcome::Tunnel { .. } => "tunnel".into(),
        Outcome::Reply { .. } => "reply".into(),
        Outcome::Inject { .. } => "inject".into(),
        Outcome::Host => "host".into(),
    }
}

#[test]
fn programs_agree_with_the_model() {
    let (seed, cases) = (
        setting("WEFT_SEED", 1),
        setting("WEFT_CASES", if std::env::var("WEFT_SEED").is_ok() { 1 } else { 300 }),
    );
    let ns = Namespace::new("diff");
    ns.enter(|| {
        let mut bench = Bench::new(&ns);
        let mut seen = BTreeMap::new();
        let start = Instant::now();
        let mut failures = 0;
        for seed in seed..seed + cases {
            if let Err(text) = case(&mut bench, seed, &mut seen) {
                println!("WEFT_SEED={seed}: {text}");
                failures += 1;
                if failures >= setting("WEFT_FAILURES", 1) {
                    break;
                }
            }
        }
        let rate = cases as f64 / start.elapsed().as_secs_f64();
        println!(
            "{cases} cases, {rate:.0} a second, {STEPS} packets each; slot of the underlay {FABRIC_SLOT}"
        );
        println!("{seen:#?}");
        assert_eq!(failures, 0, "the lines above have the seeds");
    });
}
