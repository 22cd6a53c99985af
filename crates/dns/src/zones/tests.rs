//! What a network sees, and what it does not.

use std::collections::BTreeMap;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;
use weft_model::{Change, FqName, Object, ObjectType, Reference};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn object(object_type: ObjectType, number: u128, fq_name: &str, props: Value) -> Object {
    let name = FqName(fq_name.split(':').map(str::to_owned).collect());
    let mut object = Object::new(object_type, id(number), name);
    object.props = props.as_object().unwrap().clone();
    object
}

fn refer(mut object: Object, to: ObjectType, number: u128, attr: Option<Value>) -> Object {
    let reference = Reference { uuid: id(number), fq_name: FqName(vec![]), attr };
    object.refs.entry(to).or_default().push(reference);
    object
}

fn network(number: u128, fq_name: &str, ipam: u128, prefix: &str, length: u8) -> Object {
    let subnets = json!({"ipam_subnets": [{"subnet": {"ip_prefix": prefix, "ip_prefix_len": length}}]});
    let network = object(ObjectType::VirtualNetwork, number, fq_name, json!({}));
    refer(network, ObjectType::NetworkIpam, ipam, Some(subnets))
}

fn ipam(number: u128, management: Value) -> Object {
    object(ObjectType::NetworkIpam, number, "d:p:ipam", json!({"network_ipam_mgmt": management}))
}

fn virtual_ipam(number: u128, virtual_dns: &str) -> Object {
    let server = json!({"virtual_dns_server_name": virtual_dns});
    ipam(number, json!({"ipam_dns_method": "virtual-dns-server", "ipam_dns_server": server}))
}

/// A machine with an interface in a network and its addresses; numbers `number` and on.
fn workload(number: u128, name: &str, network: u128, addresses: &[&str]) -> Vec<Object> {
    let machine = object(ObjectType::VirtualMachine, number, name, json!({}));
    let interface =
        object(ObjectType::VirtualMachineInterface, number + 1, &format!("d:p:{name}"), json!({}));
    let interface = refer(interface, ObjectType::VirtualMachine, number, None);
    let mut objects = vec![machine, refer(interface, ObjectType::VirtualNetwork, network, None)];
    for (index, address) in (2..).zip(addresses) {
        let props = json!({"instance_ip_address": address});
        let ip = object(ObjectType::InstanceIp, number + index, &format!("{name}-{index}"), props);
        let ip = refer(ip, ObjectType::VirtualNetwork, network, None);
        objects.push(refer(ip, ObjectType::VirtualMachineInterface, number + 1, None));
    }
    objects
}

fn virtual_dns(number: u128, name: &str, data: Value) -> Object {
    object(ObjectType::VirtualDns, number, &format!("d:{name}"), json!({"virtual_DNS_data": data}))
}

fn record(number: u128, virtual_dns: u128, name: &str, kind: &str, data: &str) -> Object {
    let data =
        json!({"record_name": name, "record_type": kind, "record_data": data, "record_ttl_seconds": 5});
    let props = json!({"virtual_DNS_record_data": data});
    let mut record = object(ObjectType::VirtualDnsRecord, number, &format!("d:x:{number}"), props);
    record.parent = Some((ObjectType::VirtualDns, id(virtual_dns)));
    record
}

fn zones(objects: impl IntoIterator<Item = Object>) -> Arc<Zones> {
    ZoneBuilder::from_objects(objects.into_iter().map(Arc::new)).zones()
}

/// The answer in short: the code unless it is NOERROR, then the data; or where it is passed on to.
fn ask(zones: &Zones, network: &str, name: &str, kind: RecordType) -> String {
    let network = Some(network).filter(|network| !network.is_empty());
    show(zones.resolve(network, &Query::query(Name::from_ascii(name).unwrap(), kind), 0))
}

