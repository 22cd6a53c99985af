//! Measures the compiler at the size of a large installation:
//! `cargo test --release -p weft-compiler --test scale -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use serde_json::json;
use std::time::Duration;
use weft_compiler::{Compiler, Delta};
use weft_model::{Change, ObjectType};
use weft_xmpp::config::ConfigOp;

const NETWORKS: usize = 10_000;
const NETWORKS_PER_PROJECT: usize = 100;
const PORTS: usize = 50_000;
const HOSTS: usize = 500;
/// Repetitions of a small change.
const ROUNDS: usize = 1000;
/// Pairs of networks with a policy between them.
const PAIRS: usize = 2_000;

fn network_name(number: usize) -> String {
    format!("{}:net{number}", project_name(number / NETWORKS_PER_PROJECT))
}

/// A policy between a network and the next one.
fn pair_policy(number: usize, rules: usize) -> Change {
    let rule = |port: usize| {
        json!({"rule_uuid": "r", "direction": "<>", "protocol": "tcp",
            "src_addresses": [{"virtual_network": network_name(number)}],
            "dst_addresses": [{"virtual_network": network_name(number + 1)}],
            "dst_ports": [{"start_port": port, "end_port": port}], "action_list": {"simple_action": "pass"}})
    };
    policy(number / NETWORKS_PER_PROJECT, number, (0..rules).map(rule).collect())
}

fn port(number: usize, network: &Change, group: &Change) -> [Change; 3] {
    let vm = machine(number);
    let port = refer_to(refer_to(refer_to(interface(0, number), network), group), &vm).put();
    let ip = refer_to(refer_to(address(number, "10.0.0.3"), &port), network).put();
    [vm, port, ip]
}

fn configuration() -> (Vec<Change>, Vec<Change>, Change) {
    let mut all = vec![global_config(64512)];
    all.extend((0..NETWORKS / NETWORKS_PER_PROJECT).map(project));
    let sg = group(
        0,
        0,
        json!([{"direction": ">", "protocol": "any",
        "src_addresses": [{"security_group": "any"}], "dst_addresses": [{"security_group": "local"}]}]),
    );
    all.push(sg.clone());
    let policies: Vec<Change> = (0..PAIRS).map(|pair| pair_policy(2 * pair, 4)).collect();
    let networks: Vec<Change> = (0..NETWORKS)
        .map(|number| {
            let make = network(number / NETWORKS_PER_PROJECT, number);
            policies.get(number / 2).map_or_else(
                || network(number / NETWORKS_PER_PROJECT, number).put(),
                |p| attach(make, p, 0).put(),
            )
        })
        .collect();
    all.extend(policies);
    all.extend(networks.iter().cloned());
    all.extend((0..HOSTS).map(|host| router(host).put()));
    for number in 0..PORTS {
        all.extend(port(number, &networks[number % NETWORKS], &sg));
    }
    (all, networks, sg)
}

fn count(delta: &Delta) -> (usize, usize, usize) {
    let operations = delta.agents.values().map(Vec::len).sum();
    (delta.routing_instances.len(), delta.agents.len(), operations)
}

/// CPU time of this thread so far: what others do on the machine does not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Mean time of `step` over several rounds (the clock ticks slowly), and what its last round gave.
fn measure(rounds: usize, mut step: impl FnMut(usize) -> Delta) -> (Duration, (usize, usize, usize)) {
    let mut last = (0, 0, 0);
    let start = cpu();
    for round in 0..rounds {
        last = count(&step(round));
    }
    ((cpu() - start) / u32::try_from(rounds).unwrap(), last)
}

fn subscribe_all(compiler: &mut Compiler) -> usize {
    let mut operations = 0;
    for host in 0..HOSTS {
        let name = router_name(host);
        let count = |ops: Vec<ConfigOp>| ops.len();
        operations += count(compiler.subscribe_agent(&name));
        for number in (host..PORTS).step_by(HOSTS) {
            operations += count(compiler.subscribe_vm(&name, uuid(ObjectType::VirtualMachine, number, 0)));
        }
    }
    operations
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
#[ignore = "a measurement; run it in release mode"]
fn scale() {
    let (all, networks, sg) = configuration();
    println!("objects {}, resident {} MiB", all.len(), resident_kib() / 1024);
    let mut compiler = Compiler::new();
    let start = cpu();
    compiler.apply(&all);
    println!("load: {:?}, resident {} MiB", cpu() - start, resident_kib() / 1024);
    assert!(compiler.intent().problems.is_empty());
    let start = cpu();
    let operations = subscribe_all(&mut compiler);
    let resident = resident_kib() / 1024;
    println!(
        "{HOSTS} agents subscribe: {:?}, {operations} operations, resident {resident} MiB",
        cpu() - start
    );

    let next = PORTS + HOSTS;
    for round in 0..ROUNDS {
        compiler.subscribe_vm(&router_name(round % HOSTS), uuid(ObjectType::VirtualMachine, next + round, 0));
    }
    let (time, (_, agents, operations)) =
        measure(ROUNDS, |round| compiler.apply(&port(next + round, &networks[round * 7 % NETWORKS], &sg)));
    println!("port add (machine, port, address): {time:?}, {agents} agent, {operations} operations");
    let (time, (_, agents, operations)) = measure(ROUNDS, |round| {
        compiler
            .apply(&port(next + round, &networks[round * 7 % NETWORKS], &sg).map(|change| delete(&change)))
    });
    println!("port delete: {time:?}, {agents} agent, {operations} operations");
    let pair = |round: usize| 2 * (PAIRS + round);
    let attached = |number: usize, policy: &Change| {
        attach(network(number / NETWORKS_PER_PROJECT, number), policy, 0).put()
    };
    let (time, (instances, agents, operations)) = measure(ROUNDS, |round| {
        let (number, policy) = (pair(round), pair_policy(pair(round), 4));
        compiler.apply(&[policy.clone(), attached(number, &policy), attached(number + 1, &policy)])
    });
    println!(
        "policy add between two networks: {time:?}, {instances} instances, {agents} agents, {operations} operations"
    );
    let (time, _) = measure(ROUNDS, |round| compiler.apply(&[pair_policy(pair(round), 5)]));
    println!("rule added to a policy: {time:?}");
    let (time, _) = measure(ROUNDS, |round| {
        let (number, policy) = (pair(round), pair_policy(pair(round), 4));
        compiler.apply(&[networks[number].clone(), networks[number + 1].clone(), delete(&policy)])
    });
    println!("policy delete: {time:?}");
    let (time, _) = measure(3, |round| compiler.apply(&[pair_policy(0, 10_000 + round)]));
    println!("policy of 10,000 rules: {time:?}");
    let start = cpu();
    assert!(compiler.recompute().is_empty());
    println!("recompute of everything: {:?}", cpu() - start);
}
