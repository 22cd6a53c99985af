//! The core driven with stanzas over a forwarder in memory.

use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};
use weft_dataplane::tables::{IF_POLICY, LABEL_L3, NEXT_HOP_INTERFACE, NEXT_HOP_MPLS_L3, NEXT_HOP_VXLAN};
use weft_dataplane::verdict::{ACTION_ALLOW, ACTION_DENY};
use weft_dataplane::{Direction, VerdictKey};
use weft_forwarder::MemoryDatapath;
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode};
use weft_xmpp::items::{Encap, EvpnItem, NextHop, RouteTable, UnicastItem};

use super::*;
use crate::desired::Tables;
use crate::reconcile::read_tables;

/// Keeps what is saved, for a second core to start from.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(SavedNumbers, Vec<ConfigOp>)>>);

impl StateStore for Memory {
    fn save_numbers(&self, numbers: SavedNumbers) -> Result<(), StateError> {
        self.0.lock().unwrap().0 = numbers;
        Ok(())
    }

    fn save_config(&self, ops: &mut dyn Iterator<Item = ConfigOp>) -> Result<(), StateError> {
        self.0.lock().unwrap().1 = ops.collect();
        Ok(())
    }
}

fn node(node_type: &str, name: &str, uuid: u128, properties: Value) -> ConfigOp {
    ConfigOp::Update(ConfigElement::Node(ConfigNode {
        node_type: node_type.into(),
        name: name.into(),
        uuid: (uuid != 0).then(|| Uuid::from_u128(uuid)),
        properties: properties.as_object().unwrap().clone(),
    }))
}

fn link(a: (&str, &str), b: (&str, &str)) -> ConfigOp {
    ConfigOp::Update(ConfigElement::Link(ConfigLink {
        left: (a.0.into(), a.1.into()),
        right: (b.0.into(), b.1.into()),
        metadata: format!("{}-{}", a.0, b.0),
    }))
}

/// A network with one subnet 10.0.0.0/24 and its default routing instance.
fn network(name: &str, id: u128) -> Vec<ConfigOp> {
    let short = name.rsplit(':').next().unwrap();
    let ri = format!("{name}:{short}");
    let (vn, ipam) = (("virtual-network", name), ("network-ipam", "d:p:ipam"));
    let attribute = format!("{name},d:p:ipam");
    let attributed = ("virtual-network-network-ipam", attribute.as_str());
    let subnets = json!({"value": {"ipam_subnets": [{
        "subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24},
        "default_gateway": "10.0.0.1", "dns_server_address": "10.0.0.2"
    }]}});
    vec![
        node(vn.0, name, id, json!({"virtual_network_network_id": id as u64})),
        node("routing-instance", &ri, 0, json!({})),
        node(ipam.0, ipam.1, 1, json!({})),
        node(attributed.0, attributed.1, 0, subnets),
        link(vn, ("routing-instance", &ri)),
        link(vn, attributed),
        link(attributed, ipam),
    ]
}

fn interface(name: &str, id: u128, network: &str, address: &str) -> Vec<ConfigOp> {
    let vmi = ("virtual-machine-interface", name);
    let mac = format!("02:00:00:00:00:{id:02x}");
    let ip = format!("ip-{name}");
    vec![
        node(vmi.0, name, id, json!({"virtual_machine_interface_mac_addresses": {"mac_address": [mac]}})),
        node("instance-ip", &ip, id + 1000, json!({"instance_ip_address": address})),
        link(vmi, ("virtual-network", network)),
        link(("instance-ip", &ip), vmi),
    ]
}

fn acl(network: &str, rules: Value) -> Vec<ConfigOp> {
    let name = format!("{network}:acl");
    vec![
        node("access-control-list", &name, 0, json!({"access_control_list_entries": {"acl_rule": rules}})),
        link(("virtual-network", network), ("access-control-list", &name)),
    ]
}

fn pass(n: u128, src: &str, dst: &str, protocol: &str, port: i64) -> Value {
    json!({
        "rule_uuid": Uuid::from_u128(n).to_string(), "direction": ">", "action_list": {"simple_action": "pass"},
        "match_condition": {
            "protocol": protocol, "src_address": {"virtual_network": src}, "dst_address": {"virtual_network": dst},
            "src_port": {"start_port": -1, "end_port": -1}, "dst_port": {"start_port": port, "end_port": port}
        }
    })
}

