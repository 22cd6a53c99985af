//! Addresses of subnets, instance-ips, ip-alloc.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};

fn instance_ip(name: &str, vn: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": [name], "virtual_network_refs": [{"uuid": vn}]});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn overlapping_subnets_are_refused_inside_a_network_only() {
    let server = Server::start().await;
    let bad = json!({"virtual-network": network("a", &[("10.0.0.0", 16), ("10.0.3.0", 24)])});
    let text = server.refused(400, Method::POST, "/virtual-networks", Some(bad)).await;
    assert!(text.contains("10.0.0.0/16") && text.contains("10.0.3.0/24"), "{text}");
    server.network("a", "10.0.0.0", 16).await;
    server.network("b", "10.0.0.0", 16).await;
    let bad = json!({"virtual-network": network("c", &[("10.0.0.0", 40)])});
    server.refused(400, Method::POST, "/virtual-networks", Some(bad)).await;
    let mut bad = network("c", &[("10.0.0.0", 24)]);
    bad["network_ipam_refs"][0]["attr"]["ipam_subnets"][0]["default_gateway"] = json!("10.9.9.9");
    server.refused(400, Method::POST, "/virtual-networks", Some(json!({"virtual-network": bad}))).await;
}

#[tokio::test]
async fn addresses_are_given_out_in_order_until_none_is_left() {
    let server = Server::start().await;
    let vn = server.network("small", "10.0.0.0", 29).await;
    let mut addresses = Vec::new();
    for index in 0..4 {
        let iip = server.create("instance-ip", instance_ip(&format!("i{index}"), &vn, json!({}))).await;
        let read = server.read("instance-ip", &iip).await;
        assert_eq!(read["instance_ip_family"], "v4");
        addresses.push((read["instance_ip_address"].as_str().unwrap().to_owned(), iip));
    }
    let given: Vec<&str> = addresses.iter().map(|(a, _)| a.as_str()).collect();
    assert_eq!(given, ["10.0.0.4", "10.0.0.3", "10.0.0.2", "10.0.0.1"]);
    let more = json!({"instance-ip": instance_ip("more", &vn, json!({}))});
    server.refused(409, Method::POST, "/instance-ips", Some(more.clone())).await;
    server.delete("instance-ip", &addresses[1].1).await;
    server.post("/instance-ips", more).await;
}

#[tokio::test]
async fn families_subnets_and_addresses_may_be_chosen() {
    let server = Server::start().await;
    let vn = server.create("virtual-network", network("dual", &[("10.0.0.0", 24), ("fd00::", 64)])).await;
    let six =
        server.create("instance-ip", instance_ip("six", &vn, json!({"instance_ip_family": "v6"}))).await;
    let six = server.read("instance-ip", &six).await;
    assert_eq!(six["instance_ip_address"], "fd00::ffff:ffff:ffff:fffc");
    let by_subnet = instance_ip("s", &vn, json!({"subnet_uuid": six["subnet_uuid"]}));
    let by_subnet = server.create("instance-ip", by_subnet).await;
    assert_eq!(server.read("instance-ip", &by_subnet).await["instance_ip_family"], "v6");
    let asked = json!({"instance_ip_address": "10.0.0.77"});
    let iip = server.create("instance-ip", instance_ip("asked", &vn, asked.clone())).await;
    let again = json!({"instance-ip": instance_ip("again", &vn, asked.clone())});
    let text = server.refused(409, Method::POST, "/instance-ips", Some(again)).await;
    assert!(text.contains("10.0.0.77"), "{text}");
    for bad in ["10.0.1.1", "10.0.0.255", "x"] {
        let body = json!({"instance-ip": instance_ip("bad", &vn, json!({"instance_ip_address": bad}))});
        server.refused(400, Method::POST, "/instance-ips", Some(body)).await;
    }
    let gateway =
        json!({"instance-ip": instance_ip("gw", &vn, json!({"instance_ip_address": "10.0.0.254"}))});
    server.refused(409, Method::POST, "/instance-ips", Some(gateway)).await;
    server.put("instance-ip", &iip, json!({"instance_ip_address": "10.0.0.78"})).await;
    server.create("instance-ip", instance_ip("free-again", &vn, asked)).await;
    let bare = server.create("virtual-network", network("bare", &[])).await;
    let none = json!({"instance-ip": instance_ip("none", &bare, json!({}))});
    server.refused(404, Method::POST, "/instance-ips", Some(none)).await;
}

