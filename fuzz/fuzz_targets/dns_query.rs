//! A query as the DNS service takes it, resolved over a small set of zones.
#![no_main]

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use weft_dns::{Resolution, ZoneBuilder, Zones, edns};
use weft_model::Object;

const NETWORK: &str = "d:p:n1";

fn id(number: u8) -> String {
    uuid::Uuid::from_u128(number.into()).to_string()
}

fn object(object_type: &str, number: u8, name: &[&str], props: Value, refs: Value) -> Object {
    let json =
        json!({"type": object_type, "uuid": id(number), "fq_name": name, "props": props, "refs": refs});
    Object::from_json(&json).expect("an object in the store's form")
}

fn reference(number: u8, attr: Value) -> Value {
    json!([{"uuid": id(number), "fq_name": ["x"], "attr": attr}])
}

fn record(number: u8, name: &str, kind: &str, data: &str) -> Object {
    let data = json!({"record_name": name, "record_type": kind, "record_data": data, "record_class": "IN"});
    let json = json!({"type": "virtual-DNS-record", "uuid": id(number), "fq_name": ["d", "dns", name],
        "parent_type": "virtual-DNS", "parent_uuid": id(3), "props": {"virtual_DNS_record_data": data}, "refs": {}});
    Object::from_json(&json).expect("an object in the store's form")
}

static ZONES: LazyLock<Arc<Zones>> = LazyLock::new(|| {
    let subnets = json!({"ipam_subnets": [{"subnet": {"ip_prefix": "10.1.1.0", "ip_prefix_len": 24}},
        {"subnet": {"ip_prefix": "fd00::", "ip_prefix_len": 64}}]});
    let management = json!({"ipam_dns_method": "virtual-dns-server",
        "ipam_dns_server": {"virtual_dns_server_name": "d:dns"}});
    let data = json!({"domain_name": "example.test", "dynamic_records_from_client": true, "record_order": "random",
        "default_ttl_seconds": 60, "external_visible": true, "reverse_resolution": true});
    let objects = [
        object("network-ipam", 1, &["d", "p", "ipam"], json!({"network_ipam_mgmt": management}), json!({})),
        object(
            "virtual-network",
            2,
            &["d", "p", "n1"],
            json!({}),
            json!({"network-ipam": reference(1, subnets)}),
        ),
        object("virtual-DNS", 3, &["d", "dns"], json!({"virtual_DNS_data": data}), json!({})),
        object("virtual-machine", 4, &["web"], json!({}), json!({})),
        object(
            "virtual-machine-interface",
            5,
            &["d", "p", "web"],
            json!({}),
            json!({"virtual-machine": reference(4, Value::Null), "virtual-network": reference(2, Value::Null)}),
        ),
        object(
            "instance-ip",
            6,
            &["web"],
            json!({"instance_ip_address": "10.1.1.3"}),
            json!({"virtual-machine-interface": reference(5, Value::Null), "virtual-network": reference(2, Value::Null)}),
        ),
        record(7, "www", "A", "192.0.2.1"),
        record(8, "alias", "CNAME", "www.example.test"),
        record(9, "loop", "CNAME", "loop.example.test"),
        record(10, "*.wild", "AAAA", "2001:db8::1"),
    ];
    ZoneBuilder::from_objects(objects.into_iter().map(Arc::new)).zones()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert!(ZONES.has_network(NETWORK));
    let Ok(message) = edns::decode(data) else { return };
    let mark = edns::network(&message).ok().flatten();
    for (turn, query) in (0..).zip(&message.queries) {
        for network in [mark, Some(NETWORK), None] {
            if let Resolution::Answer(answer) = ZONES.resolve(network, query, turn) {
                assert!(answer.answers.len() < 1000);
            }
        }
    }
});
