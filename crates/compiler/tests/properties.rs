//! Random edit sequences: incremental equals from scratch, order does not matter, agents hold exactly what a new
//! subscription would give them.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use weft_compiler::{Compiler, Intent};
use weft_model::{Change, ObjectType, defaults};

const NETWORKS: usize = 6;
const POLICIES: usize = 4;
const GROUPS: usize = 3;
const PORTS: usize = 5;
const MACHINES: usize = 3;
const ROUTERS: usize = 3;
const IPAMS: usize = 2;

/// One step of an edit sequence.
#[derive(Debug, Clone)]
enum Edit {
    Put(Change),
    Delete(usize),
    /// Gives the nth network another route target and leaves all else as it is.
    Retarget(usize, usize),
    /// A policy between two networks, attached to both.
    Connect(usize, usize),
    Commit,
    Subscribe(usize),
    Unsubscribe(usize),
    SubscribeMachine(usize, usize),
    UnsubscribeMachine(usize, usize),
}

fn network_name(number: usize) -> String {
    format!("{}:net{number}", project_name(number % 2))
}

fn policy_name(number: usize) -> String {
    format!("{}:policy{number}", project_name(0))
}

fn group_name(number: usize) -> String {
    format!("{}:group{number}", project_name(0))
}

fn policy_address() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..NETWORKS).prop_map(|n| json!({"virtual_network": network_name(n)})),
        2 => Just(json!({"virtual_network": "any"})),
        2 => Just(json!({"virtual_network": "local"})),
        2 => (0..POLICIES).prop_map(|n| json!({"network_policy": policy_name(n)})),
        1 => (0..4i64).prop_map(|n| json!({"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 8 * n}})),
        1 => (0..NETWORKS).prop_map(|n| json!({"virtual_network": network_name(n),
            "subnet": {"ip_prefix": "10.0.1.0", "ip_prefix_len": 24}})),
        1 => Just(json!({})),
        1 => Just(json!({"security_group": "any"})),
    ]
}

fn group_address() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({"security_group": "local"})),
        2 => Just(json!({"security_group": "any"})),
        4 => (0..GROUPS + 1).prop_map(|n| json!({"security_group": group_name(n)})),
        2 => (0..4i64).prop_map(|n| json!({"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 8 * n}})),
        1 => Just(json!({"virtual_network": "any"})),
    ]
}

fn ports() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!([])),
        (-1i64..4, -1i64..4).prop_map(|(a, b)| json!([{"start_port": a, "end_port": b}])),
        Just(json!([{"start_port": 80, "end_port": 80}, {"start_port": 443, "end_port": 443}])),
    ]
}

fn rules(address: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let side = prop::collection::vec(address, 1..3);
    let words = (
        prop::sample::select(vec!["tcp", "udp", "any", "6", "bogus", "icmp"]),
        prop::sample::select(vec!["pass", "pass", "pass", "deny"]),
        prop::sample::select(vec![">", "<>"]),
    );
    let rule = (side.clone(), side, ports(), ports(), words).prop_map(|(from, to, sports, dports, words)| {
        json!({"rule_uuid": format!("{}-{}", words.0, words.1), "direction": words.2, "protocol": words.0,
            "src_addresses": from, "dst_addresses": to, "src_ports": sports, "dst_ports": dports,
            "action_list": {"simple_action": words.1}})
    });
    prop::collection::vec(rule, 0..4).prop_map(Value::from)
}

/// Mostly the same identity for a name, now and then another one; now and then another name for the identity.
fn identity() -> impl Strategy<Value = (usize, &'static str)> {
    prop_oneof![12 => Just((0, "")), 1 => Just((1, "")), 1 => Just((0, "b"))]
}

