//! Physical routers and their interfaces.

use crate::harness::Server;
use serde_json::{Value, json};

fn name(last: &[&str]) -> Value {
    let mut parts = vec!["default-global-system-config"];
    parts.extend(last);
    json!(parts)
}

#[tokio::test]
async fn states_and_kinds_of_interfaces() {
    let server = Server::start().await;
    let bad = json!({"fq_name": name(&["leaf"]), "physical_router_managed_state": "rma"});
    server.no_create(400, "physical-router", bad, &["rma"]).await;
    server.create("physical-router", json!({"fq_name": name(&["leaf"])})).await;
    let interface = |last: &str, more: Value| {
        let mut fields = json!({"fq_name": name(&["leaf", last])});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    const TYPE: &str = "physical-interface";
    for (more, says) in [
        (json!({"ethernet_segment_identifier": "00:11"}), "ESI"),
        (
            json!({"physical_interface_type": "access", "physical_interface_flow_control": true}),
            "access type",
        ),
        (json!({"physical_interface_lacp_force_up": true}), "LACP Force-Up"),
    ] {
        server.no_create(400, TYPE, interface("xe-0", more), &[says]).await;
    }
    let esi = json!({"ethernet_segment_identifier": "00:11:22:33:44:55:66:77:88:99", "physical_interface_type": "lag"});
    let uuid = server.create(TYPE, interface("xe-0", esi)).await;
    server.no_create(403, TYPE, interface("xe-1", json!({"display_name": "xe-0"})), &["xe-0", &uuid]).await;
    server.no_put(403, TYPE, &uuid, json!({"display_name": "other"}), &["Cannot change"]).await;
    server.no_put(400, TYPE, &uuid, json!({"physical_interface_type": "fabric"}), &["lag", "fabric"]).await;
    server.delete(TYPE, &uuid).await;
    server.create(TYPE, interface("xe-0", json!({}))).await;
}

#[tokio::test]
async fn vlans_of_logical_interfaces() {
    let server = Server::start().await;
    let device = json!({"fq_name": name(&["leaf"]), "physical_router_product_name": "qfx5110"});
    server.create("physical-router", device).await;
    server.create("physical-interface", json!({"fq_name": name(&["leaf", "xe-0"])})).await;
    const TYPE: &str = "logical-interface";
    let unit = |last: &str, vlan: i64| {
        json!({"fq_name": name(&["leaf", "xe-0", last]), "parent_type": "physical-interface",
            "logical_interface_vlan_tag": vlan, "logical_interface_type": "l2"})
    };
    server.no_create(403, TYPE, unit("0", 4095), &["4095", "Vlan"]).await;
    server.no_create(400, TYPE, unit("0", 4094), &["QFX"]).await;
    let uuid = server.create(TYPE, unit("0", 10)).await;
    server.no_create(403, TYPE, unit("1", 10), &["10", &uuid]).await;
    server
        .no_put(403, TYPE, &uuid, json!({"logical_interface_vlan_tag": 11}), &["Cannot change Vlan id"])
        .await;
    server.delete(TYPE, &uuid).await;
    server.create(TYPE, unit("1", 10)).await;
}
