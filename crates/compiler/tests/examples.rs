//! Worked examples: what a reader of the specification expects for small configurations.

mod common;

use common::*;
use serde_json::{Value, json};
use weft_compiler::{Compiler, Intent, ProblemKind, RoutingInstance};
use weft_model::{Change, FqName, ObjectType, derived_uuid};
use weft_xmpp::config::{ConfigElement, ConfigOp};

const A: &str = "default-domain:tenant0:net0";
const B: &str = "default-domain:tenant0:net1";

fn instance<'a>(compiler: &'a Compiler, network: &str) -> &'a RoutingInstance {
    let name = FqName::from(network);
    &compiler.intent().routing_instances[&name.child(name.last())]
}

fn targets(set: &std::collections::BTreeSet<weft_model::RouteTarget>) -> Vec<String> {
    set.iter().map(ToString::to_string).collect()
}

/// The entries of a list, shortened: `source:ports > destination:ports protocol action uuid`.
fn entries(intent: &Intent, name: &str) -> Option<Vec<String>> {
    let id = derived_uuid(ObjectType::AccessControlList, &FqName::from(name));
    let acl = intent.derived.get(&(ObjectType::AccessControlList, id))?;
    assert_eq!(acl.fq_name.to_string(), name);
    let rules = acl.props["access_control_list_entries"]["acl_rule"].as_array();
    Some(rules.map(Vec::as_slice).unwrap_or_default().iter().map(entry).collect())
}

fn entry(rule: &Value) -> String {
    let side = |address: &str, port: &str| {
        let condition = &rule["match_condition"];
        let address = &condition[address];
        let subnet = &address["subnet"];
        let name = ["virtual_network", "security_group"].iter().filter_map(|n| address[*n].as_str());
        let mut text: Vec<String> = name.map(str::to_owned).collect();
        if let Some(prefix) = subnet["ip_prefix"].as_str() {
            text.push(format!("{prefix}/{}", subnet["ip_prefix_len"]));
        }
        format!("{}:{}-{}", text.join("+"), condition[port]["start_port"], condition[port]["end_port"])
    };
    format!(
        "{} > {} {} {} {}",
        side("src_address", "src_port"),
        side("dst_address", "dst_port"),
        rule["match_condition"]["protocol"].as_str().unwrap_or("-"),
        rule["action_list"]["simple_action"].as_str().unwrap_or("-"),
        rule["rule_uuid"].as_str().unwrap_or("-").rsplit('-').next().unwrap_or("-"),
    )
}

fn tcp_80(from: &str, to: &str) -> Value {
    json!({"rule_uuid": "r1", "direction": ">", "protocol": "tcp", "src_addresses": [{"virtual_network": from}],
        "src_ports": [{"start_port": -1, "end_port": -1}], "dst_addresses": [{"virtual_network": to}],
        "dst_ports": [{"start_port": 80, "end_port": 80}], "action_list": {"simple_action": "pass"}})
}

#[test]
fn a_network_has_an_instance_and_a_target_and_no_list() {
    let mut compiler = Compiler::new();
    let delta = compiler.apply(&[project(0), network(0, 0).put()]);
    assert_eq!(delta.routing_instances.len(), 1);
    let ri = instance(&compiler, A);
    assert_eq!((ri.virtual_network_id, ri.vxlan_id), (1, 1));
    assert_eq!(targets(&ri.import), ["target:64512:8000000"]);
    assert_eq!(ri.import, ri.export);
    assert_eq!(entries(compiler.intent(), &format!("{A}:net0")), None);
    let target = derived_uuid(ObjectType::RouteTarget, &FqName::new(["target:64512:8000000"]));
    assert!(compiler.intent().derived.contains_key(&(ObjectType::RouteTarget, target)));
    let master =
        &compiler.intent().routing_instances[&FqName::from(weft_model::defaults::MASTER_ROUTING_INSTANCE)];
    assert!(master.import.is_empty());
    assert!(compiler.intent().problems.is_empty(), "{:?}", compiler.intent().problems);
}

