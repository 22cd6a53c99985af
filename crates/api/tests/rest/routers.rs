//! Logical routers, VPNs, provider networks, route tables and policies.

use crate::harness::{Server, named, network};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

async fn port(server: &Server, name: &str, vn: &str) -> String {
    let fields =
        json!({"fq_name": named(name), "parent_type": "project", "virtual_network_refs": [{"uuid": vn}]});
    server.create("virtual-machine-interface", fields).await
}

fn router(name: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": named(name)});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn an_interface_belongs_to_one_router() {
    let server = Server::start().await;
    let vn = server.network("a", "10.0.0.0", 24).await;
    let own = port(&server, "p", &vn).await;
    let refs = json!({"virtual_machine_interface_refs": [{"uuid": own}]});
    let first = server.create("logical-router", router("one", refs.clone())).await;
    server.no_create(409, "logical-router", router("two", refs.clone()), &[&own, &first]).await;
    let gateway = json!({"virtual_network_refs": [{"uuid": vn}]});
    server.no_put(400, "logical-router", &first, gateway, &[&vn, "gateway"]).await;
    let machine = server.create("virtual-machine", json!({"fq_name": ["m"]})).await;
    let of_machine = json!({"virtual_machine_refs": [{"uuid": machine}]});
    server
        .no_put(400, "virtual-machine-interface", &own, of_machine.clone(), &["Logical router interface"])
        .await;
    server.put("logical-router", &first, json!({"virtual_machine_interface_refs": []})).await;
    server.put("virtual-machine-interface", &own, of_machine).await;
    server.no_create(409, "logical-router", router("two", refs), &[&own, &machine]).await;
}

