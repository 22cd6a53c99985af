//! Objects the compiler makes are readable where clients expect them, and not writable.

use crate::harness::Server;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn derived_objects_are_shown_and_read_only() {
    let server = Server::start().await;
    let vn = server.network("blue", "10.0.0.0", 24).await;
    let read = server.read("virtual-network", &vn).await;
    let instance = &read["routing_instances"][0];
    assert_eq!(instance["to"], json!(["default-domain", "default-project", "blue", "blue"]));
    let uuid = instance["uuid"].as_str().unwrap();
    let ri = server.read("routing-instance", uuid).await;
    assert_eq!(ri["parent_uuid"], vn);
    let target = ri["route_target_refs"][0]["to"].as_array().unwrap();
    let number = server.get(&format!("/virtual-network/{vn}?fields=weft_route_target_number")).await;
    let number = number["virtual-network"]["weft_route_target_number"].as_u64().unwrap();
    assert_eq!(target.last().unwrap(), &json!(format!("target:64512:{number}")));
    let found =
        json!({"type": "routing-instance", "fq_name": ["default-domain", "default-project", "blue", "blue"]});
    assert_eq!(server.post("/fqname-to-id", found).await["uuid"], uuid);
    let back = server.post("/id-to-fqname", json!({"uuid": uuid})).await;
    assert_eq!(back["type"], "routing-instance");
    let list = server.get(&format!("/routing-instances?parent_id={vn}")).await;
    assert_eq!(list["routing-instances"][0]["uuid"], uuid);
    let name = json!(["default-domain", "default-project", "port"]);
    let vmi = json!({"fq_name": name, "parent_type": "project", "virtual_network_refs": [{"uuid": vn}]});
    let vmi = server.create("virtual-machine-interface", vmi).await;
    let port = server.read("virtual-machine-interface", &vmi).await;
    assert_eq!(port["routing_instance_refs"][0]["uuid"], uuid);
    // A client that writes back what it read changes nothing.
    server.put("virtual-machine-interface", &vmi, port).await;
    let back = server.read("routing-instance", uuid).await;
    assert_eq!(back["virtual_machine_interface_back_refs"][0]["uuid"], vmi);
    let path = format!("/routing-instance/{uuid}");
    server.refused(403, Method::DELETE, &path, None).await;
    server.refused(403, Method::PUT, &path, Some(json!({"routing-instance": {}}))).await;
    let body = json!({"route-target": {"fq_name": ["target:64512:1"]}});
    server.refused(403, Method::POST, "/route-targets", Some(body)).await;
    server.delete("virtual-machine-interface", &vmi).await;
    // Derived children do not keep their parent.
    server.delete("virtual-network", &vn).await;
    server.refused(404, Method::GET, &path, None).await;
}

#[tokio::test]
async fn targets_follow_the_autonomous_system_also_to_a_long_one() {
    let server = Server::start().await;
    let network = server.network("blue", "10.1.1.0", 24).await;
    let global = server.get("/global-system-configs").await["global-system-configs"][0]["uuid"].clone();
    let global = global.as_str().unwrap();
    for (asn, first) in [(4_200_000_000u64, 8_000), (65_000, 8_000_000), (65_536, 8_000)] {
        server
            .put("global-system-config", global, json!({"autonomous_system": asn, "enable_4byte_as": true}))
            .await;
        let instances = server.get(&format!("/routing-instances?parent_id={network}&detail=true")).await;
        let targets = &instances["routing-instances"][0]["routing-instance"]["route_target_refs"];
        let name = targets[0]["to"][0].as_str().unwrap();
        let number = name.strip_prefix(&format!("target:{asn}:")).unwrap().parse::<u64>().unwrap();
        assert!(number >= first && number < first + 1000, "{name}");
        let own = json!({"virtual-network": {"route_target_list": {"route_target": [name]}}});
        server.refused(400, Method::PUT, &format!("/virtual-network/{network}"), Some(own)).await;
    }
}