#[test]
fn the_as_number_and_configured_targets_count() {
    let mut compiler = Compiler::new();
    let vn = network(0, 0)
        .prop("route_target_list", json!({"route_target": ["target:1:1", "nonsense"]}))
        .prop("import_route_target_list", json!({"route_target": ["target:1:2", "target:1:4"]}))
        .prop("export_route_target_list", json!({"route_target": ["target:1:3", "target:1:4"]}));
    compiler.apply(&[vn.put(), global_config(65000)]);
    let ri = instance(&compiler, A);
    assert_eq!(targets(&ri.import), ["target:1:1", "target:1:2", "target:1:4", "target:65000:8000000"]);
    assert_eq!(targets(&ri.export), ["target:1:1", "target:1:3", "target:1:4", "target:65000:8000000"]);
    let problem = compiler.intent().problems.first().unwrap();
    assert_eq!(problem.kind, ProblemKind::RouteTarget("nonsense".into()));
}

#[test]
fn a_policy_connects_two_networks_that_both_have_it() {
    let p = policy(0, 0, json!([tcp_80(A, B)]));
    let mut compiler = Compiler::new();
    compiler.apply(&[p.clone(), attach(network(0, 0), &p, 0).put(), network(0, 1).put()]);
    assert_eq!(targets(&instance(&compiler, A).import), ["target:64512:8000000"], "one side only");
    compiler.apply(&[attach(network(0, 1), &p, 0).put()]);
    assert_eq!(targets(&instance(&compiler, A).import), ["target:64512:8000000", "target:64512:8000001"]);
    assert_eq!(targets(&instance(&compiler, A).export), ["target:64512:8000000"]);
    assert_eq!(targets(&instance(&compiler, B).import), ["target:64512:8000000", "target:64512:8000001"]);
    for (network, own) in [(A, "net0"), (B, "net1")] {
        let expected = [
            format!("{A}:-1--1 > {B}:80-80 6 pass r1"),
            format!("{network}:-1--1 > {network}:-1--1 any pass 100000000001"),
            "any:-1--1 > any:-1--1 any deny 100000000002".to_owned(),
        ];
        assert_eq!(entries(compiler.intent(), &format!("{network}:{own}")).unwrap(), expected);
    }
    let delta = compiler.apply(&[network(0, 1).put()]);
    assert_eq!(delta.routing_instances.len(), 2, "both sides lose the other's target");
    assert_eq!(entries(compiler.intent(), &format!("{B}:net1")), None);
}

#[test]
fn two_tenants_with_the_same_policy_shape_stay_apart() {
    let mut compiler = Compiler::new();
    let mut changes = Vec::new();
    for tenant in [0, 1] {
        let (from, to) = (2 * tenant, 2 * tenant + 1);
        let name = |n: usize| format!("{}:net{n}", project_name(tenant));
        let p = policy(tenant, tenant, json!([tcp_80(&name(from), &name(to)), tcp_80("any", "any")]));
        changes.push(attach(network(tenant, from), &p, 0).put());
        changes.push(attach(network(tenant, to), &p, 0).put());
        changes.extend([p, project(tenant)]);
    }
    compiler.apply(&changes);
    for tenant in [0, 1] {
        for n in [2 * tenant, 2 * tenant + 1] {
            let ri = instance(&compiler, &format!("{}:net{n}", project_name(tenant)));
            let own = [8_000_000 + 2 * tenant, 8_000_001 + 2 * tenant].map(|t| format!("target:64512:{t}"));
            assert_eq!(targets(&ri.import), own);
        }
    }
}

#[test]
fn rules_keep_the_order_of_policies_and_covered_ones_go() {
    let both = |proto: &str, port: i64, action: &str| {
        json!({"rule_uuid": format!("{proto}{port}{action}"), "direction": "<>", "protocol": proto,
            "src_addresses": [{"virtual_network": "local"}], "dst_addresses": [{"virtual_network": B}],
            "dst_ports": [{"start_port": port, "end_port": port}], "action_list": {"simple_action": action}})
    };
    let late = policy(0, 0, json!([both("udp", 53, "pass"), both("tcp", 22, "pass")]));
    let early = policy(0, 1, json!([both("tcp", 22, "deny")]));
    let mut compiler = Compiler::new();
    let vn = attach(attach(network(0, 0), &late, 7), &early, 3);
    compiler.apply(&[late, early, vn.put(), network(0, 1).put()]);
    let expected = [
        format!("{A}:-1--1 > {B}:22-22 6 deny tcp22deny"),
        format!("{B}:22-22 > {A}:-1--1 6 deny tcp22deny"),
        format!("{A}:-1--1 > {B}:53-53 17 pass udp53pass"),
        format!("{B}:53-53 > {A}:-1--1 17 pass udp53pass"),
        format!("{A}:-1--1 > {A}:-1--1 any pass 100000000001"),
        "any:-1--1 > any:-1--1 any deny 100000000002".to_owned(),
    ];
    assert_eq!(entries(compiler.intent(), &format!("{A}:net0")).unwrap(), expected);
}

