//! PUT, entity tags, ref-update, collection properties, hooks of single types.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn put_replaces_what_it_names() {
    let server = Server::start().await;
    let uuid = server.network("blue", "10.1.1.0", 24).await;
    let path = format!("/virtual-network/{uuid}");
    let subnet = server.read("virtual-network", &uuid).await["network_ipam_refs"][0]["attr"].clone();
    server
        .put("virtual-network", &uuid, json!({"display_name": "Blue", "is_shared": true, "mtu": "1400"}))
        .await;
    let read = server.read("virtual-network", &uuid).await;
    assert_eq!((&read["display_name"], &read["mtu"]), (&json!("Blue"), &json!(1400)));
    assert_eq!(read["perms2"]["global_access"], 7);
    assert_eq!(read["network_ipam_refs"][0]["attr"], subnet);
    server.put("virtual-network", &uuid, json!({"is_shared": null, "network_ipam_refs": []})).await;
    let read = server.read("virtual-network", &uuid).await;
    assert!(read.get("is_shared").is_none() && read.get("network_ipam_refs").is_none());
    let (status, _) = server.send(Method::PUT, &path, None).await;
    assert_eq!(status, 200);
    for (body, part) in [
        (json!({"fq_name": ["a", "b", "c"]}), "fq_name"),
        (json!({"uuid": uuid::Uuid::nil()}), "uuid"),
        (json!({"virtual_network_network_id": 77777}), "77777"),
        (json!({"perms2": {"global_access": 1}}), "owner"),
        (json!({"route_target_list": {"route_target": ["target:64512:8000009"]}}), "range"),
        (json!({"route_target_list": {"route_target": ["nonsense"]}}), "nonsense"),
    ] {
        let text = server.refused(400, Method::PUT, &path, Some(json!({"virtual-network": body}))).await;
        assert!(text.contains(part), "{text}");
    }
    // What was read can be written back.
    server.put("virtual-network", &uuid, read).await;
}