const RED: &str = "d:acme:red";
const BLUE: &str = "d:globex:blue";
const GREEN: &str = "d:acme:green";

fn two_tenants() -> Vec<ConfigOp> {
    let own = pass(1, RED, RED, "any", -1);
    let web = pass(2, RED, GREEN, "6", 80);
    let green = json!([pass(3, GREEN, GREEN, "any", -1), web]);
    [
        network(RED, 11),
        network(BLUE, 12),
        network(GREEN, 13),
        acl(RED, json!([own, web])),
        acl(GREEN, green),
        interface("r1", 1, RED, "10.0.0.3"),
        interface("b1", 2, BLUE, "10.0.0.3"),
        interface("g1", 3, GREEN, "10.0.0.9"),
    ]
    .concat()
}

fn underlay() -> Underlay {
    Underlay {
        tunnel_ip: [192, 168, 0, 1].into(),
        fabric_ifindex: 2,
        fabric_mac: [0xfa; 6],
        fabric_mtu: 1500,
        pkt0_ifindex: 3,
        ways: Default::default(),
    }
}

fn options(memory: &Memory) -> CoreOptions {
    let (numbers, config) = memory.0.lock().unwrap().clone();
    CoreOptions {
        name: "host1".into(),
        controllers: 2,
        limits: Limits::default(),
        numbers,
        config,
        store: Box::new(memory.clone()),
        underlay: underlay(),
    }
}

fn ports() -> Vec<LocalPort> {
    let port = |n: u128| LocalPort { interface: Uuid::from_u128(n), ifindex: 100 + n as u32, veth: true };
    vec![port(1), port(2), port(3)]
}

struct Rig {
    core: AgentCore,
    datapath: Arc<MemoryDatapath>,
    memory: Memory,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let (datapath, memory) = (Arc::new(MemoryDatapath::new()), Memory::default());
        let core = AgentCore::new(options(&memory), datapath.clone()).unwrap();
        Self { core, datapath, memory, now: Instant::now() }
    }

    fn started() -> Self {
        let mut rig = Self::new();
        rig.core.set_ports(ports(), [Uuid::from_u128(50)].into());
        rig.core.controller_up(0, "control", rig.now);
        rig.config(two_tenants());
        rig
    }

    fn config(&mut self, ops: Vec<ConfigOp>) {
        self.core.stanza(0, Stanza::Config(ops), self.now);
        self.core.sync();
        self.core.stamp_subscriptions(self.now);
    }

    fn complete(&mut self) {
        self.core.stanza(0, Stanza::EndOfRib, self.now);
        self.now += CONFIG_QUIET;
        self.core.tick(self.now);
        self.core.sync();
        self.core.tick(self.now);
        self.core.sync();
    }

    fn sent(&mut self) -> Vec<ToController> {
        std::iter::from_fn(|| self.core.poll_send()).map(|(_, m)| m).collect()
    }

    fn tables(&self) -> Tables {
        read_tables(self.datapath.as_ref()).unwrap()
    }

    fn vrf(&self, ri: &str) -> u16 {
        self.core.desired().subscriptions[ri]
    }

    /// Whether a flow from the interface with `ifindex` to an address of its VRF passes the near end's policy.
    fn allowed(&self, ifindex: u32, to: &str, protocol: u8, port: u16) -> Option<bool> {
        let tables = self.tables();
        let near = tables.interfaces[&ifindex];
        let route = tables.routes.get(&(near.vrf, to.parse().unwrap()))?;
        if near.flags & IF_POLICY == 0 {
            return Some(true);
        }
        let key = VerdictKey::lookup(near.identity, route.identity, Direction::Egress, protocol, port);
        let exact = [key, VerdictKey::protocol(near.identity, route.identity, Direction::Egress, protocol)];
        let pair = VerdictKey::pair(near.identity, route.identity, Direction::Egress);
        let verdict = exact.iter().chain([&pair]).find_map(|k| tables.verdicts.get(k))?;
        Some(verdict.action == ACTION_ALLOW)
    }
}

