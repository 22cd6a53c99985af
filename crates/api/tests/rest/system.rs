//! What there is one of, autonomous systems, BGP, classes of service.

use crate::harness::{Server, named, network};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const GLOBAL: &str = "default-global-system-config";

#[tokio::test]
async fn there_is_one_of_some_and_it_stays() {
    let server = Server::start().await;
    server
        .no_create(400, "global-system-config", json!({"fq_name": ["other"]}), &["already exists", GLOBAL])
        .await;
    for (object_type, name) in [
        ("global-vrouter-config", "default-global-vrouter-config"),
        ("global-qos-config", "default-global-qos-config"),
    ] {
        let other = json!({"fq_name": [GLOBAL, "other"]});
        server.no_create(400, object_type, other, &["already exists", name]).await;
        let uuid = server.id(object_type, &[GLOBAL, name]).await;
        server.refused(409, Method::DELETE, &format!("/{object_type}/{uuid}"), None).await;
    }
    server.id("fabric", &[GLOBAL, "default-fabric"]).await;
    server.id("policy-management", &["default-policy-management"]).await;
    server.id("api-access-list", &[GLOBAL, "default-api-access-list"]).await;
}

#[tokio::test]
async fn the_autonomous_system_and_what_depends_on_it() {
    let server = Server::start().await;
    let global = server.id("global-system-config", &[GLOBAL]).await;
    let asn = |asn: u64| json!({"autonomous_system": asn});
    server.no_put(400, "global-system-config", &global, asn(70_000), &["70000", "enable_4byte_as"]).await;
    let mut vn = network("a", &[]);
    vn["route_target_list"] = json!({"route_target": ["target:65001:8000001"]});
    let vn = server.create("virtual-network", vn).await;
    let says = ["65001", "target:65001:8000001", "default-domain:default-project:a"];
    server.no_put(400, "global-system-config", &global, asn(65_001), &says).await;
    server.delete("virtual-network", &vn).await;
    server.put("global-system-config", &global, asn(65_001)).await;
    let both = json!({"autonomous_system": 70_000, "enable_4byte_as": true});
    server.put("global-system-config", &global, both).await;
    let off = json!({"enable_4byte_as": false});
    server.no_put(400, "global-system-config", &global, off, &["70000"]).await;
    let ports = |start: u32, end: u32| json!({"bgpaas_parameters": {"port_start": start, "port_end": end}});
    server.no_put(400, "global-system-config", &global, ports(9, 8), &["port_start 9"]).await;
    server.put("global-system-config", &global, ports(50000, 50100)).await;
    server.create("bgp-as-a-service", json!({"fq_name": named("b")})).await;
    server.no_put(400, "global-system-config", &global, ports(50000, 50050), &["shrunk"]).await;
    server.put("global-system-config", &global, ports(50000, 50200)).await;
    let graceful = json!({"graceful_restart_parameters": {"restart_time": 4096}});
    server.no_put(400, "global-system-config", &global, graceful, &["restart_time", "4096"]).await;
    let fabric = json!({"ip_fabric_subnets": {"subnet": [{"ip_prefix": "10.0.0.0", "ip_prefix_len": 40}]}});
    server.no_put(400, "global-system-config", &global, fabric, &["ip_fabric_subnets"]).await;
}