#[tokio::test]
async fn routers_racing_for_an_interface() {
    let server = Arc::new(Server::start().await);
    let vn = server.network("a", "10.0.0.0", 24).await;
    let own = port(&server, "p", &vn).await;
    let tasks: Vec<_> = (0..8)
        .map(|index| {
            let (server, own) = (Arc::clone(&server), own.clone());
            tokio::spawn(async move {
                let refs = json!({"virtual_machine_interface_refs": [{"uuid": own}]});
                let body = json!({"logical-router": router(&format!("r{index}"), refs)});
                server.send(Method::POST, "/logical-routers", Some(body)).await.0.as_u16()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn vxlan_identifiers_are_used_once() {
    let server = Server::start().await;
    let vxlan = |id: Value| json!({"logical_router_type": "vxlan-routing", "vxlan_network_identifier": id});
    let mut vn = network("a", &[]);
    vn["virtual_network_properties"] = json!({"vxlan_network_identifier": 7});
    server.create("virtual-network", vn.clone()).await;
    server
        .no_create(400, "logical-router", router("r", vxlan(json!("7"))), &["vxlan_network_identifier 7"])
        .await;
    for bad in ["0", "16777216", "seven"] {
        server.no_create(400, "logical-router", router("r", vxlan(json!(bad))), &[bad]).await;
    }
    let uuid = server.create("logical-router", router("r", vxlan(json!("8")))).await;
    vn["fq_name"] = named("b");
    vn["virtual_network_properties"] = json!({"vxlan_network_identifier": 8});
    server.no_create(400, "virtual-network", vn.clone(), &["vxlan_network_identifier 8", &uuid]).await;
    server.put("logical-router", &uuid, json!({"vxlan_network_identifier": "9"})).await;
    server.create("virtual-network", vn).await;
    let snat = json!({"logical_router_type": "snat-routing"});
    server.no_put(400, "logical-router", &uuid, snat, &["logical_router_type"]).await;
    server.delete("logical-router", &uuid).await;
    server.create("logical-router", router("again", vxlan(json!("9")))).await;
    for none in ["", "None"] {
        server.create("logical-router", router(&format!("none{none}"), vxlan(json!(none)))).await;
    }
    let target = json!({"configured_route_target_list": {"route_target": ["target:64512:8000001"]}});
    server.no_create(400, "logical-router", router("t", target), &["target:64512:8000001"]).await;
    let target = json!({"configured_route_target_list": {"route_target": ["target:64512"]}});
    server.no_create(400, "logical-router", router("t", target), &["target:64512"]).await;
}

#[tokio::test]
async fn a_network_has_vpns_or_its_router_has() {
    let server = Server::start().await;
    let vpn = |name: &str, kind: &str| json!({"fq_name": named(name), "bgpvpn_type": kind});
    let l2 = server.create("bgpvpn", vpn("l2", "l2")).await;
    let l3 = server.create("bgpvpn", vpn("l3", "l3")).await;
    server.no_put(400, "bgpvpn", &l2, json!({"bgpvpn_type": "l3"}), &["bgpvpn_type"]).await;
    let refs = |uuid: &str| json!({"bgpvpn_refs": [{"uuid": uuid}]});
    server.no_create(400, "logical-router", router("r", refs(&l2)), &["Only bgpvpn type 'l3'"]).await;
    let vn = server.network("a", "10.0.0.0", 24).await;
    let own = port(&server, "p", &vn).await;
    let mut fields = refs(&l3);
    fields["virtual_machine_interface_refs"] = json!([{"uuid": own}]);
    let with_both = server.create("logical-router", router("r", fields)).await;
    server.no_put(400, "virtual-network", &vn, refs(&l3), &["logical router"]).await;
    server.put("logical-router", &with_both, json!({"bgpvpn_refs": []})).await;
    server.put("virtual-network", &vn, refs(&l3)).await;
    server.no_put(400, "logical-router", &with_both, refs(&l3), &["virtual network(s)"]).await;
    let mut only_l2 = network("b", &[]);
    only_l2["virtual_network_properties"] = json!({"forwarding_mode": "l2"});
    only_l2["bgpvpn_refs"] = json!([{"uuid": l3}]);
    server.no_create(400, "virtual-network", only_l2, &["forwarding mode 'l2'"]).await;
}

#[tokio::test]
async fn networks_of_the_provider() {
    let server = Server::start().await;
    let with = |name: &str, more: Value| {
        let mut fields = network(name, &[]);
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let missing = with("a", json!({"provider_properties": {"physical_network": "p"}}));
    server.no_create(400, "virtual-network", missing, &["segmentation_id"]).await;
    let details = json!({"physical_network": "p", "segmentation_id": 5});
    let provider = with("a", json!({"provider_properties": details, "is_provider_network": true}));
    let provider = server.create("virtual-network", provider).await;
    let other = json!({"provider_properties": {"physical_network": "q", "segmentation_id": 5}});
    server.no_put(409, "virtual-network", &provider, other, &["provider_properties"]).await;
    let plain = server.network("plain", "10.0.0.0", 24).await;
    let link = |uuid: &str| json!({"virtual_network_refs": [{"uuid": uuid}]});
    server.no_create(400, "virtual-network", with("b", link(&plain)), &["Non Provider VN"]).await;
    server.create("virtual-network", with("b", link(&provider))).await;
    let mut second = link(&provider);
    second["is_provider_network"] = json!(true);
    server.no_create(400, "virtual-network", with("c", second), &["Provider VN", "another"]).await;
    let targets = json!({"route_target": ["target:1:1"]});
    let both = json!({"multi_policy_service_chains_enabled": true, "route_target_list": targets});
    server.no_create(409, "virtual-network", with("d", both), &["target:1:1"]).await;
}

#[tokio::test]
async fn routes_are_prefixes() {
    let server = Server::start().await;
    let bad = json!({"fq_name": named("t"), "routes": {"route": [{"prefix": "10.0.0.0/33"}]}});
    server.no_create(400, "route-table", bad, &["route[0].prefix", "10.0.0.0/33"]).await;
    let hop = json!({"route": [{"prefix": "10.0.0.0/8", "next_hop": "x", "next_hop_type": "ip-address"}]});
    let bad = json!({"fq_name": named("t"), "interface_route_table_routes": hop});
    server.no_create(400, "interface-route-table", bad, &["next_hop \"x\""]).await;
    let good =
        json!({"fq_name": named("t"), "interface_route_table_routes": {"route": [{"prefix": "10.0.0.0/8"}]}});
    let table = server.create("interface-route-table", good).await;
    let mixed =
        json!({"fq_name": named("a"), "aggregate_route_entries": {"route": ["10.0.0.0/8", "fd00::/8"]}});
    server.no_create(400, "route-aggregate", mixed, &["same ip family"]).await;
    let policy = |terms: Value, kind: &str| json!({"fq_name": named("p"), "term_type": kind, "routing_policy_entries": {"term": terms}});
    let own = json!([{"term_action_list": {"update": {"as_path": {"expand": {"asn_list": [64512]}}}}}]);
    server.no_create(400, "routing-policy", policy(own, "vrouter"), &["64512"]).await;
    let path = json!([{"term_action_list": {"as_path_prepend": "1 two"}}]);
    server.no_create(400, "routing-policy", policy(path, "network-device"), &["1 two"]).await;
    let listed =
        json!([{"term_match_condition": {"prefix_list": [{"interface_route_table_uuid": [table]}]}}]);
    let uuid = server.create("routing-policy", policy(listed, "vrouter")).await;
    let read = server.read("routing-policy", &uuid).await;
    assert_eq!(read["interface_route_table_refs"][0]["uuid"], table.as_str());
    server.no_put(400, "routing-policy", &uuid, json!({"term_type": "network-device"}), &["term_type"]).await;
}
