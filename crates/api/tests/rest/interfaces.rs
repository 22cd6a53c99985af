//! Interfaces of machines: sub-interfaces, address pairs, bindings, port groups.

use crate::harness::{Server, named};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn port(name: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": named(name), "parent_type": "project"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn sub(name: &str, primary: &str, vlan: i64) -> Value {
    port(
        name,
        json!({"virtual_machine_interface_refs": [{"uuid": primary}],
        "virtual_machine_interface_properties": {"sub_interface_vlan_tag": vlan}}),
    )
}

const TYPE: &str = "virtual-machine-interface";

#[tokio::test]
async fn vlans_of_sub_interfaces() {
    let server = Server::start().await;
    let primary = server.create(TYPE, port("primary", json!({}))).await;
    let first = server.create(TYPE, sub("one", &primary, 100)).await;
    server.no_create(400, TYPE, sub("two", &primary, 100), &["100", &first]).await;
    server.no_create(400, TYPE, sub("two", &primary, 4095), &["4095"]).await;
    server.no_create(400, TYPE, sub("two", &first, 7), &["primary port", &first]).await;
    let change = json!({"virtual_machine_interface_properties": {"sub_interface_vlan_tag": 101}});
    server.no_put(400, TYPE, &first, change, &["Cannot change", "100", "101"]).await;
    server.delete(TYPE, &first).await;
    server.create(TYPE, sub("two", &primary, 100)).await;
}

