//! Many writers at once: numbers and addresses stay unique, references never dangle.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_and_addresses_are_unique_under_concurrency() {
    let server = Arc::new(Server::start().await);
    let shared = server.network("shared", "10.0.0.0", 16).await;
    let mut tasks = Vec::new();
    for worker in 0..8 {
        let (server, shared) = (Arc::clone(&server), shared.clone());
        tasks.push(tokio::spawn(async move {
            let mut out = Vec::new();
            for index in 0..10 {
                let name = format!("n{worker}-{index}");
                let vn = server.create("virtual-network", network(&name, &[("10.1.0.0", 24)])).await;
                let iip = json!({"fq_name": [name], "virtual_network_refs": [{"uuid": shared}]});
                let iip = server.create("instance-ip", iip).await;
                let query = "?fields=virtual_network_network_id,weft_route_target_number";
                let vn =
                    server.get(&format!("/virtual-network/{vn}{query}")).await["virtual-network"].clone();
                let iip = server.read("instance-ip", &iip).await;
                out.push((
                    vn["virtual_network_network_id"].as_u64().unwrap(),
                    vn["weft_route_target_number"].as_u64().unwrap(),
                    iip["instance_ip_address"].as_str().unwrap().to_owned(),
                ));
            }
            out
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    assert_eq!(all.iter().map(|a| a.0).collect::<BTreeSet<_>>().len(), 80);
    assert_eq!(all.iter().map(|a| a.1).collect::<BTreeSet<_>>().len(), 80);
    assert_eq!(all.iter().map(|a| a.2.clone()).collect::<BTreeSet<_>>().len(), 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_does_not_vanish_under_a_reference() {
    let server = Arc::new(Server::start().await);
    for round in 0..30 {
        let vn = server.create("virtual-network", network(&format!("n{round}"), &[])).await;
        let name = json!(["default-domain", "default-project", format!("port{round}")]);
        let body = json!({"virtual-machine-interface": {"fq_name": name, "parent_type": "project",
            "virtual_network_refs": [{"uuid": vn}]}});
        let path = format!("/virtual-network/{vn}");
        let delete = server.send(Method::DELETE, &path, None);
        let create = server.send(Method::POST, "/virtual-machine-interfaces", Some(body));
        let ((deleted, _), (created, text)) = tokio::join!(delete, create);
        match (deleted.as_u16(), created.as_u16()) {
            (200, 400) | (409, 200) => {}
            other => panic!("round {round}: {other:?} {text}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_given_once() {
    let server = Arc::new(Server::start().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let body = json!({"virtual-network": network("same", &[])});
                server.send(Method::POST, "/virtual-networks", Some(body)).await.0.as_u16()
            })
        })
        .collect();
    let mut codes = Vec::new();
    for task in tasks {
        codes.push(task.await.unwrap());
    }
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn everything_is_given_back() {
    let server = Server::start().await;
    let keys = async || {
        let range = server.store.range("", None, 4096).await.unwrap();
        assert!(!range.more);
        // The link rows of objects that stay are written on first use.
        let kept = range.entries.into_iter().map(|e| e.key).filter(|k| !k.starts_with("link/"));
        kept.collect::<Vec<_>>()
    };
    let before = keys().await;
    let mut fields = network("blue", &[("10.0.0.0", 24), ("fd00::", 64)]);
    fields["virtual_network_properties"] = json!({"vxlan_network_identifier": 7});
    let vn = server.create("virtual-network", fields).await;
    let sg = json!({"fq_name": ["default-domain", "default-project", "sg"]});
    let sg = server.create("security-group", sg).await;
    let name = json!(["default-domain", "default-project", "port"]);
    let vmi = json!({"fq_name": name, "parent_type": "project", "virtual_network_refs": [{"uuid": vn}],
                     "security_group_refs": [{"uuid": sg}]});
    let vmi = server.create("virtual-machine-interface", vmi).await;
    let iip = json!({"fq_name": ["i"], "virtual_network_refs": [{"uuid": vn}],
                     "virtual_machine_interface_refs": [{"uuid": vmi}]});
    let iip = server.create("instance-ip", iip).await;
    assert!(keys().await.len() > before.len());
    for (object_type, uuid) in [
        ("instance-ip", iip),
        ("virtual-machine-interface", vmi),
        ("security-group", sg),
        ("virtual-network", vn),
    ] {
        server.delete(object_type, &uuid).await;
    }
    assert_eq!(keys().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_change_one_object() {
    let server = Arc::new(Server::start().await);
    let vn = server.create("virtual-network", network("hot", &[])).await;
    let mut tasks = Vec::new();
    for index in 0..40 {
        let (server, vn) = (Arc::clone(&server), vn.clone());
        tasks.push(tokio::spawn(async move {
            let name = json!(["default-domain", "default-project", format!("pol{index}")]);
            let policy =
                server.create("network-policy", json!({"fq_name": name, "parent_type": "project"})).await;
            let body = json!({"type": "virtual-network", "uuid": vn, "ref-type": "network-policy",
                "ref-uuid": policy, "operation": "ADD", "attr": {"sequence": {"major": index, "minor": 0}}});
            server.post("/ref-update", body).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let read = server.read("virtual-network", &vn).await;
    assert_eq!(read["network_policy_refs"].as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn nobody_gives_back_the_address_of_another() {
    let server = Server::start().await;
    let vn = server.network("blue", "10.0.0.0", 24).await;
    let ip = |name: &str, vn: &str| json!({"fq_name": [name], "virtual_network_refs": [{"uuid": vn}]});
    let mine = server.create("instance-ip", ip("mine", &vn)).await;
    let mine = server.read("instance-ip", &mine).await;
    let fabric =
        json!({"type": "virtual-network", "fq_name": ["default-domain", "default-project", "ip-fabric"]});
    let fabric = server.post("/fqname-to-id", fabric).await["uuid"].as_str().unwrap().to_owned();
    let mut forged = ip("forged", &fabric);
    forged["instance_ip_address"] = mine["instance_ip_address"].clone();
    forged["subnet_uuid"] = mine["subnet_uuid"].clone();
    let forged = server.create("instance-ip", forged).await;
    server.delete("instance-ip", &forged).await;
    let mut again = ip("again", &vn);
    again["instance_ip_address"] = mine["instance_ip_address"].clone();
    server.refused(409, Method::POST, "/instance-ips", Some(json!({"instance-ip": again}))).await;
}
