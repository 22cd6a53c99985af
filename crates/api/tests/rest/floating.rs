//! Floating and alias addresses, and the pools they come from.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const POOL: [&str; 4] = ["default-domain", "default-project", "pub", "pool"];

async fn pool(server: &Server, more: Value) -> String {
    let mut fields = json!({"fq_name": POOL});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.create("floating-ip-pool", fields).await
}

fn address(name: &str, more: Value) -> Value {
    let mut fields =
        json!({"fq_name": [POOL[0], POOL[1], POOL[2], POOL[3], name], "parent_type": "floating-ip-pool"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn an_address_comes_from_the_network_of_the_pool() {
    let server = Server::start().await;
    let vn = server.create("virtual-network", network("pub", &[("10.0.0.0", 29), ("fd00::", 64)])).await;
    pool(&server, json!({})).await;
    let first = server.create("floating-ip", address("a", json!({}))).await;
    let read = server.read("floating-ip", &first).await;
    assert_eq!(read["floating_ip_address"], "10.0.0.4");
    assert_eq!(read["floating_ip_address_family"], "v4");
    assert_eq!(read["project_refs"][0]["to"], json!(["default-domain", "default-project"]));
    let own = address("b", json!({"floating_ip_address": "10.0.0.2"}));
    let own = server.create("floating-ip", own).await;
    for (status, more, says) in [
        (409, json!({"floating_ip_address": "10.0.0.2"}), "10.0.0.2"),
        (400, json!({"floating_ip_address": "10.9.0.2"}), "floating_ip_address 10.9.0.2"),
        (400, json!({"floating_ip_address": "10.0.0.3", "floating_ip_address_family": "v6"}), "family"),
    ] {
        server.no_create(status, "floating-ip", address("bad", more), &[says]).await;
    }
    let six = address("six", json!({"floating_ip_address_family": "v6"}));
    let six = server.create("floating-ip", six).await;
    assert!(
        server.read("floating-ip", &six).await["floating_ip_address"].as_str().unwrap().starts_with("fd00:")
    );
    // Instances of the network draw from the same addresses.
    let iip =
        json!({"fq_name": ["i"], "virtual_network_refs": [{"uuid": vn}], "instance_ip_address": "10.0.0.4"});
    server.no_create(409, "instance-ip", iip, &["10.0.0.4"]).await;
    let other = json!({"floating_ip_address": "10.0.0.1"});
    server.no_put(400, "floating-ip", &own, other, &["floating_ip_address", "10.0.0.2"]).await;
    server.create("floating-ip", address("c", json!({}))).await;
    server.create("floating-ip", address("d", json!({}))).await;
    server.no_create(409, "floating-ip", address("e", json!({})), &["exhausted"]).await;
    server.delete("floating-ip", &own).await;
    let again = server.create("floating-ip", address("e", json!({}))).await;
    assert_eq!(server.read("floating-ip", &again).await["floating_ip_address"], "10.0.0.2");
    server.refused(409, Method::DELETE, &format!("/virtual-network/{vn}"), None).await;
}

#[tokio::test]
async fn a_pool_may_be_limited_to_subnets() {
    let server = Server::start().await;
    let vn = server.create("virtual-network", network("pub", &[("10.0.0.0", 24), ("10.0.1.0", 24)])).await;
    let read = server.read("virtual-network", &vn).await;
    let second = &read["network_ipam_refs"][0]["attr"]["ipam_subnets"][1]["subnet_uuid"];
    let unknown = "00000000-0000-4000-8000-000000000000";
    let bad = json!({"fq_name": POOL, "floating_ip_pool_subnets": {"subnet_uuid": [unknown]}});
    server.no_create(400, "floating-ip-pool", bad, &[unknown, "not found"]).await;
    pool(&server, json!({"floating_ip_pool_subnets": {"subnet_uuid": [second]}})).await;
    let first = server.create("floating-ip", address("a", json!({}))).await;
    assert_eq!(server.read("floating-ip", &first).await["floating_ip_address"], "10.0.1.252");
    let other = address("b", json!({"floating_ip_address": "10.0.0.9"}));
    server.no_create(400, "floating-ip", other, &["10.0.0.9"]).await;
}

#[tokio::test]
async fn ports_are_mapped_once() {
    let server = Server::start().await;
    server.network("pub", "10.0.0.0", 24).await;
    pool(&server, json!({})).await;
    let mapped = |list: Value| address("a", json!({"floating_ip_port_mappings": {"port_mappings": list}}));
    let map = |protocol: &str, source: u32| json!({"protocol": protocol, "src_port": source, "dst_port": 80});
    for (list, says) in [
        (json!([map("ICMP", 1)]), "port_mappings[0].protocol"),
        (json!([map("TCP", 70000)]), "src_port 70000"),
        (json!([map("TCP", 8080), map("TCP", 8080)]), "mapped twice"),
    ] {
        server.no_create(400, "floating-ip", mapped(list), &[says]).await;
    }
    server.create("floating-ip", mapped(json!([map("TCP", 8080), map("UDP", 8080)]))).await;
}

#[tokio::test]
async fn alias_addresses_and_those_under_an_instance() {
    let server = Server::start().await;
    let vn = server.network("pub", "10.0.0.0", 24).await;
    let name = |last: &[&str]| {
        let parts = POOL.iter().take(3).chain(last).copied();
        Value::from(parts.collect::<Vec<_>>())
    };
    server.create("alias-ip-pool", json!({"fq_name": name(&["aliases"])})).await;
    let alias = server.create("alias-ip", json!({"fq_name": name(&["aliases", "a"])})).await;
    let read = server.read("alias-ip", &alias).await;
    assert_eq!(
        (&read["alias_ip_address"], &read["alias_ip_address_family"]),
        (&json!("10.0.0.252"), &json!("v4"))
    );
    server.delete("alias-ip", &alias).await;
    let iip = json!({"fq_name": ["i"], "virtual_network_refs": [{"uuid": vn}], "instance_ip_address": "10.0.0.252"});
    let iip = server.create("instance-ip", iip).await;
    assert_eq!(server.read("instance-ip", &iip).await["instance_ip_address"], "10.0.0.252");
    let under =
        json!({"fq_name": ["i", "f"], "parent_type": "instance-ip", "floating_ip_address": "192.0.2.1"});
    let under = server.create("floating-ip", under).await;
    assert_eq!(server.read("floating-ip", &under).await["floating_ip_address"], "192.0.2.1");
    server.delete("floating-ip", &under).await;
}

#[tokio::test]
async fn many_at_once_get_addresses_of_their_own() {
    let server = Arc::new(Server::start().await);
    server.network("pub", "10.0.0.0", 27).await;
    pool(&server, json!({})).await;
    let tasks: Vec<_> = (0..32)
        .map(|index| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let body = json!({"floating-ip": address(&format!("f{index}"), json!({}))});
                let (status, text) = server.send(Method::POST, "/floating-ips", Some(body)).await;
                (status.as_u16(), text)
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        let (status, text) = task.await.unwrap();
        assert!(status == 200 || status == 409, "{status}: {text}");
        refused += usize::from(status == 409);
    }
    // 30 hosts, of which two are the subnet's own.
    assert_eq!(refused, 4);
    let all = server.get("/floating-ips?detail=true").await;
    let all = all["floating-ips"].as_array().unwrap();
    let addresses: BTreeSet<&str> =
        all.iter().map(|f| f["floating-ip"]["floating_ip_address"].as_str().unwrap()).collect();
    assert_eq!((all.len(), addresses.len()), (28, 28));
}