fn show(resolution: Resolution) -> String {
    let data = |records: Vec<hickory_proto::rr::Record>| {
        records.iter().map(|r| r.data.to_string()).collect::<Vec<_>>()
    };
    match resolution {
        Resolution::Answer(Answer { code: ResponseCode::NoError, answers, .. }) => data(answers).join(" "),
        Resolution::Answer(Answer { code, answers, .. }) => {
            format!("{code:?} {}", data(answers).join(" ")).trim().into()
        }
        Resolution::Forward { aliases, name, server } => {
            let server = server.map_or(String::new(), |server| format!(" at {server}"));
            format!("{} forward {name}{server}", data(aliases).join(" ")).trim().into()
        }
    }
}

/// Two tenants with the same addresses and the same workload names, each with a secret of its own.
fn tenants() -> Vec<Object> {
    let mut objects = vec![
        ipam(1, json!({})),
        network(2, "d:acme:net", 1, "10.0.0.0", 24),
        network(3, "d:globex:net", 1, "10.0.0.0", 24),
    ];
    objects.extend(workload(10, "web", 2, &["10.0.0.3", "fd00::3"]));
    objects.extend(workload(20, "web", 3, &["10.0.0.4"]));
    objects.extend(workload(30, "acme-secret", 2, &["10.0.0.5"]));
    objects.extend(workload(40, "globex-secret", 3, &["10.0.0.5"]));
    objects
}

#[test]
fn workloads_resolve_inside_their_network() {
    let zones = zones(tenants());
    assert_eq!(ask(&zones, "d:acme:net", "web.", RecordType::A), "10.0.0.3");
    assert_eq!(ask(&zones, "d:acme:net", "WEB.", RecordType::AAAA), "fd00::3");
    assert_eq!(ask(&zones, "d:acme:net", "web.net.local.", RecordType::A), "10.0.0.3");
    assert_eq!(ask(&zones, "d:acme:net", "web.", RecordType::ANY), "10.0.0.3 fd00::3");
    assert_eq!(ask(&zones, "d:acme:net", "web.", RecordType::MX), "");
    assert_eq!(ask(&zones, "d:acme:net", "3.0.0.10.in-addr.arpa.", RecordType::PTR), "web.net.local.");
    let v6 = Name::from("fd00::3".parse::<IpAddr>().unwrap()).to_ascii();
    assert_eq!(ask(&zones, "d:acme:net", &v6, RecordType::PTR), "web.net.local.");
}

#[test]
fn overlapping_tenants_never_see_each_other() {
    let zones = zones(tenants());
    assert_eq!(ask(&zones, "d:globex:net", "web.", RecordType::A), "10.0.0.4");
    assert_eq!(ask(&zones, "d:globex:net", "web.", RecordType::AAAA), "");
    for (network, other) in [("d:acme:net", "globex-secret"), ("d:globex:net", "acme-secret")] {
        for name in [format!("{other}."), format!("{other}.net.local.")] {
            assert_eq!(ask(&zones, network, &name, RecordType::A), "NXDomain");
        }
    }
    let pointer = "5.0.0.10.in-addr.arpa.";
    assert_eq!(ask(&zones, "d:acme:net", pointer, RecordType::PTR), "acme-secret.net.local.");
    assert_eq!(ask(&zones, "d:globex:net", pointer, RecordType::PTR), "globex-secret.net.local.");
    assert_eq!(ask(&zones, "d:globex:net", "3.0.0.10.in-addr.arpa.", RecordType::PTR), "NXDomain");
    assert_eq!(ask(&zones, "", "web.net.local.", RecordType::A), "Refused");
    assert_eq!(ask(&zones, "", pointer, RecordType::PTR), "Refused");
    assert_eq!(ask(&zones, "d:other:net", "web.", RecordType::A), "ServFail");
}