#[tokio::test]
async fn sub_interfaces_racing_for_a_vlan() {
    let server = Arc::new(Server::start().await);
    let primary = server.create(TYPE, port("primary", json!({}))).await;
    let tasks: Vec<_> = (0..6)
        .map(|index| {
            let (server, primary) = (Arc::clone(&server), primary.clone());
            tokio::spawn(async move {
                let body = json!({TYPE: sub(&format!("s{index}"), &primary, 5)});
                server.send(Method::POST, "/virtual-machine-interfaces", Some(body)).await.0.as_u16()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 400, 400, 400, 400, 400]);
}

#[tokio::test]
async fn security_and_bindings() {
    let server = Server::start().await;
    let pair = json!({"allowed_address_pair": [{"ip": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24}}]});
    let open =
        json!({"port_security_enabled": false, "virtual_machine_interface_allowed_address_pairs": pair});
    server.no_create(400, TYPE, port("a", open), &["port_security_enabled"]).await;
    let uuid = server
        .create(TYPE, port("a", json!({"virtual_machine_interface_allowed_address_pairs": pair})))
        .await;
    server
        .no_put(400, TYPE, &uuid, json!({"port_security_enabled": false}), &["port_security_enabled"])
        .await;
    let machine = server.create("virtual-machine", json!({"fq_name": ["m"]})).await;
    server.put(TYPE, &uuid, json!({"virtual_machine_refs": [{"uuid": machine}]})).await;
    let kind = |kind: &str| json!({"virtual_machine_interface_bindings": {"key_value_pair": [{"key": "vnic_type", "value": kind}]}});
    server.no_put(409, TYPE, &uuid, kind("direct"), &["Vnic_type", "normal", "direct"]).await;
    server.put(TYPE, &uuid, kind("normal")).await;
    let check = |kind: &str| {
        json!({"fq_name": named(kind), "service_health_check_properties": {"enabled": true, "health_check_type": kind,
            "monitor_type": "PING"}})
    };
    let near = server.create("service-health-check", check("link-local")).await;
    let far = server.create("service-health-check", check("end-to-end")).await;
    let refs = |uuid: &str| json!({"service_health_check_refs": [{"uuid": uuid}]});
    server.no_put(400, TYPE, &uuid, refs(&far), &["end-to-end"]).await;
    server.put(TYPE, &uuid, refs(&near)).await;
    let other = json!({"service_health_check_properties": {"health_check_type": "segment"}});
    server.no_put(400, "service-health-check", &near, other, &["health_check_type", "segment"]).await;
}

/// Devices with two interfaces each.
async fn devices(server: &Server, count: usize) -> Vec<[String; 2]> {
    let mut all = Vec::new();
    for device in 0..count {
        let device = format!("leaf{device}");
        let name = |last: &[&str]| {
            let mut parts = vec!["default-global-system-config", &device];
            parts.extend(last);
            json!(parts)
        };
        server.create("physical-router", json!({"fq_name": name(&[])})).await;
        let one = server.create("physical-interface", json!({"fq_name": name(&["xe-0"])})).await;
        let two = server.create("physical-interface", json!({"fq_name": name(&["xe-1"])})).await;
        all.push([one, two]);
    }
    all
}

fn group(name: &str, links: &[&str]) -> Value {
    let links: Vec<Value> = links.iter().map(|uuid| json!({"uuid": uuid})).collect();
    json!({"fq_name": named(name), "parent_type": "project", "physical_interface_refs": links})
}

fn numbers(read: &Value) -> Vec<Option<u64>> {
    let refs = read["physical_interface_refs"].as_array().cloned().unwrap_or_default();
    refs.iter().map(|link| link["attr"]["ae_num"].as_u64()).collect()
}

const GROUP: &str = "virtual-port-group";

#[tokio::test]
async fn links_of_a_group_are_numbered_by_device() {
    let server = Server::start().await;
    let leafs = devices(&server, 2).await;
    let single = server.create(GROUP, group("single", &[&leafs[0][0]])).await;
    assert_eq!(numbers(&server.read(GROUP, &single).await), [None]);
    let both = server.create(GROUP, group("both", &[&leafs[0][1], &leafs[1][0], &leafs[1][1]])).await;
    assert_eq!(numbers(&server.read(GROUP, &both).await), [Some(0), Some(0), Some(0)]);
    server
        .put(
            GROUP,
            &single,
            json!({"physical_interface_refs": [{"uuid": leafs[0][0]}, {"uuid": leafs[1][0]}]}),
        )
        .await;
    assert_eq!(numbers(&server.read(GROUP, &single).await), [Some(1), Some(1)]);
    let asked = json!([{"uuid": leafs[0][0], "attr": {"ae_num": 9}}, {"uuid": leafs[1][0]}]);
    server.no_put(400, GROUP, &single, json!({"physical_interface_refs": asked}), &["ae_num", "9"]).await;
    server.delete(GROUP, &both).await;
    let mut third = group("third", &[&leafs[0][1], &leafs[1][1]]);
    third["physical_interface_refs"][0]["attr"] = json!({"ae_num": 1});
    server.no_create(400, GROUP, third.clone(), &["ae_num", "1", "leaf0"]).await;
    third["physical_interface_refs"][0]["attr"] = json!({"ae_num": 128});
    server.no_create(400, GROUP, third.clone(), &["ae_num 128"]).await;
    third["physical_interface_refs"][0]["attr"] = json!({"ae_num": 100});
    let third = server.create(GROUP, third).await;
    let found = numbers(&server.read(GROUP, &third).await);
    assert!(found[0] == Some(100) && found[1].is_some_and(|number| number != 1), "{found:?}");
    server.put(GROUP, &third, json!({"physical_interface_refs": [{"uuid": leafs[0][1]}]})).await;
    assert_eq!(numbers(&server.read(GROUP, &third).await), [None]);
}

#[tokio::test]
async fn groups_made_at_once_get_numbers_of_their_own() {
    let server = Arc::new(Server::start().await);
    let leafs = devices(&server, 1).await;
    let tasks: Vec<_> = (0..12)
        .map(|index| {
            let (server, links) = (Arc::clone(&server), leafs[0].clone());
            tokio::spawn(async move {
                let links: Vec<&str> = links.iter().map(String::as_str).collect();
                server.create(GROUP, group(&format!("g{index}"), &links)).await
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        let uuid = task.await.unwrap();
        let found = numbers(&server.read(GROUP, &uuid).await);
        assert_eq!(found[0], found[1]);
        seen.insert(found[0].unwrap());
    }
    assert_eq!(seen.len(), 12);
}

#[tokio::test]
async fn vlans_of_a_group_are_used_once() {
    let server = Server::start().await;
    let group = server.create(GROUP, group("g", &[])).await;
    let member = |name: &str, attr: Value| {
        port(name, json!({"virtual_port_group_refs": [{"uuid": group, "attr": attr}]}))
    };
    let first = server.create(TYPE, member("a", json!({"vlan_tag": 10}))).await;
    server.no_create(400, TYPE, member("b", json!({"vlan_tag": 10})), &["vlan_tag 10", &first]).await;
    server.create(TYPE, member("b", json!({"native_vlan_tag": 11}))).await;
    server.no_create(400, TYPE, member("c", json!({"native_vlan_tag": 12})), &["native_vlan_tag"]).await;
    server.no_create(400, TYPE, member("c", json!({"vlan_tag": 11})), &["vlan_tag 11"]).await;
    server.delete(TYPE, &first).await;
    server.create(TYPE, member("c", json!({"vlan_tag": 10}))).await;
    server.refused(409, Method::DELETE, &format!("/{GROUP}/{group}"), None).await;
}