fn bgp_router(name: &str, parameters: Value, more: Value) -> Value {
    let mut fields = json!({"fq_name": ["default-domain", "default-project", "ip-fabric", "__default__", name],
        "parent_type": "routing-instance", "bgp_router_parameters": parameters});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn bgp_routers_and_services() {
    let server = Server::start().await;
    let zone = json!({"fq_name": [GLOBAL, "z"]});
    let zone = server.create("control-node-zone", zone).await;
    let cluster = json!({"fq_name": ["c"], "sub_cluster_asn": 65_010});
    let cluster = server.create("sub-cluster", cluster).await;
    for (parameters, more, says) in [
        (json!({"hold_time": 2}), json!({}), "hold_time 2"),
        (json!({"autonomous_system": 70_000}), json!({}), "70000"),
        (json!({"autonomous_system": 65_011}), json!({"sub_cluster_refs": [{"uuid": cluster}]}), "65011"),
        (
            json!({"router_type": "router"}),
            json!({"control_node_zone_refs": [{"uuid": zone}]}),
            "control-node",
        ),
    ] {
        server.no_create(400, "bgp-router", bgp_router("r", parameters, more), &[says]).await;
    }
    let parameters = json!({"autonomous_system": 65_010, "router_type": "control-node", "hold_time": 90});
    let refs = json!({"sub_cluster_refs": [{"uuid": cluster}], "control_node_zone_refs": [{"uuid": zone}]});
    server.create("bgp-router", bgp_router("r", parameters, refs)).await;
    let shared = json!({"fq_name": named("b"), "bgpaas_shared": true});
    server.no_create(400, "bgp-as-a-service", shared, &["bgpaas_ip_address"]).await;
    let service =
        server.create("bgp-as-a-service", json!({"fq_name": named("b"), "autonomous_system": 65_020})).await;
    server
        .no_put(400, "bgp-as-a-service", &service, json!({"bgpaas_shared": true}), &["bgpaas_shared"])
        .await;
    server.no_put(400, "bgp-as-a-service", &service, json!({"autonomous_system": 70_000}), &["70000"]).await;
}

#[tokio::test]
async fn sub_clusters_are_numbered() {
    let server = Arc::new(Server::start().await);
    let tasks: Vec<_> = (0..12)
        .map(|index| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                server.create("sub-cluster", json!({"fq_name": [format!("c{index}")]})).await
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    let mut last = String::new();
    for task in tasks {
        last = task.await.unwrap();
        ids.insert(server.read("sub-cluster", &last).await["sub_cluster_id"].as_u64().unwrap());
    }
    assert_eq!(ids, (1..=12).collect());
    let own = server.create("sub-cluster", json!({"fq_name": ["own"], "sub_cluster_id": 500})).await;
    let again = json!({"fq_name": ["again"], "sub_cluster_id": 500});
    server.no_create(400, "sub-cluster", again.clone(), &["'500'"]).await;
    server.no_put(400, "sub-cluster", &last, json!({"sub_cluster_asn": 7}), &["sub_cluster_asn"]).await;
    server.put("sub-cluster", &own, json!({"sub_cluster_id": 501})).await;
    server.create("sub-cluster", again).await;
    server.delete("sub-cluster", &own).await;
    server.create("sub-cluster", json!({"fq_name": ["third"], "sub_cluster_id": 501})).await;
}

#[tokio::test]
async fn classes_of_service() {
    let server = Server::start().await;
    let class = |name: &str, id: Value| json!({"fq_name": [GLOBAL, "default-global-qos-config", name], "forwarding_class_id": id});
    let first = server.create("forwarding-class", class("a", json!(3))).await;
    server
        .no_create(400, "forwarding-class", class("b", json!(3)), &["forwarding_class_id", "3", &first])
        .await;
    let second = server.create("forwarding-class", class("b", Value::Null)).await;
    server.no_create(400, "forwarding-class", class("c", json!(0)), &[&second]).await;
    server.put("forwarding-class", &first, json!({"forwarding_class_id": 4})).await;
    server.create("forwarding-class", class("c", json!(3))).await;
    server.delete("forwarding-class", &first).await;
    server.create("forwarding-class", class("d", json!(4))).await;
    let config = |key: i64| {
        let pairs = json!({"qos_id_forwarding_class_pair": [{"key": key, "forwarding_class_id": 1}]});
        json!({"fq_name": named("q"), "parent_type": "project", "dscp_entries": pairs})
    };
    server.no_create(400, "qos-config", config(64), &["dscp_entries", "64"]).await;
    let uuid = server.create("qos-config", config(63)).await;
    assert_eq!(server.read("qos-config", &uuid).await["global_system_config_refs"][0]["to"], json!([GLOBAL]));
}