#[test]
fn other_names_are_forwarded_and_own_ones_never() {
    let zones = zones(tenants());
    let net = "d:acme:net";
    assert_eq!(ask(&zones, net, "www.example.com.", RecordType::A), "forward www.example.com.");
    assert_eq!(ask(&zones, net, "com.", RecordType::NS), "forward com.");
    assert_eq!(ask(&zones, net, "8.8.8.8.in-addr.arpa.", RecordType::PTR), "forward 8.8.8.8.in-addr.arpa.");
    assert_eq!(ask(&zones, net, "10.in-addr.arpa.", RecordType::NS), "forward 10.in-addr.arpa.");
    assert_eq!(ask(&zones, net, "99.0.0.10.in-addr.arpa.", RecordType::PTR), "NXDomain");
    assert_eq!(ask(&zones, net, "0.0.10.in-addr.arpa.", RecordType::NS), "");
    assert_eq!(ask(&zones, net, "nothing.net.local.", RecordType::A), "NXDomain");
    assert_eq!(ask(&zones, net, "net.local.", RecordType::A), "");
    assert_eq!(ask(&zones, net, "nothing.", RecordType::A), "NXDomain");
    assert_eq!(ask(&zones, net, "web.", RecordType::AXFR), "Refused");
}

#[test]
fn the_dns_method_decides_who_answers() {
    let with = |method: &str| {
        let mut objects = tenants();
        objects[0] = ipam(1, json!({"ipam_dns_method": method}));
        zones(objects)
    };
    let asked = |zones: &Zones, name| ask(zones, "d:acme:net", name, RecordType::A);
    assert_eq!(asked(&with("none"), "web."), "Refused");
    assert_eq!(asked(&with("tenant-dns-server"), "web."), "10.0.0.3");
    assert_eq!(asked(&with("tenant-dns-server"), "www.example.com."), "Refused");
    assert_eq!(asked(&with("default-dns-server"), "www.example.com."), "forward www.example.com.");
    // A virtual DNS that does not exist: the network's own names still work.
    assert_eq!(asked(&with("virtual-dns-server"), "web.net.local."), "10.0.0.3");
}

fn with_virtual_dns(data: Value) -> Vec<Object> {
    let mut objects = vec![
        virtual_ipam(1, "d:dns"),
        network(2, "d:acme:net", 1, "10.0.0.0", 24),
        virtual_dns(3, "dns", data),
        record(50, 3, "www", "CNAME", "web"),
        record(51, 3, "ext", "CNAME", "www.example.com"),
        record(52, 3, "db", "A", "192.0.2.1"),
        record(53, 3, "db", "A", "192.0.2.2"),
        record(54, 3, "db", "AAAA", "2001:db8::1"),
        record(55, 3, "192.0.2.1", "PTR", "db.acme.example"),
        record(56, 3, "@", "MX", "mail"),
        record(57, 3, "@", "NS", "ns1.acme.example."),
        record(58, 3, "loop1", "CNAME", "loop2"),
        record(59, 3, "loop2", "CNAME", "loop1"),
        record(60, 3, "a.b.deep", "A", "192.0.2.9"),
        record(61, 3, "bad", "A", "not an address"),
        record(62, 3, "dangling", "CNAME", "gone"),
    ];
    objects.extend(workload(10, "web", 2, &["10.0.0.3"]));
    objects
}

fn acme_data() -> Value {
    json!({"domain_name": "acme.example", "default_ttl_seconds": 30, "record_order": "fixed"})
}