#[tokio::test]
async fn pools_and_order_are_respected() {
    let server = Server::start().await;
    let mut fields = network("pooled", &[("10.0.0.0", 24)]);
    let subnet = &mut fields["network_ipam_refs"][0]["attr"]["ipam_subnets"][0];
    subnet["allocation_pools"] = json!([{"start": "10.0.0.10", "end": "10.0.0.11"}]);
    subnet["addr_from_start"] = json!(true);
    let vn = server.create("virtual-network", fields).await;
    for expected in ["10.0.0.10", "10.0.0.11"] {
        let iip = server.create("instance-ip", instance_ip(expected, &vn, json!({}))).await;
        assert_eq!(server.read("instance-ip", &iip).await["instance_ip_address"], expected);
    }
    let more = json!({"instance-ip": instance_ip("more", &vn, json!({}))});
    server.refused(409, Method::POST, "/instance-ips", Some(more)).await;
    server.create("instance-ip", instance_ip("own", &vn, json!({"instance_ip_address": "10.0.0.50"}))).await;
}

#[tokio::test]
async fn a_subnet_in_use_stays() {
    let server = Server::start().await;
    let vn = server.network("blue", "10.0.0.0", 24).await;
    let iip = server.create("instance-ip", instance_ip("i", &vn, json!({}))).await;
    let empty = json!({"virtual-network": {"network_ipam_refs": []}});
    let path = format!("/virtual-network/{vn}");
    let text = server.refused(409, Method::PUT, &path, Some(empty.clone())).await;
    assert!(text.contains("in use"), "{text}");
    // The client writes back prefixes only: everything decided is kept.
    let before = server.read("virtual-network", &vn).await;
    server.put("virtual-network", &vn, network("blue", &[("10.0.0.0", 24), ("10.0.1.0", 24)])).await;
    let after = server.read("virtual-network", &vn).await;
    let subnet = |read: &Value| read["network_ipam_refs"][0]["attr"]["ipam_subnets"][0].clone();
    assert_eq!(subnet(&before), subnet(&after));
    server.delete("instance-ip", &iip).await;
    let (status, text) = server.send(Method::PUT, &path, Some(empty)).await;
    assert_eq!(status, 200, "{text}");
    server.delete("virtual-network", &vn).await;
}

#[tokio::test]
async fn addresses_without_objects() {
    let server = Server::start().await;
    let vn = server.network("blue", "10.0.0.0", 24).await;
    let subnet =
        &server.read("virtual-network", &vn).await["network_ipam_refs"][0]["attr"]["ipam_subnets"][0];
    let path = format!("/virtual-network/{vn}");
    let body = json!({"count": 3, "subnet": subnet["subnet_uuid"], "family": null});
    let got = server.post(&format!("{path}/ip-alloc"), body).await["ip_addr"].clone();
    assert_eq!(got, json!(["10.0.0.252", "10.0.0.251", "10.0.0.250"]));
    let count = json!({"subnet_list": [subnet["subnet_uuid"]]});
    let counted = server.post(&format!("{path}/subnet-ip-count"), count.clone()).await;
    assert_eq!(counted, json!({"ip_count_list": [3]}));
    server.post(&format!("{path}/ip-free"), json!({"ip_addr": got})).await;
    assert_eq!(server.post(&format!("{path}/subnet-ip-count"), count).await["ip_count_list"], json!([0]));
    let many = json!({"count": 255, "family": "v4"});
    server.refused(409, Method::POST, &format!("{path}/ip-alloc"), Some(many)).await;
    server.refused(400, Method::POST, &format!("{path}/ip-alloc"), Some(json!({"count": 0}))).await;
}

#[tokio::test]
async fn flat_subnets_belong_to_the_ipam() {
    let server = Server::start().await;
    let ipam = json!({"fq_name": ["default-domain", "default-project", "flat"], "ipam_subnet_method": "flat-subnet",
        "ipam_subnets": {"subnets": [{"subnet": {"ip_prefix": "10.9.0.0", "ip_prefix_len": 24}}]}});
    let ipam = server.create("network-ipam", ipam).await;
    let vn = json!({"fq_name": ["default-domain", "default-project", "v"],
        "network_ipam_refs": [{"uuid": ipam, "attr": {"ipam_subnets": []}}]});
    let vn = server.create("virtual-network", vn).await;
    let iip = server.create("instance-ip", instance_ip("i", &vn, json!({}))).await;
    assert_eq!(server.read("instance-ip", &iip).await["instance_ip_address"], "10.9.0.252");
    let gone = json!({"network-ipam": {"ipam_subnets": null}});
    server.refused(409, Method::PUT, &format!("/network-ipam/{ipam}"), Some(gone)).await;
}