fn remote(ri: &str, prefix: &str, network: &str, label: u32) -> Stanza {
    let hop = NextHop { label, encaps: [Encap::Udp].into(), ..NextHop::new("192.168.0.2".parse().unwrap()) };
    let item = UnicastItem {
        next_hops: vec![hop],
        virtual_network: network.into(),
        ..UnicastItem::new(prefix.parse().unwrap())
    };
    Stanza::RouteMessage {
        table: RouteTable::Inet,
        ri: ri.into(),
        items: vec![(prefix.into(), RouteItem::Unicast(item))],
        retracts: vec![],
    }
}

#[test]
fn two_tenants_with_the_same_addresses_stay_apart() {
    let mut rig = Rig::started();
    let sent = rig.sent();
    let subscribed = |what: &str| {
        sent.iter().any(|m| matches!(m, ToController::Send(s) if format!("{s:?}").contains(what)))
    };
    assert!(subscribed("default-global-system-config:host1") && subscribed("d:acme:red:red"));
    assert_eq!(sent.iter().filter(|m| matches!(m, ToController::Publish { .. })).count(), 6);

    let (red, blue) = (rig.vrf("d:acme:red:red"), rig.vrf("d:globex:blue:blue"));
    assert_ne!(red, blue);
    let tables = rig.tables();
    let hop = |vrf| tables.next_hops[&tables.routes[&(vrf, "10.0.0.3/32".parse().unwrap())].next_hop];
    assert_eq!((hop(red).kind, hop(red).ifindex), (NEXT_HOP_INTERFACE, 101));
    assert_eq!(hop(blue).ifindex, 102);
    assert_eq!(rig.datapath.attached_workloads().unwrap(), [101, 102, 103]);
    // Blue has no access list: no policy, no flows (row A6). Red has one.
    assert_eq!(tables.interfaces[&102].flags & IF_POLICY, 0);
    assert_ne!(tables.interfaces[&101].flags & IF_POLICY, 0);
    let lease = rig.core.desired().services[&101].lease4.clone().unwrap();
    assert_eq!((lease.address.to_string().as_str(), lease.prefix_len), ("10.0.0.3", 24));
}

#[test]
fn a_policy_opens_one_port_and_its_removal_closes_it() {
    let mut rig = Rig::started();
    rig.core.stanza(0, remote("d:acme:red:red", "10.9.0.9/32", GREEN, 77), rig.now);
    rig.core.sync();
    let hop = {
        let tables = rig.tables();
        tables.next_hops
            [&tables.routes[&(rig.vrf("d:acme:red:red"), "10.9.0.9/32".parse().unwrap())].next_hop]
    };
    assert_eq!((hop.kind, hop.label, hop.dst), (NEXT_HOP_MPLS_L3, 77, [192, 168, 0, 2]));
    assert_eq!(rig.allowed(101, "10.9.0.9/32", 6, 80), Some(true));
    assert_eq!(rig.allowed(101, "10.9.0.9/32", 6, 81), Some(false));
    assert_eq!(rig.allowed(101, "10.9.0.9/32", 17, 80), Some(false));

    let generation = rig.datapath.generation(rig.vrf("d:acme:red:red"));
    rig.config(acl(RED, json!([pass(1, RED, RED, "any", -1)])));
    assert_eq!(rig.allowed(101, "10.9.0.9/32", 6, 80), Some(false));
    assert!(rig.datapath.generation(rig.vrf("d:acme:red:red")) > generation, "flows are judged again");
    // A refusal names its rule.
    let tables = rig.tables();
    let refusal = tables.verdicts.values().find(|v| v.action == ACTION_DENY).unwrap();
    assert_eq!(rig.core.desired().names.rules[&refusal.rule], crate::config::NO_MATCH_RULE);

    rig.config(acl(RED, json!([pass(1, RED, RED, "any", -1), pass(2, RED, GREEN, "6", 80)])));
    assert_eq!(rig.allowed(101, "10.9.0.9/32", 6, 80), Some(true));
}