fn put_network() -> impl Strategy<Value = Change> {
    let attached = prop::collection::vec((0..POLICIES, 0..3i64, prop::bool::weighted(0.05)), 0..3);
    let targets = prop::collection::vec(prop::sample::select(vec!["target:1:1", "target:1:2", "bad"]), 0..2);
    let ipams = prop::collection::vec((0..IPAMS, 0..2i64), 0..2);
    let numbers = (0..NETWORKS, identity(), prop::option::weighted(0.9, 0..2usize), 0..3i64);
    (numbers, attached, targets, ipams).prop_map(|((number, id, target, vxlan), attached, targets, ipams)| {
        let name = format!("{}{}", network_name(number), id.1);
        let own = uuid(ObjectType::VirtualNetwork, number, id.0);
        let mut make = Make::new(ObjectType::VirtualNetwork, own, &name)
            .parent(ObjectType::Project, project_id(number % 2))
            .prop("virtual_network_network_id", json!(number + 1))
            .prop("virtual_network_properties", json!({"vxlan_network_identifier": vxlan + 1}))
            .prop("import_route_target_list", json!({"route_target": targets}));
        if let Some(offset) = target {
            make = make.prop(defaults::ROUTE_TARGET_NUMBER_PROPERTY, json!(8_000_000 + number + offset));
        }
        for (policy, major, timed) in attached {
            let mut attr = json!({"sequence": {"major": major, "minor": 0}});
            if timed {
                attr["timer"] = json!({"start_time": "now"});
            }
            let id = uuid(ObjectType::NetworkPolicy, policy, 0);
            make = make.refer(ObjectType::NetworkPolicy, id, &policy_name(policy), Some(attr));
        }
        for (ipam, size) in ipams {
            let attr =
                json!({"ipam_subnets": [{"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24 + size}}]});
            let id = uuid(ObjectType::NetworkIpam, ipam, 0);
            make = make.refer(ObjectType::NetworkIpam, id, &format!("x:ipam{ipam}"), Some(attr));
        }
        make.put()
    })
}

fn put_port() -> impl Strategy<Value = Change> {
    let parent = prop_oneof![
        3 => Just((ObjectType::Project, 0)),
        1 => (0..ROUTERS).prop_map(|n| (ObjectType::VirtualRouter, n)),
        1 => (0..MACHINES).prop_map(|n| (ObjectType::VirtualMachine, n)),
    ];
    let refs = (
        prop::collection::vec((0..NETWORKS, prop::bool::weighted(0.1)), 0..3),
        prop::collection::vec(0..GROUPS, 0..3),
        prop::collection::vec(0..MACHINES, 0..2),
        prop::option::weighted(0.2, 0..PORTS),
    );
    (0..PORTS, parent, refs, "[a-b]").prop_map(|(number, parent, (networks, groups, machines, sub), name)| {
        let parent = (parent.0, uuid(parent.0, parent.1, 0));
        let mut make = interface(0, number).parent(parent.0, parent.1).prop("display_name", json!(name));
        for (n, other) in networks {
            let id = uuid(ObjectType::VirtualNetwork, n, usize::from(other));
            make = make.refer(ObjectType::VirtualNetwork, id, &network_name(n), None);
        }
        for n in groups {
            make = make.refer(
                ObjectType::SecurityGroup,
                uuid(ObjectType::SecurityGroup, n, 0),
                &group_name(n),
                None,
            );
        }
        for n in machines {
            let id = uuid(ObjectType::VirtualMachine, n, 0);
            make = make.refer(ObjectType::VirtualMachine, id, &id.to_string(), None);
        }
        if let Some(n) = sub {
            let id = uuid(ObjectType::VirtualMachineInterface, n, 0);
            make = make.refer(ObjectType::VirtualMachineInterface, id, "x:y:z", None);
        }
        make.put()
    })
}

fn put_address() -> impl Strategy<Value = Change> {
    (0..PORTS, 0..PORTS, 0..NETWORKS).prop_map(|(number, port, network)| {
        let port_id = uuid(ObjectType::VirtualMachineInterface, port, 0);
        address(number, "10.0.0.3")
            .refer(ObjectType::VirtualMachineInterface, port_id, "a:b:c", None)
            .refer(
                ObjectType::VirtualNetwork,
                uuid(ObjectType::VirtualNetwork, network, 0),
                &network_name(network),
                None,
            )
            .put()
    })
}

fn put_router() -> impl Strategy<Value = Change> {
    let machines = prop::collection::vec(0..MACHINES, 0..2);
    (0..ROUTERS, machines, prop::option::weighted(0.3, 0..IPAMS)).prop_map(|(number, machines, ipam)| {
        let mut make = router(number);
        for n in machines {
            let id = uuid(ObjectType::VirtualMachine, n, 0);
            make = make.refer(ObjectType::VirtualMachine, id, &id.to_string(), None);
        }
        if let Some(n) = ipam {
            let id = uuid(ObjectType::NetworkIpam, n, 0);
            make = make.refer(ObjectType::NetworkIpam, id, &format!("x:ipam{n}"), None);
        }
        make.put()
    })
}

fn put_ipam() -> impl Strategy<Value = Change> {
    (0..IPAMS, any::<bool>()).prop_map(|(number, dns)| {
        let id = uuid(ObjectType::NetworkIpam, number, 0);
        let make = Make::new(ObjectType::NetworkIpam, id, &format!("x:ipam{number}"));
        let dns_id = uuid(ObjectType::VirtualDns, 0, 0);
        if dns { make.refer(ObjectType::VirtualDns, dns_id, "d:dns", None).put() } else { make.put() }
    })
}

fn put_small() -> impl Strategy<Value = Change> {
    let dns = uuid(ObjectType::VirtualDns, 0, 0);
    prop_oneof![
        3 => (0..MACHINES).prop_map(machine),
        1 => (0..2usize).prop_map(project),
        1 => (64512..64515i64).prop_map(global_config),
        1 => prop::sample::select(vec!["configured", "automatic"]).prop_map(|mode| {
            let id = uuid(ObjectType::GlobalVrouterConfig, 0, 0);
            Make::new(ObjectType::GlobalVrouterConfig, id, &defaults::global_vrouter_config().to_string())
                .parent(ObjectType::GlobalSystemConfig, uuid(ObjectType::GlobalSystemConfig, 0, 0))
                .prop("vxlan_network_identifier_mode", json!(mode))
                .put()
        }),
        1 => Just(Make::new(ObjectType::VirtualDns, dns, "d:dns").put()),
        1 => (0..2usize).prop_map(move |n| {
            let id = uuid(ObjectType::VirtualDnsRecord, n, 0);
            Make::new(ObjectType::VirtualDnsRecord, id, &format!("d:dns:r{n}")).parent(ObjectType::VirtualDns, dns).put()
        }),
    ]
}

fn put() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => put_network(),
        4 => (0..POLICIES, rules(policy_address().boxed())).prop_map(|(n, rules)| policy(0, n, rules)),
        2 => (0..GROUPS, rules(group_address().boxed())).prop_map(|(n, rules)| group(0, n, rules)),
        5 => put_port(),
        3 => put_address(),
        3 => put_router(),
        1 => put_ipam(),
        4 => put_small(),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        14 => put().prop_map(Edit::Put),
        4 => (0..64usize).prop_map(Edit::Delete),
        2 => (0..NETWORKS, 0..4usize).prop_map(|(n, target)| Edit::Retarget(n, target)),
        2 => (0..NETWORKS, 0..NETWORKS).prop_map(|(a, b)| Edit::Connect(a, b)),
        6 => Just(Edit::Commit),
        2 => (0..ROUTERS).prop_map(Edit::Subscribe),
        1 => (0..ROUTERS).prop_map(Edit::Unsubscribe),
        4 => (0..ROUTERS, 0..MACHINES).prop_map(|(r, m)| Edit::SubscribeMachine(r, m)),
        1 => (0..ROUTERS, 0..MACHINES).prop_map(|(r, m)| Edit::UnsubscribeMachine(r, m)),
    ]
}

/// A compiler under test beside the plain truth: the objects, the subscriptions, what was sent.
#[derive(Default)]
struct World {
    compiler: Compiler,
    pending: Vec<Change>,
    objects: BTreeMap<(ObjectType, Uuid), Change>,
    agents: BTreeMap<String, (BTreeSet<Uuid>, Replica)>,
    replayed: Intent,
}

impl World {
    fn new() -> Self {
        let compiler = Compiler::new();
        let replayed = compiler.intent().clone();
        Self { compiler, replayed, ..Self::default() }
    }

    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Put(change) => self.put(change),
            Edit::Retarget(number, target) => {
                let key = (ObjectType::VirtualNetwork, uuid(ObjectType::VirtualNetwork, *number, 0));
                let Some(old) = self.objects.get(&key) else { return };
                let mut network = object_of(old).as_ref().clone();
                network
                    .props
                    .insert(defaults::ROUTE_TARGET_NUMBER_PROPERTY.into(), json!(8_000_000 + target));
                self.put(&Change::Put(network.into()));
            }
            Edit::Connect(a, b) => self.connect(*a, *b),
            Edit::Delete(nth) => {
                let Some(key) = self.objects.keys().cycle().nth(*nth).copied() else { return };
                let object = self.objects.remove(&key).unwrap();
                self.pending.push(delete(&object));
            }
            Edit::Commit => self.commit(),
            subscription => {
                self.commit();
                self.subscription(subscription);
            }
        }
    }

    fn put(&mut self, change: &Change) {
        let object = object_of(change);
        self.objects.insert((object.object_type, object.uuid), change.clone());
        self.pending.push(change.clone());
    }

    fn connect(&mut self, a: usize, b: usize) {
        let side = |n: usize| json!([{"virtual_network": network_name(n)}]);
        let rule = json!({"direction": "<>", "protocol": "any", "src_addresses": side(a), "dst_addresses": side(b),
            "action_list": {"simple_action": "pass"}});
        let policy = policy(0, POLICIES, json!([rule]));
        self.put(&policy);
        for number in [a, b] {
            self.put(&attach(network(number % 2, number), &policy, 0).put());
        }
    }

    fn commit(&mut self) {
        let delta = self.compiler.apply(&std::mem::take(&mut self.pending));
        replay_delta(&mut self.replayed, &delta);
        for (name, ops) in delta.agents {
            assert!(!ops.is_empty());
            self.agents.get_mut(&name).expect("an agent that subscribed").1.replay(&ops);
        }
    }

    fn subscription(&mut self, edit: &Edit) {
        let machine_id = |m: &usize| uuid(ObjectType::VirtualMachine, *m, 0);
        match edit {
            Edit::Subscribe(r) => {
                let ops = self.compiler.subscribe_agent(&router_name(*r));
                self.agents.entry(router_name(*r)).or_default().1.replay(&ops);
            }
            Edit::Unsubscribe(r) => {
                self.compiler.unsubscribe_agent(&router_name(*r));
                self.agents.remove(&router_name(*r));
            }
            Edit::SubscribeMachine(r, m) => {
                let ops = self.compiler.subscribe_vm(&router_name(*r), machine_id(m));
                match self.agents.get_mut(&router_name(*r)) {
                    Some((machines, replica)) => {
                        machines.insert(machine_id(m));
                        replica.replay(&ops);
                    }
                    None => assert!(ops.is_empty()),
                }
            }
            Edit::UnsubscribeMachine(r, m) => {
                let ops = self.compiler.unsubscribe_vm(&router_name(*r), machine_id(m));
                if let Some((machines, replica)) = self.agents.get_mut(&router_name(*r)) {
                    machines.remove(&machine_id(m));
                    replica.replay(&ops);
                }
            }
            _ => unreachable!("not a subscription"),
        }
    }

    /// Compares with a new compiler given the objects as they are.
    fn check(&mut self) {
        self.commit();
        let mut fresh = Compiler::new();
        fresh.apply(&self.objects.values().cloned().collect::<Vec<_>>());
        assert_eq!(self.compiler.intent(), fresh.intent());
        self.replayed.problems.clone_from(&self.compiler.intent().problems);
        assert_eq!(&self.replayed, fresh.intent());
        for (name, (machines, replica)) in &self.agents {
            let mut expected = Replica::default();
            expected.replay(&fresh.subscribe_agent(name));
            for machine in machines {
                expected.replay(&fresh.subscribe_vm(name, *machine));
            }
            assert_eq!(replica, &expected, "{name}");
        }
        assert!(self.compiler.recompute().is_empty(), "computing everything anew finds a difference");
    }
}

