//! Lab files: what is understood, and that each mistake is named with its line.

use super::format::Family;
use super::plan::{Action, Condition, RoleName, Target};
use super::*;

const GOOD: &str = r#"
name: demo
hosts: [h1, h2]
tenants: [acme, globex]
networks:
  - {name: web, tenant: acme, subnets: [10.1.0.0/24, "fd00:1::/64"]}
  - {name: db, tenant: acme, subnets: [10.2.0.0/24]}
  - {name: web, tenant: globex, subnets: [10.1.0.0/24]}
policies:
  - name: web-to-db
    tenant: acme
    networks: [web, db]
    rules: [{from: web, to: db, proto: tcp, port: 5432}, {from: 10.1.0.0/28, to: any, port: 80-90, action: deny, both: true}]
security_groups:
  - {name: sg, tenant: acme, rules: [{direction: ingress, proto: tcp, port: 22}, {direction: egress, remote: sg}]}
objects:
  - virtual-network: {fq_name: "default-domain:acme:raw", network_ipam_refs: [{to: [a, b, c], attr: {ipam_subnets: [{subnet: {ip_prefix: 10.9.0.0, ip_prefix_len: 24}}]}}]}
workloads:
  - {name: w1, host: h1, network: acme/web, address: 10.1.0.10, security_groups: [sg]}
  - {name: w2, host: h2, network: db}
  - {name: y, host: h2, network: raw}
steps:
  - check: {from: w1, to: w2, proto: tcp, port: 5432, expect: pass}
  - {name: all, matrix: {probes: [icmp, tcp/5432], allow: ["w1 <-> w2 tcp/5432"]}}
  - traffic: {name: s, from: w1, to: w2, proto: udp, rate: 100, until: last, lost: {max: 3}}
  - kill: {role: agent, host: h1}
  - wait: agent h2
  - wait: 0.5
  - check: {traffic: s, expect: drop, within: 1}
  - check: {from: w2, to: 10.2.0.1, expect: pass}
  - run: {workload: w1, command: "true", expect_output: x}
  - {name: last, delete: {type: network-policy, fq_name: "a:b:c"}}
"#;

#[test]
fn a_good_file_is_understood() {
    let plan = parse(GOOD, "good.yaml", "good").unwrap();
    assert_eq!(plan.name, "demo");
    assert_eq!(plan.hosts[1].address.to_string(), "172.31.0.12");
    assert_eq!(plan.workload("w1").unwrap().families, [Family::V4, Family::V6].into());
    assert_eq!(plan.workload("y").unwrap().project, ["default-domain", "acme"]);
    assert_eq!(plan.workload("w1").unwrap().security_groups, [["default-domain", "acme", "sg"]]);
    let web = plan.objects.iter().find(|d| d.name() == "default-domain:acme:web").unwrap();
    assert_eq!(web.fields["network_policy_refs"][0]["to"][2], "web-to-db");
    let policy = plan.objects.iter().find(|d| d.name() == "default-domain:acme:web-to-db").unwrap();
    let rule = &policy.fields["network_policy_entries"]["policy_rule"][0];
    assert_eq!(rule["dst_addresses"][0]["virtual_network"], "default-domain:acme:db");
    assert_eq!(rule["dst_ports"][0]["start_port"], 5432);
    assert!(matches!(&plan.steps[0].action, Action::Check(c) if c.families == [Family::V4]));
    assert!(
        matches!(&plan.steps[2].action, Action::Traffic(t) if t.until == Some(9) && t.lost.fits(3) && !t.lost.fits(4))
    );
    assert!(matches!(&plan.steps[3].action, Action::Role(_, RoleName::Agent(h)) if h == "h1"));
    assert!(matches!(&plan.steps[4].action, Action::Until(Condition::Agent(h), _) if h == "h2"));
    assert!(matches!(&plan.steps[7].action, Action::Check(c) if matches!(c.to, Target::Address(_))));
}

/// One change to the good file, and what the error must say.
#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        ("name: demo", "name: de mo", "line 1", "lab name"),
        ("hosts: [h1, h2]", "host: [h1, h2]", "line 3", "unknown field `host`"),
        ("hosts: [h1, h2]", "hosts: [h1, h1]", "line 3", "twice"),
        ("subnets: [10.2.0.0/24]", "subnets: [10.2.0.0/33]", "line 7", ""),
        ("name: db, tenant: acme", "name: db, tenant: acne", "line 7", "unknown tenant acne"),
        ("networks: [web, db]", "networks: [web, bd]", "line 10", "unknown network bd"),
        ("host: h2, network: db", "host: h3, network: db", "line 20", "unknown host h3; known: h1, h2"),
        ("network: acme/web", "network: web", "line 19", "write tenant/web"),
        ("address: 10.1.0.10", "address: 10.1.0.300", "line 19", ""),
        ("address: 10.1.0.10", "adress: 10.1.0.10", "line 19", "unknown field `adress`"),
        ("name: w2", "name: w1", "line 20", "taken"),
        ("from: w1, to: w2, proto: tcp", "from: w1, to: w9, proto: tcp", "line 23", "unknown workload w9"),
        ("port: 5432, expect: pass", "prt: 5432, expect: pass", "line 23", "unknown field `prt`"),
        ("expect: pass}\n  - {name: all", "expect: maybe}\n  - {name: all", "line 23", "maybe"),
        ("proto: tcp, port: 5432, expect", "proto: tcp, expect", "line 23", "port"),
        ("w1 <-> w2 tcp/5432", "w1 >> w2", "line 24", "the arrow"),
        ("until: last", "until: least", "line 25", "until names no step"),
        ("lost: {max: 3}", "lost: {mux: 3}", "line 25", "a number of packets"),
        ("kill: {role: agent, host: h1}", "kill: {role: agent}", "line 26", "host is missing"),
        ("role: agent, host: h1", "role: store, name: etcd1", "line 26", "controller: {store: etcd}"),
        ("wait: agent h2", "wait: agent h7", "line 27", "unknown host h7"),
        ("- wait: 0.5", "- wait: 0.5\n    kill: {role: controller}", "line 28", "exactly one"),
        ("traffic: s, expect", "traffic: z, expect", "line 29", "unknown stream z"),
        ("type: network-policy", "type: network-polcy", "line 32", "network-polcy"),
    ];
    for (old, new, line, words) in cases {
        assert!(GOOD.contains(old), "{old}");
        let error = parse(&GOOD.replacen(old, new, 1), "bad.yaml", "x").unwrap_err().to_string();
        assert!(error.starts_with("bad.yaml: "), "{error}");
        assert!(
            error.contains(line) && error.contains(words),
            "{old} -> {new}: wanted {line}, {words}: {error}"
        );
    }
}