#[test]
fn a_network_on_the_same_host_is_reached_without_a_tunnel() {
    let mut rig = Rig::started();
    let green = rig.vrf("d:acme:green:green");
    let mut labels = rig.tables().labels.into_iter();
    let (label, _) = labels.find(|(_, l)| l.kind == LABEL_L3 && l.vrf == green).unwrap();
    let own = "192.168.0.1".parse().unwrap();
    let hop = NextHop { label, encaps: [Encap::Udp].into(), ..NextHop::new(own) };
    let item = UnicastItem {
        next_hops: vec![hop],
        virtual_network: GREEN.into(),
        ..UnicastItem::new("10.0.0.9/32".parse().unwrap())
    };
    let message = Stanza::RouteMessage {
        table: RouteTable::Inet,
        ri: "d:acme:red:red".into(),
        items: vec![("10.0.0.9/32".into(), RouteItem::Unicast(item))],
        retracts: vec![],
    };
    rig.core.stanza(0, message, rig.now);
    rig.core.sync();
    let tables = rig.tables();
    let route = tables.routes[&(rig.vrf("d:acme:red:red"), "10.0.0.9/32".parse().unwrap())];
    assert_eq!(tables.next_hops[&route.next_hop].ifindex, 103);
    assert_eq!(rig.allowed(101, "10.0.0.9/32", 6, 80), Some(true));
    assert_eq!(rig.allowed(101, "10.0.0.9/32", 6, 22), Some(false));
}

#[test]
fn nothing_is_written_or_bumped_when_nothing_changed() {
    let mut rig = Rig::started();
    let (writes, generation) = (rig.datapath.writes(), rig.datapath.generation(1));
    rig.config(two_tenants());
    rig.core.set_underlay(Underlay { fabric_mtu: 1501, ..underlay() });
    rig.core.sync();
    assert_eq!((rig.datapath.writes(), rig.datapath.generation(1)), (writes, generation));
}

#[test]
fn a_restart_keeps_every_number_and_deletes_nothing_early() {
    let mut rig = Rig::started();
    rig.core.stanza(0, remote("d:acme:red:red", "10.9.0.9/32", GREEN, 77), rig.now);
    rig.core.sync();
    rig.core.save_config();
    let before = rig.tables();

    let mut core = AgentCore::new(options(&rig.memory), rig.datapath.clone()).unwrap();
    core.set_ports(ports(), [Uuid::from_u128(50)].into());
    let writes = rig.datapath.writes();
    core.sync();
    assert!(core.desired().services.contains_key(&101), "services go on without a controller");
    assert_eq!(rig.tables(), before, "headless: the remote route stays too");
    assert_eq!(rig.datapath.writes(), writes, "everything has the number it had");

    // The controller is back and no longer has the remote route.
    rig.core = core;
    rig.core.controller_up(0, "control", rig.now);
    rig.config(two_tenants());
    assert_eq!(rig.tables(), before);
    rig.complete();
    let gone = (rig.vrf("d:acme:red:red"), "10.9.0.9/32".parse().unwrap());
    assert!(!rig.tables().routes.contains_key(&gone));
    assert!(rig.tables().routes.contains_key(&(gone.0, "10.0.0.3/32".parse().unwrap())));
}

#[test]
fn a_route_taken_back_goes_at_once_even_while_holding() {
    let mut rig = Rig::started();
    let ri = "d:acme:red:red";
    rig.core.stanza(0, remote(ri, "10.9.0.9/32", GREEN, 77), rig.now);
    rig.core.sync();
    assert!(rig.core.is_holding());
    let key = (rig.vrf(ri), "10.9.0.9/32".parse().unwrap());
    assert!(rig.tables().routes.contains_key(&key));
    let generation = rig.datapath.generation(key.0);
    let retracts = vec!["10.9.0.9/32".to_owned()];
    let message = Stanza::RouteMessage { table: RouteTable::Inet, ri: ri.into(), items: vec![], retracts };
    rig.core.stanza(0, message, rig.now);
    rig.core.sync();
    assert!(!rig.tables().routes.contains_key(&key));
    assert!(rig.datapath.generation(key.0) > generation);
}

#[test]
fn a_port_that_goes_takes_everything_with_it() {
    let mut rig = Rig::started();
    rig.complete();
    rig.sent();
    rig.core.port_removed(102);
    rig.core.set_ports(vec![ports()[0].clone(), ports()[2].clone()], [Uuid::from_u128(50)].into());
    rig.core.sync();
    let sent = rig.sent();
    assert_eq!(sent.iter().filter(|m| matches!(m, ToController::Withdraw { .. })).count(), 2);
    assert!(sent.iter().any(
        |m| matches!(m, ToController::Send(Stanza::UnsubscribeVrf { ri, .. }) if ri == "d:globex:blue:blue")
    ));
    let tables = rig.tables();
    assert!(!tables.interfaces.contains_key(&102));
    assert!(tables.next_hops.values().all(|h| h.ifindex != 102));
    assert_eq!(rig.datapath.attached_workloads().unwrap(), [101, 103]);
}