/// More cases by `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: default.cases.max(400), ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn incremental_equals_from_scratch(edits in prop::collection::vec(edit(), 1..80)) {
        let mut world = World::new();
        for r in 0..ROUTERS {
            world.subscription(&Edit::Subscribe(r));
            world.subscription(&Edit::SubscribeMachine(r, r));
        }
        for (number, edit) in edits.iter().enumerate() {
            world.edit(edit);
            if number % 16 == 15 {
                world.check();
            }
        }
        world.check();
    }

    #[test]
    fn order_does_not_matter(
        changes in prop::collection::vec(put(), 1..60),
        shuffle in prop::collection::vec(any::<u32>(), 60),
        batch in 1..10usize,
    ) {
        let mut last: BTreeMap<_, Change> = BTreeMap::new();
        for change in changes {
            last.insert((object_of(&change).object_type, object_of(&change).uuid), change);
        }
        let sorted: Vec<Change> = last.into_values().collect();
        let mut order: Vec<usize> = (0..sorted.len()).collect();
        order.sort_by_key(|i| shuffle[*i]);
        let shuffled: Vec<Change> = order.iter().map(|i| sorted[*i].clone()).collect();
        let mut one = Compiler::new();
        one.apply(&sorted);
        let mut other = Compiler::new();
        for part in shuffled.chunks(batch) {
            other.apply(part);
        }
        prop_assert_eq!(one.intent(), other.intent());
        for r in 0..ROUTERS {
            let (mut a, mut b) = (Replica::default(), Replica::default());
            a.replay(&one.subscribe_agent(&router_name(r)));
            b.replay(&other.subscribe_agent(&router_name(r)));
            prop_assert_eq!(a, b);
        }
    }
}