#[test]
fn virtual_dns_records_and_workloads_share_the_domain() {
    let zones = zones(with_virtual_dns(acme_data()));
    let asked = |name, kind| ask(&zones, "d:acme:net", name, kind);
    assert_eq!(asked("web.acme.example.", RecordType::A), "10.0.0.3");
    assert_eq!(asked("web.", RecordType::A), "10.0.0.3");
    assert_eq!(asked("db.acme.example.", RecordType::A), "192.0.2.1 192.0.2.2");
    assert_eq!(asked("db.", RecordType::AAAA), "2001:db8::1");
    assert_eq!(asked("acme.example.", RecordType::MX), "10 mail.acme.example.");
    assert_eq!(asked("acme.example.", RecordType::NS), "ns1.acme.example.");
    assert_eq!(asked("1.2.0.192.in-addr.arpa.", RecordType::PTR), "db.acme.example.");
    assert_eq!(asked("3.0.0.10.in-addr.arpa.", RecordType::PTR), "web.acme.example.");
    assert_eq!(asked("nothing.acme.example.", RecordType::A), "NXDomain");
    assert_eq!(asked("bad.acme.example.", RecordType::A), "NXDomain");
    assert_eq!(asked("a.b.deep.acme.example.", RecordType::A), "192.0.2.9");
    assert_eq!(asked("b.deep.acme.example.", RecordType::A), "", "between a name and its domain: no error");
    assert_eq!(asked("web.net.local.", RecordType::A), "forward web.net.local.");
    assert_eq!(asked("www.other.example.", RecordType::A), "forward www.other.example.");
}

#[test]
fn aliases_are_followed_but_not_for_ever() {
    let zones = zones(with_virtual_dns(acme_data()));
    let asked = |name, kind| ask(&zones, "d:acme:net", name, kind);
    assert_eq!(asked("www.acme.example.", RecordType::A), "web.acme.example. 10.0.0.3");
    assert_eq!(asked("www.acme.example.", RecordType::CNAME), "web.acme.example.");
    assert_eq!(asked("ext.acme.example.", RecordType::A), "www.example.com. forward www.example.com.");
    assert_eq!(asked("loop1.acme.example.", RecordType::A), "ServFail");
    assert_eq!(asked("dangling.acme.example.", RecordType::A), "NXDomain gone.acme.example.");
}

#[test]
fn settings_of_a_virtual_dns_hold() {
    let data =
        json!({"domain_name": "acme.example", "reverse_resolution": false, "next_virtual_DNS": "192.0.2.53"});
    let zones = zones(with_virtual_dns(data));
    let asked = |name, kind| ask(&zones, "d:acme:net", name, kind);
    assert_eq!(asked("3.0.0.10.in-addr.arpa.", RecordType::PTR), "NXDomain");
    assert_eq!(asked("www.example.com.", RecordType::A), "forward www.example.com. at 192.0.2.53:53");
    let query = Query::query(Name::from_ascii("db.acme.example.").unwrap(), RecordType::A);
    assert_eq!(show(zones.resolve(Some("d:acme:net"), &query, 1)), "192.0.2.2 192.0.2.1", "the order turns");
}

#[test]
fn the_next_virtual_dns_is_asked_and_rings_end() {
    let mut objects = with_virtual_dns(json!({"domain_name": "acme.example", "next_virtual_DNS": "d:corp"}));
    objects.push(virtual_dns(4, "corp", json!({"domain_name": "corp.example", "next_virtual_DNS": "d:dns"})));
    objects.push(record(70, 4, "intra", "A", "192.0.2.70"));
    let zones = zones(objects);
    let asked = |name| ask(&zones, "d:acme:net", name, RecordType::A);
    assert_eq!(asked("intra.corp.example."), "192.0.2.70");
    assert_eq!(asked("nothing.corp.example."), "NXDomain");
    assert_eq!(asked("www.example.com."), "forward www.example.com.");
}

#[test]
fn outsiders_see_what_is_externally_visible() {
    let data = json!({"domain_name": "acme.example", "external_visible": true});
    let visible = zones(with_virtual_dns(data));
    assert_eq!(ask(&visible, "", "db.acme.example.", RecordType::AAAA), "2001:db8::1");
    assert_eq!(ask(&visible, "", "web.acme.example.", RecordType::A), "NXDomain");
    assert_eq!(ask(&visible, "", "ext.acme.example.", RecordType::A), "www.example.com.");
    assert_eq!(ask(&visible, "", "www.example.com.", RecordType::A), "Refused");
    let hidden = zones(with_virtual_dns(acme_data()));
    assert_eq!(ask(&hidden, "", "db.acme.example.", RecordType::A), "Refused");
}