#[test]
fn while_holding_a_removed_port_still_stops() {
    let mut rig = Rig::started();
    rig.core.port_removed(102);
    assert!(!rig.tables().interfaces.contains_key(&102));
    assert_eq!(rig.datapath.attached_workloads().unwrap(), [101, 103]);
}

#[test]
fn the_auditor_repairs_and_counts() {
    let mut rig = Rig::started();
    let good = rig.tables();
    rig.datapath.delete_route(rig.vrf("d:acme:red:red"), "10.0.0.3/32".parse().unwrap()).unwrap();
    rig.datapath.delete_label(16).unwrap();
    rig.datapath.detach_workload(101).unwrap();
    rig.core.audit().unwrap();
    assert_eq!(rig.tables(), good);
    assert_eq!(rig.core.reconciler().totals.repaired, 3);
    assert_eq!(rig.core.reconciler().last_audit.examples.len(), 3);
    rig.core.audit().unwrap();
    assert_eq!(rig.core.reconciler().totals.repaired, 3);
}

#[test]
fn vxlan_first_makes_bridging_use_it() {
    let mut rig = Rig::started();
    rig.config(vec![node(
        "global-vrouter-config",
        "g",
        9,
        json!({
            "encapsulation_priorities": {"encapsulation": ["MPLSoGRE", "VXLAN", "MPLSoUDP"]}
        }),
    )]);
    let published = rig.core.desired().published.values().find_map(|item| match item {
        RouteItem::Evpn(item) if item.ethernet_tag == 11 => Some(item.clone()),
        _ => None,
    });
    let hop = published.unwrap().next_hops[0].clone();
    assert_eq!((hop.label, hop.encaps), (11, [Encap::Vxlan].into()));

    let remote_hop =
        NextHop { label: 11, encaps: [Encap::Vxlan].into(), ..NextHop::new("192.168.0.2".parse().unwrap()) };
    let mac: weft_model::MacAddress = "02:00:00:00:00:99".parse().unwrap();
    let item = EvpnItem {
        next_hops: vec![remote_hop],
        virtual_network: RED.into(),
        ..EvpnItem::new(11, mac, "10.0.0.77/32".parse().unwrap())
    };
    let item = RouteItem::Evpn(item);
    let message = Stanza::RouteMessage {
        table: RouteTable::Evpn,
        ri: "d:acme:red:red".into(),
        items: vec![(item.id(), item)],
        retracts: vec![],
    };
    rig.core.stanza(0, message, rig.now);
    rig.core.stanza(0, remote("d:acme:red:red", "10.0.0.77/32", RED, 55), rig.now);
    rig.core.sync();
    let (tables, vrf) = (rig.tables(), rig.vrf("d:acme:red:red"));
    let hop = tables.next_hops[&tables.bridge[&(vrf, mac.0)].next_hop];
    assert_eq!((hop.kind, hop.label), (NEXT_HOP_VXLAN, 11));
    // The address answers ARP with the workload's own MAC, so that its network is one link.
    assert_eq!(tables.routes[&(vrf, "10.0.0.77/32".parse().unwrap())].mac, mac.0);
    assert_eq!(tables.vnis[&11].vrf, vrf);
}

#[test]
fn prefixes_in_rules_split_routes() {
    let mut rig = Rig::started();
    let rule = json!({
        "rule_uuid": Uuid::from_u128(7).to_string(), "direction": ">", "action_list": {"simple_action": "deny"},
        "match_condition": {"protocol": "any", "dst_address": {"subnet": {"ip_prefix": "8.8.8.0", "ip_prefix_len": 24}}}
    });
    rig.config(acl(RED, json!([rule, pass(1, RED, "any", "any", -1)])));
    rig.core.stanza(0, remote("d:acme:red:red", "0.0.0.0/0", "d:ext:public", 90), rig.now);
    rig.core.sync();
    assert_eq!(rig.allowed(101, "8.8.8.0/24", 6, 443), Some(false));
    assert_eq!(rig.allowed(101, "0.0.0.0/0", 6, 443), Some(true));
}
