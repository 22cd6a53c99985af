//! Quotas of projects, also with many clients at once.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

async fn limit(server: &Server, quota: Value) -> String {
    let uuid = server.id("project", &["default-domain", "default-project"]).await;
    server.put("project", &uuid, json!({"quota": quota})).await;
    uuid
}

#[tokio::test]
async fn a_limit_counts_what_is_there_and_what_goes() {
    let server = Server::start().await;
    // Three networks exist from the start.
    let first = server.network("a", "10.0.0.0", 24).await;
    let project = limit(&server, json!({"virtual_network": 5})).await;
    server.network("b", "10.0.0.0", 24).await;
    let says = ["quota limit (5)", "virtual_network"];
    server.no_create(412, "virtual-network", network("c", &[]), &says).await;
    server.delete("virtual-network", &first).await;
    server.create("virtual-network", network("c", &[])).await;
    server.no_create(412, "virtual-network", network("d", &[]), &says).await;
    server.put("project", &project, json!({"quota": {"virtual_network": 6}})).await;
    server.create("virtual-network", network("d", &[])).await;
    server.put("project", &project, json!({"quota": {"virtual_network": -1}})).await;
    server.create("virtual-network", network("e", &[])).await;
    // Set again, it counts anew.
    server.put("project", &project, json!({"quota": {"defaults": 7}})).await;
    server.no_create(412, "virtual-network", network("f", &[]), &["quota limit (7)"]).await;
    server.no_put(400, "project", &project, json!({"quota": {"virtual_network": -2}}), &["-2"]).await;
}

#[tokio::test]
async fn parts_of_objects_are_counted() {
    let server = Server::start().await;
    limit(&server, json!({"subnet": 2, "security_group_rule": 2})).await;
    let vn = server.network("a", "10.0.0.0", 24).await;
    let more = |nets: &[(&str, u8)]| network("a", nets);
    server.put("virtual-network", &vn, more(&[("10.0.0.0", 24), ("10.0.1.0", 24)])).await;
    let three = more(&[("10.0.0.0", 24), ("10.0.1.0", 24), ("10.0.2.0", 24)]);
    server.no_put(412, "virtual-network", &vn, three, &["subnet", "(2)"]).await;
    let rules = |count: usize| {
        let end = |name: &str| json!([{"security_group": name}]);
        let rule = json!({"src_addresses": end("local"), "dst_addresses": end("any"), "direction": ">"});
        json!({"fq_name": ["default-domain", "default-project", "sg"],
            "security_group_entries": {"policy_rule": vec![rule; count]}})
    };
    server.no_create(412, "security-group", rules(3), &["security_group_rule"]).await;
    let group = server.create("security-group", rules(1)).await;
    server.put("security-group", &group, rules(2)).await;
    server.no_put(412, "security-group", &group, rules(3), &["security_group_rule"]).await;
}

#[tokio::test]
async fn floating_addresses_are_counted_for_the_project_that_uses_them() {
    let server = Server::start().await;
    server.network("pub", "10.0.0.0", 24).await;
    let pool = json!({"fq_name": ["default-domain", "default-project", "pub", "pool"]});
    server.create("floating-ip-pool", pool).await;
    let user = json!({"fq_name": ["default-domain", "user"], "quota": {"floating_ip": 1}});
    let user = server.create("project", user).await;
    let address = |name: &str| {
        json!({"fq_name": ["default-domain", "default-project", "pub", "pool", name],
            "parent_type": "floating-ip-pool", "project_refs": [{"uuid": user}]})
    };
    let first = server.create("floating-ip", address("a")).await;
    server.no_create(412, "floating-ip", address("b"), &["floating_ip", "(1)"]).await;
    server.delete("floating-ip", &first).await;
    server.create("floating-ip", address("b")).await;
    let taken = server.store.range("alloc/ip/", None, 100).await.unwrap().entries.len();
    // Gateway and service address of the three subnets there are, and one floating address.
    let other = json!({"floating-ip": address("c")});
    server.refused(412, Method::POST, "/floating-ips", Some(other)).await;
    assert_eq!(server.store.range("alloc/ip/", None, 100).await.unwrap().entries.len(), taken);
}

#[tokio::test]
async fn many_clients_never_exceed_a_limit() {
    let server = Arc::new(Server::start().await);
    let project = limit(&server, json!({"network_policy": 10})).await;
    let create = |index: usize| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let policy = json!({"fq_name": ["default-domain", "default-project", format!("p{index}")]});
            let body = Some(json!({"network-policy": policy}));
            server.send(Method::POST, "/network-policys", body).await.0.as_u16()
        })
    };
    let tasks: Vec<_> = (0..20).map(create).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 10, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 412).count(), 10, "{answers:?}");
    // Deleting all of them at once gives every place back.
    let listed = server.get("/network-policys").await;
    let policies: Vec<String> = listed["network-policys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["uuid"].as_str().unwrap().to_owned())
        .collect();
    let tasks: Vec<_> = policies
        .into_iter()
        .map(|uuid| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.delete("network-policy", &uuid).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let row = format!("seq/quota/{project}/network_policy");
    assert_eq!(server.store.get(&row).await.unwrap().unwrap().value, "0");
}