#[test]
fn a_policy_as_address_means_its_networks() {
    let members = policy(0, 1, json!([]));
    let name = object_of(&members).fq_name.to_string();
    let rule = json!({"direction": "<>", "protocol": "any", "src_addresses": [{"virtual_network": "local"}],
        "dst_addresses": [{"network_policy": name}], "action_list": {"simple_action": "pass"}});
    let p = policy(0, 0, json!([rule]));
    let mut compiler = Compiler::new();
    compiler.apply(&[p.clone(), members.clone(), attach(network(0, 0), &p, 0).put()]);
    let list = format!("{A}:net0");
    assert_eq!(entries(compiler.intent(), &list).unwrap().len(), 2);
    compiler.apply(&[attach(attach(network(0, 1), &members, 0), &p, 0).put()]);
    assert_eq!(entries(compiler.intent(), &list).unwrap().len(), 4);
    assert_eq!(instance(&compiler, A).import.len(), 1, "net1's own rules name net1 only");
    compiler.apply(&[delete(&members)]);
    assert_eq!(entries(compiler.intent(), &list).unwrap().len(), 2);
    assert!(compiler.intent().problems.iter().any(|p| matches!(p.kind, ProblemKind::Dangling { .. })));
}

#[test]
fn security_groups_give_two_lists() {
    let own = object_of(&group(0, 0, json!([]))).fq_name.to_string();
    let rules = json!([
        {"rule_uuid": "in", "direction": ">", "protocol": "any", "ethertype": "IPv4",
            "src_addresses": [{"security_group": own}], "dst_addresses": [{"security_group": "local"}]},
        {"rule_uuid": "ping", "direction": ">", "protocol": "icmp", "ethertype": "IPv6",
            "src_addresses": [{"subnet": {"ip_prefix": "::", "ip_prefix_len": 0}}],
            "dst_addresses": [{"security_group": "local"}]},
        {"rule_uuid": "out", "direction": ">", "protocol": "tcp",
            "src_addresses": [{"security_group": "local"}], "dst_addresses": [{"security_group": "any"}],
            "dst_ports": [{"start_port": 443, "end_port": 443}]},
        {"rule_uuid": "sideless", "direction": ">", "protocol": "tcp",
            "src_addresses": [{"security_group": "any"}], "dst_addresses": [{"security_group": "any"}]},
        {"rule_uuid": "other", "direction": ">", "protocol": "tcp",
            "src_addresses": [{"security_group": "default-domain:tenant0:group1"}],
            "dst_addresses": [{"security_group": "local"}]}
    ]);
    let mut compiler = Compiler::new();
    compiler.apply(&[group(0, 0, rules)]);
    let ingress = format!("{own}:ingress-access-control-list");
    let egress = format!("{own}:egress-access-control-list");
    let first = ["8000000:0-65535 > :0-65535 any pass in", "::/0:0-65535 > :0-65535 58 pass ping"];
    assert_eq!(entries(compiler.intent(), &ingress).unwrap(), first);
    assert_eq!(entries(compiler.intent(), &egress).unwrap(), [":0-65535 > -1:443-443 6 pass out"]);
    let kinds: Vec<_> = compiler.intent().problems.iter().map(|p| (p.rule, p.kind.to_string())).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    compiler.apply(&[group(0, 1, json!([]))]);
    assert_eq!(entries(compiler.intent(), &ingress).unwrap()[2], "8000001:0-65535 > :0-65535 6 pass other");
    assert_eq!(compiler.intent().problems.len(), 1);
}