#[test]
fn names_are_the_displayed_one_and_the_own_one() {
    let mut objects = tenants();
    objects[3].props.insert("display_name".into(), "Front End".into());
    let zones = zones(objects);
    let asked = |name, kind| ask(&zones, "d:acme:net", name, kind);
    assert_eq!(asked("front-end.", RecordType::A), "10.0.0.3");
    assert_eq!(asked("web.", RecordType::A), "10.0.0.3");
    assert_eq!(asked("3.0.0.10.in-addr.arpa.", RecordType::PTR), "front-end.net.local.");
}

#[test]
fn a_workload_leaves_and_the_rest_stays_shared() {
    let mut builder = ZoneBuilder::from_objects(tenants().into_iter().map(Arc::new));
    let before = builder.zones();
    let gone =
        |o: &Object| Change::Delete { object_type: o.object_type, uuid: o.uuid, fq_name: o.fq_name.clone() };
    builder.apply(&workload(10, "web", 2, &["10.0.0.3", "fd00::3"]).iter().map(gone).collect::<Vec<_>>());
    let after = builder.zones();
    assert_eq!(ask(&after, "d:acme:net", "web.", RecordType::A), "NXDomain");
    assert_eq!(ask(&after, "d:globex:net", "web.", RecordType::A), "10.0.0.4");
    assert!(Arc::ptr_eq(&before.networks["d:globex:net"], &after.networks["d:globex:net"]));
    assert!(!Arc::ptr_eq(&before.networks["d:acme:net"], &after.networks["d:acme:net"]));
}

/// Objects that come, change and go in the property below, with some variants each.
fn variants() -> Vec<Vec<Object>> {
    let mut all = vec![
        vec![ipam(1, json!({})), virtual_ipam(1, "d:dns"), ipam(1, json!({"ipam_dns_method": "none"}))],
        vec![network(2, "d:acme:net", 1, "10.0.0.0", 24), network(2, "d:acme:net", 5, "10.1.0.0", 24)],
        vec![network(3, "d:globex:net", 1, "10.0.0.0", 24)],
        vec![virtual_dns(4, "dns", acme_data()), virtual_dns(4, "dns", json!({"domain_name": "b.example"}))],
        vec![record(50, 4, "x", "A", "192.0.2.1"), record(50, 6, "x", "A", "192.0.2.2")],
        vec![record(51, 4, "x", "A", "192.0.2.3")],
    ];
    let (one, other) = (workload(10, "web", 2, &["10.0.0.3"]), workload(10, "db", 3, &["10.0.0.4"]));
    all.extend(one.into_iter().zip(other).map(|(one, other)| vec![one, other]));
    all.extend(workload(20, "app", 3, &["10.0.0.9", "fd00::9"]).into_iter().map(|object| vec![object]));
    all
}

proptest! {
    #[test]
    fn zones_depend_on_the_objects_alone(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..4, any::<bool>()), 1..60)
    ) {
        let variants = variants();
        let (mut builder, mut current) = (ZoneBuilder::new(), BTreeMap::new());
        for (index, choice, look) in edits {
            let choices = index.get(&variants);
            let (uuid, object) = (choices[0].uuid, choices.get(choice).cloned().map(Arc::new));
            builder.apply(&[match &object {
                Some(object) => Change::Put(Arc::clone(object)),
                None => {
                    let Object { object_type, fq_name, .. } = choices[0].clone();
                    Change::Delete { object_type, uuid, fq_name }
                }
            }]);
            match object {
                Some(object) => drop(current.insert(uuid, object)),
                None => drop(current.remove(&uuid)),
            }
            if look {
                builder.zones();
            }
        }
        let scratch = ZoneBuilder::from_objects(current.into_values()).zones();
        prop_assert_eq!(builder.zones(), scratch);
    }
}