#[tokio::test]
async fn entity_tags_tell_versions_apart() {
    let server = Server::start().await;
    let uuid = server.create("virtual-machine", json!({"fq_name": ["vm"]})).await;
    let url = format!("{}/virtual-machine/{uuid}", server.url);
    let first = server.client.get(&url).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let same = server.client.get(&url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    server.put("virtual-machine", &uuid, json!({"display_name": "x"})).await;
    let changed = server.client.get(&url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag);
}

#[tokio::test]
async fn references_one_by_one() {
    let server = Server::start().await;
    let vn = server.network("blue", "10.1.1.0", 24).await;
    let policy = json!({"fq_name": ["default-domain", "default-project", "pol"], "parent_type": "project"});
    let policy = server.create("network-policy", policy).await;
    let body = |operation: &str, target: &str| {
        json!({"type": "virtual-network", "uuid": vn, "ref-type": "network-policy", "ref-uuid": target,
               "ref-fq-name": null, "operation": operation, "attr": {"sequence": {"major": 1, "minor": 0}}})
    };
    assert_eq!(server.post("/ref-update", body("ADD", &policy)).await["uuid"], vn);
    server.post("/ref-update", body("ADD", &policy)).await;
    let read = server.read("virtual-network", &vn).await;
    assert_eq!(read["network_policy_refs"].as_array().unwrap().len(), 1);
    assert_eq!(read["network_policy_refs"][0]["attr"]["sequence"]["major"], 1);
    server.post("/ref-update", body("DELETE", &policy)).await;
    assert!(server.read("virtual-network", &vn).await.get("network_policy_refs").is_none());
    let nobody = uuid::Uuid::nil().to_string();
    server.refused(404, Method::POST, "/ref-update", Some(body("ADD", &nobody))).await;
    server.refused(400, Method::POST, "/ref-update", Some(body("SWAP", &policy))).await;
    server.delete("network-policy", &policy).await;
}

#[tokio::test]
async fn elements_of_collections_one_by_one() {
    let server = Server::start().await;
    let name = json!(["default-domain", "default-project", "port"]);
    let vmi = json!({"fq_name": name, "parent_type": "project"});
    let vmi = server.create("virtual-machine-interface", vmi).await;
    let field = "virtual_machine_interface_bindings";
    let set = |operation: &str, key: &str, value: &str| {
        json!({"uuid": vmi, "updates": [{"field": field, "operation": operation, "position": key,
               "value": {"key": key, "value": value}}]})
    };
    server.post("/prop-collection-update", set("set", "host_id", "c1")).await;
    server.post("/prop-collection-update", set("set", "vif_type", "vrouter")).await;
    server.post("/prop-collection-update", set("set", "host_id", "c2")).await;
    let got = server.get(&format!("/prop-collection-get?uuid={vmi}&fields={field}&position=host_id")).await;
    assert_eq!(got[field], json!([[{"key": "host_id", "value": "c2"}, "host_id"]]));
    server.post("/prop-collection-update", set("delete", "host_id", "")).await;
    let read = server.read("virtual-machine-interface", &vmi).await;
    assert_eq!(read[field]["key_value_pair"].as_array().unwrap().len(), 1);
    let flows = "virtual_machine_interface_fat_flow_protocols";
    let list = |updates: serde_json::Value| json!({"uuid": vmi, "updates": updates});
    let add =
        |port: u16| json!({"field": flows, "operation": "add", "value": {"protocol": "udp", "port": port}});
    server.post("/prop-collection-update", list(json!([add(1), add(2)]))).await;
    let modify =
        json!({"field": flows, "operation": "modify", "position": "1", "value": {"protocol": "tcp"}});
    let delete = json!({"field": flows, "operation": "delete", "position": "0"});
    server.post("/prop-collection-update", list(json!([modify, delete]))).await;
    let read = server.read("virtual-machine-interface", &vmi).await;
    assert_eq!(read[flows], json!({"fat_flow_protocol": [{"protocol": "tcp"}]}));
    for bad in [
        json!([{"field": flows, "operation": "delete", "position": "9"}]),
        json!([{"field": "display_name", "operation": "add", "value": 1}]),
        json!([{"field": field, "operation": "frob", "position": "x"}]),
        json!([{"field": flows, "operation": "add", "value": {"colour": "red"}}]),
        json!([7]),
    ] {
        server.refused(400, Method::POST, "/prop-collection-update", Some(list(bad))).await;
    }
}

#[tokio::test]
async fn interfaces_get_a_mac_address() {
    let server = Server::start().await;
    let uuid = "11223344-5566-4788-99aa-bbccddeeff00";
    let name = json!(["default-domain", "default-project", uuid]);
    server
        .create("virtual-machine-interface", json!({"uuid": uuid, "fq_name": name, "parent_type": "project"}))
        .await;
    let read = server.read("virtual-machine-interface", uuid).await;
    let field = "virtual_machine_interface_mac_addresses";
    assert_eq!(read[field]["mac_address"], json!(["02:11:22:33:44:55"]));
    server
        .put("virtual-machine-interface", uuid, json!({field: {"mac_address": ["02-AA-BB-CC-DD-EE"]}}))
        .await;
    let read = server.read("virtual-machine-interface", uuid).await;
    assert_eq!(read[field]["mac_address"], json!(["02:aa:bb:cc:dd:ee"]));
    let bad = json!({"virtual-machine-interface": {field: {"mac_address": ["zz"]}}});
    let path = format!("/virtual-machine-interface/{uuid}");
    server.refused(400, Method::PUT, &path, Some(bad)).await;
    let bad = json!({"virtual-machine-interface": {"routing_instance_refs": [{"to": ["a", "b", "c", "d"]}]}});
    server.refused(400, Method::PUT, &path, Some(bad)).await;
}

#[tokio::test]
async fn rules_are_checked_and_numbered() {
    let server = Server::start().await;
    let rule = |uuid: Option<&str>, start: i64, end: i64, protocol: &str| {
        json!({"rule_uuid": uuid, "direction": "<>", "protocol": protocol, "application": [],
               "src_addresses": [{"virtual_network": "any", "subnet": null}],
               "dst_addresses": [{"virtual_network": "local"}],
               "src_ports": [{"start_port": -1, "end_port": -1}],
               "dst_ports": [{"start_port": start, "end_port": end}],
               "action_list": {"simple_action": "pass"}})
    };
    let name = json!(["default-domain", "default-project", "pol"]);
    let body = |rule: serde_json::Value| json!({"fq_name": name, "parent_type": "project", "network_policy_entries": {"policy_rule": [rule]}});
    for bad in [rule(None, 80, 70, "tcp"), rule(None, 1, 99999, "tcp"), rule(None, 1, 2, "carrier-pigeon")] {
        server
            .refused(400, Method::POST, "/network-policys", Some(json!({"network-policy": body(bad)})))
            .await;
    }
    let policy = server.create("network-policy", body(rule(None, 80, 80, "tcp"))).await;
    let read = server.read("network-policy", &policy).await;
    let uuid = read["network_policy_entries"]["policy_rule"][0]["rule_uuid"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(uuid).is_ok());
    let group = json!({"security-group": {"fq_name": ["default-domain", "default-project", "sg"],
        "security_group_entries": {"policy_rule": [rule(None, 1, 2, "tcp")]}}});
    let text = server.refused(400, Method::POST, "/security-groups", Some(group)).await;
    assert!(text.contains("local"), "{text}");
}

#[tokio::test]
async fn security_groups_are_numbered() {
    let server = Server::start().await;
    let group = |name: &str, id: i64| json!({"fq_name": ["default-domain", "default-project", name], "configured_security_group_id": id});
    let automatic = server.create("security-group", group("a", 0)).await;
    let configured = server.create("security-group", group("c", 77)).await;
    let first = server.read("security-group", &automatic).await["security_group_id"].as_u64().unwrap();
    assert!(first >= 8_000_000);
    assert_eq!(server.read("security-group", &configured).await["security_group_id"], 77);
    server.put("security-group", &automatic, json!({"configured_security_group_id": 78})).await;
    assert_eq!(server.read("security-group", &automatic).await["security_group_id"], 78);
    server.put("security-group", &automatic, json!({"configured_security_group_id": 0})).await;
    assert!(
        server.read("security-group", &automatic).await["security_group_id"].as_u64().unwrap() >= 8_000_000
    );
}

#[tokio::test]
async fn vxlan_ids_belong_to_one_network() {
    let server = Server::start().await;
    let mut fields = network("a", &[]);
    fields["virtual_network_properties"] = json!({"vxlan_network_identifier": 5000});
    let first = server.create("virtual-network", fields.clone()).await;
    fields["fq_name"][2] = json!("b");
    server.refused(400, Method::POST, "/virtual-networks", Some(json!({"virtual-network": fields}))).await;
    server.delete("virtual-network", &first).await;
    server.create("virtual-network", fields).await;
}

#[tokio::test]
async fn dns_names_and_records_are_checked() {
    let server = Server::start().await;
    let dns = json!({"fq_name": ["default-domain", "dns"], "virtual_DNS_data": {"domain_name": "example.com",
        "record_order": "random", "default_ttl_seconds": 300}});
    let dns = server.create("virtual-DNS", dns).await;
    let record = |data: serde_json::Value| json!({"fq_name": ["default-domain", "dns", "r"], "parent_type": "virtual-DNS", "virtual_DNS_record_data": data});
    let bad =
        record(json!({"record_name": "www", "record_type": "A", "record_class": "IN", "record_data": "x"}));
    server.refused(400, Method::POST, "/virtual-DNS-records", Some(json!({"virtual-DNS-record": bad}))).await;
    let good = record(
        json!({"record_name": "www", "record_type": "A", "record_class": "IN", "record_data": "10.0.0.1",
        "record_ttl_seconds": 60}),
    );
    server.create("virtual-DNS-record", good).await;
    assert_eq!(server.read("virtual-DNS", &dns).await["virtual_DNS_records"][0]["to"][2], "r");
    let ipam = json!({"fq_name": ["default-domain", "default-project", "ipam"], "network_ipam_mgmt": {
        "ipam_dns_method": "virtual-dns-server",
        "ipam_dns_server": {"virtual_dns_server_name": "default-domain:dns"}}});
    let ipam = server.create("network-ipam", ipam).await;
    assert_eq!(server.read("network-ipam", &ipam).await["virtual_DNS_refs"][0]["uuid"], dns);
}

#[tokio::test]
async fn thousands_of_element_updates_are_one_piece_of_work() {
    let server = Server::start().await;
    let network = server.network("blue", "10.1.1.0", 24).await;
    let update = |index: u32, operation: &str, value: &str| {
        let key = format!("k{index}");
        json!({"field": "annotations", "operation": operation, "position": key, "value": {"key": key, "value": value}})
    };
    let mut updates: Vec<Value> = (0..3000).map(|i| update(i, "set", "1")).collect();
    updates.extend((0..2999).map(|i| update(i, "delete", "")));
    updates.push(update(2999, "set", "2"));
    updates.push(update(0, "set", "3"));
    let begin = std::time::Instant::now();
    server.post("/prop-collection-update", json!({"uuid": network, "updates": updates})).await;
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    let read = server.read("virtual-network", &network).await;
    let left = json!([{"key": "k2999", "value": "2"}, {"key": "k0", "value": "3"}]);
    assert_eq!(read["annotations"]["key_value_pair"], left);
}

#[tokio::test]
async fn naming_one_object_many_times_costs_as_much_as_naming_it_once() {
    let server = Server::start().await;
    let blue = server.network("blue", "10.1.1.0", 24).await;
    let pairs: Vec<Value> = (0..8000).map(|i| json!({"key": format!("k{i}"), "value": "v"})).collect();
    let fields = json!({"annotations": {"key_value_pair": pairs}, "is_provider_network": true});
    server.put("virtual-network", &blue, fields).await;
    let red = server.network("red", "10.1.2.0", 24).await;
    let begin = std::time::Instant::now();
    let listed =
        json!({"type": "virtual-network", "obj_uuids": vec![&blue; 5000], "fq_names": vec!["x:y:z"; 5000]});
    server.post("/list-bulk-collection", listed).await;
    let references = vec![json!({"uuid": blue}); 5000];
    server.put("virtual-network", &red, json!({"virtual_network_refs": references})).await;
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    let read = server.read("virtual-network", &red).await;
    assert_eq!(read["virtual_network_refs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_security_group_with_a_configured_id_is_written_back_as_read() {
    let server = Server::start().await;
    let group =
        json!({"fq_name": ["default-domain", "default-project", "g"], "configured_security_group_id": 5});
    let uuid = server.create("security-group", group).await;
    let read = server.read("security-group", &uuid).await;
    assert_eq!(read["security_group_id"], 5);
    server.put("security-group", &uuid, read).await;
    assert_eq!(server.read("security-group", &uuid).await["security_group_id"], 5);
}

#[tokio::test]
async fn numbers_a_client_brings_along_are_of_the_range_the_system_gives_out() {
    let server = Server::start().await;
    for number in [0, -5, 1 << 24, i64::MAX] {
        let mut fields = network("numbered", &[]);
        fields["virtual_network_network_id"] = number.into();
        let body = Some(json!({"virtual-network": fields}));
        let message = server.refused(400, Method::POST, "/virtual-networks", body).await;
        assert!(
            message.contains("virtual_network_network_id") && message.contains(&number.to_string()),
            "{message}"
        );
    }
    for number in [5i64, 7_999_999, 1 << 32] {
        let fq_name = ["default-domain", "default-project", "numbered"];
        let body = json!({"security-group": {"fq_name": fq_name, "security_group_id": number}});
        let message = server.refused(400, Method::POST, "/security-groups", Some(body)).await;
        assert!(message.contains("security_group_id") && message.contains(&number.to_string()), "{message}");
    }
}