/// A host with one workload in `net0`, under policy, in a security group.
fn workload() -> Vec<Change> {
    let p = policy(0, 0, json!([tcp_80(A, B)]));
    let vn = attach(network(0, 0), &p, 0);
    let dns_id = uuid(ObjectType::VirtualDns, 0, 0);
    let dns = Make::new(ObjectType::VirtualDns, dns_id, "default-domain:dns").put();
    let record_id = uuid(ObjectType::VirtualDnsRecord, 0, 0);
    let record = Make::new(ObjectType::VirtualDnsRecord, record_id, "default-domain:dns:www")
        .parent(ObjectType::VirtualDns, dns_id)
        .put();
    let ipam_id = uuid(ObjectType::NetworkIpam, 0, 0);
    let ipam =
        refer_to(Make::new(ObjectType::NetworkIpam, ipam_id, "default-domain:tenant0:ipam"), &dns).put();
    let subnets = json!({"ipam_subnets": [{"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24}}]});
    let vn = vn
        .refer(ObjectType::NetworkIpam, object_of(&ipam).uuid, "default-domain:tenant0:ipam", Some(subnets))
        .put();
    let sg = group(0, 0, json!([]));
    let vm = machine(0);
    let port = refer_to(refer_to(refer_to(interface(0, 0), &vn), &sg), &vm)
        .prop("perms2", json!({"owner": "x"}))
        .put();
    let ip = refer_to(refer_to(address(0, "10.0.0.3"), &port), &vn).put();
    vec![
        global_config(64512),
        project(0),
        p,
        dns,
        record,
        ipam,
        vn,
        sg,
        vm,
        port,
        ip,
        router(0).put(),
        network(0, 1).put(),
    ]
}

#[test]
fn an_agent_gets_what_its_workloads_need_and_no_more() {
    let mut compiler = Compiler::new();
    compiler.apply(&workload());
    let mut replica = Replica::default();
    replica.replay(&compiler.subscribe_agent(&router_name(0)));
    assert_eq!(replica.nodes.len(), 2, "the router and the global configuration: {replica:?}");
    let vm = uuid(ObjectType::VirtualMachine, 0, 0);
    let ops = compiler.subscribe_vm(&router_name(0), vm);
    replica.replay(&ops);
    for (node_type, names) in [
        ("virtual-machine", vec![vm.to_string()]),
        ("virtual-network", vec![A.into()]),
        ("routing-instance", vec![format!("{A}:net0")]),
        ("network-ipam", vec!["default-domain:tenant0:ipam".into()]),
        ("virtual-network-network-ipam", vec![format!("attr({A},default-domain:tenant0:ipam)")]),
        (
            "virtual-machine-interface-routing-instance",
            vec![format!("attr(default-domain:tenant0:port0,{A}:net0)")],
        ),
        (
            "access-control-list",
            vec![
                "default-domain:tenant0:group0:egress-access-control-list".into(),
                "default-domain:tenant0:group0:ingress-access-control-list".into(),
                format!("{A}:net0"),
            ],
        ),
        ("security-group", vec!["default-domain:tenant0:group0".into()]),
        ("virtual-DNS", vec!["default-domain:dns".into()]),
        ("virtual-DNS-record", vec!["default-domain:dns:www".into()]),
        ("project", vec![project_name(0)]),
        ("instance-ip", vec!["ip0".into()]),
        ("network-policy", vec![]),
        ("route-target", vec![]),
    ] {
        assert_eq!(replica.names(node_type), names, "{node_type}");
    }
    let port = &replica.nodes[&("virtual-machine-interface".into(), "default-domain:tenant0:port0".into())];
    assert!(!port.properties.contains_key("perms2"));
    assert_eq!(port.properties["id_perms"]["uuid"]["uuid_mslong"], json!(port.uuid.unwrap().as_u64_pair().0));
    let attached = &replica.nodes[&(
        "virtual-machine-interface-routing-instance".to_owned(),
        format!("attr(default-domain:tenant0:port0,{A}:net0)"),
    )];
    assert_eq!(attached.properties["value"], json!({"direction": "both"}));
    let vn = &replica.nodes[&("virtual-network".to_owned(), A.to_owned())];
    assert!(vn.properties.keys().all(|k| !k.starts_with("weft_")));
    let metadata: Vec<_> = replica.links.iter().map(|l| l.metadata.as_str()).collect();
    for link in [
        "virtual-machine-interface-virtual-network",
        "virtual-network-routing-instance",
        "instance-ip-virtual-network",
        "virtual-DNS-virtual-DNS-record",
        "network-ipam-virtual-DNS",
    ] {
        assert!(metadata.contains(&link), "{link} in {metadata:?}");
    }
    let first_link = ops.iter().position(|op| matches!(op.element(), ConfigElement::Link(_))).unwrap();
    assert!(ops[first_link..].iter().all(|op| matches!(op.element(), ConfigElement::Link(_))));
    replica.replay(&compiler.unsubscribe_vm(&router_name(0), vm));
    assert_eq!(replica.nodes.len(), 2);
}

#[test]
fn a_change_is_sent_to_those_concerned_only() {
    let mut compiler = Compiler::new();
    let all = workload();
    compiler.apply(&all);
    compiler.apply(&[router(1).put()]);
    compiler.subscribe_agent(&router_name(0));
    compiler.subscribe_agent(&router_name(1));
    compiler.subscribe_vm(&router_name(0), uuid(ObjectType::VirtualMachine, 0, 0));
    let delta = compiler.apply(&[network(0, 1).prop("display_name", json!("other")).put()]);
    assert!(delta.agents.is_empty(), "nobody is in net1: {delta:?}");
    let delta = compiler.apply(&[policy(0, 0, json!([tcp_80(A, B), tcp_80(B, A)]))]);
    let ops = &delta.agents[&router_name(0)];
    assert_eq!(delta.agents.len(), 1);
    assert!(
        matches!(&ops[..], [ConfigOp::Update(ConfigElement::Node(n))] if n.node_type == "access-control-list")
    );
    let ip = all.iter().find(|c| object_of(c).object_type == ObjectType::InstanceIp).unwrap();
    let delta = compiler.apply(&[delete(ip)]);
    let ops = &delta.agents[&router_name(0)];
    assert_eq!(ops.len(), 3, "two links and the node: {ops:?}");
    assert!(ops.iter().all(|op| !op.is_update()));
}

#[test]
fn agents_may_come_before_everything() {
    let mut compiler = Compiler::new();
    assert!(compiler.subscribe_vm(&router_name(0), uuid(ObjectType::VirtualMachine, 0, 0)).is_empty());
    assert!(
        compiler.subscribe_agent("host0").is_empty(),
        "a bare host name is under the default configuration"
    );
    assert!(compiler.subscribe_vm("host0", uuid(ObjectType::VirtualMachine, 0, 0)).is_empty());
    let mut replica = Replica::default();
    for change in workload() {
        if let Some(ops) = compiler.apply(&[change]).agents.get("host0") {
            replica.replay(ops);
        }
    }
    assert_eq!(replica.names("instance-ip"), ["ip0"]);
    compiler.unsubscribe_agent("host0");
    assert!(compiler.apply(&[delete(&machine(0))]).agents.is_empty());
}

#[test]
fn bad_configuration_is_skipped_and_named() {
    let mut compiler = Compiler::new();
    let rule = |patch: Value| {
        let mut rule = tcp_80(A, B);
        rule.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        rule
    };
    let p = policy(
        0,
        0,
        json!([
            rule(json!({"protocol": "carrier-pigeon"})),
            rule(json!({"dst_ports": [{"start_port": 9, "end_port": 1}]})),
            rule(json!({"src_addresses": [{}]})),
            rule(json!({"src_addresses": []})),
            rule(json!({"action_list": null})),
            rule(json!({"action_list": {"simple_action": "pass", "apply_service": ["a:b"]}})),
            rule(json!({"dst_addresses": [{"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 77}}]})),
            rule(json!({"dst_addresses": [{"virtual_network": "no:such:network"}]})),
        ]),
    );
    let broken = Make::new(ObjectType::NetworkPolicy, uuid(ObjectType::NetworkPolicy, 1, 0), "a:b:c")
        .prop("network_policy_entries", json!("text"));
    let vn = attach(network(0, 0), &p, 0).prop("virtual_network_network_id", json!("x"));
    let twin = Make::new(ObjectType::VirtualNetwork, uuid(ObjectType::VirtualNetwork, 0, 9), A);
    let derived = Make::new(ObjectType::RouteTarget, uuid(ObjectType::RouteTarget, 0, 0), "target:1:1");
    let port = interface(0, 0).refer(
        ObjectType::VirtualNetwork,
        uuid(ObjectType::VirtualNetwork, 7, 0),
        "x:y:z",
        None,
    );
    compiler.apply(&[p, broken.put(), vn.put(), twin.put(), derived.put(), port.put()]);
    let rules: Vec<_> = compiler.intent().problems.iter().filter_map(|p| p.rule).collect();
    assert_eq!(rules, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(compiler.intent().problems.len(), 7 + 7, "{:#?}", compiler.intent().problems);
    let list = entries(compiler.intent(), &format!("{A}:net0")).unwrap();
    assert_eq!(list.len(), 3, "the rule to an unknown network and the two implicit ones: {list:?}");
}

#[test]
fn a_compiler_can_move_between_threads() {
    fn is_send<T: Send + Sync>() {}
    is_send::<Compiler>();
}
