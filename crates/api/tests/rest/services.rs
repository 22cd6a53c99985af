//! Service templates and instances, appliances, loadbalancers, alarms, access lists.

use crate::harness::{Server, named};
use serde_json::{Value, json};

#[tokio::test]
async fn templates_and_instances() {
    let server = Server::start().await;
    let template = |kinds: &[&str]| {
        let interfaces: Vec<Value> = kinds.iter().map(|k| json!({"service_interface_type": k})).collect();
        json!({"fq_name": ["default-domain", "t"],
            "service_template_properties": {"version": 2, "interface_type": interfaces}})
    };
    server.no_create(400, "service-template", template(&["up"]), &["\"up\""]).await;
    server.no_create(400, "service-template", template(&["left", "left"]), &["left", "twice"]).await;
    server.create("service-template", template(&["left", "right", "other1"])).await;
    let physical = json!({"fq_name": named("i"),
        "service_instance_properties": {"service_virtualization_type": "physical-device"}});
    server.no_create(400, "service-instance", physical, &["left-svc-vlan"]).await;
    let instance = json!({"fq_name": named("i"), "service_template_refs": [{"to": ["default-domain", "t"]}],
        "service_instance_properties": {"scale_out": {"max_instances": 2}}});
    server.create("service-instance", instance).await;
    let tuple = json!({"fq_name": ["default-domain", "default-project", "i", "pt"]});
    server.create("port-tuple", tuple).await;
}

#[tokio::test]
async fn loadbalancers() {
    let server = Server::start().await;
    let listener = |port: i64| json!({"fq_name": named("l"), "loadbalancer_listener_properties": {"protocol": "TCP", "protocol_port": port}});
    server.no_create(400, "loadbalancer-listener", listener(0), &["protocol_port 0"]).await;
    server.create("loadbalancer-listener", listener(80)).await;
    let pool = |more: Value| json!({"fq_name": named("p"), "loadbalancer_pool_properties": more});
    let cookie = pool(json!({"session_persistence": "APP_COOKIE"}));
    server.no_create(400, "loadbalancer-pool", cookie, &["persistence_cookie_name"]).await;
    server.create("loadbalancer-pool", pool(json!({"protocol": "HTTP"}))).await;
    let member = |weight: i64| {
        json!({"fq_name": ["default-domain", "default-project", "p", "m"],
            "loadbalancer_member_properties": {"protocol_port": 80, "weight": weight}})
    };
    server.no_create(400, "loadbalancer-member", member(257), &["weight 257"]).await;
    server.create("loadbalancer-member", member(1)).await;
}

#[tokio::test]
async fn alarms_have_rules_that_can_be_judged() {
    let server = Server::start().await;
    let alarm = |operation: &str, operand: Value| {
        let condition = json!({"operation": operation, "operand1": "a.b", "operand2": operand});
        json!({"fq_name": named("a"), "parent_type": "project", "alarm_severity": 1,
            "uve_keys": {"uve_key": ["vrouter"]},
            "alarm_rules": {"or_list": [{"and_list": [condition]}]}})
    };
    let none = json!({"fq_name": named("a"), "parent_type": "project", "uve_keys": {"uve_key": ["vrouter"]}});
    server.no_create(400, "alarm", none, &["alarm_rules"]).await;
    for (operation, operand, says) in [
        ("==", json!({}), "operand2"),
        ("==", json!({"uve_attribute": "x", "json_value": "1"}), "not both"),
        ("==", json!({"json_value": "{"}), "json_value"),
        ("range", json!({"json_value": "[2, 1]"}), "x < y"),
    ] {
        server.no_create(400, "alarm", alarm(operation, operand), &[says]).await;
    }
    server.create("alarm", alarm("range", json!({"json_value": "[1, 2]"}))).await;
}

#[tokio::test]
async fn access_lists_name_operations() {
    let server = Server::start().await;
    let list = |object: &str, crud: &str| {
        let rule = json!({"rule_object": object, "rule_perms": [{"role_name": "r", "role_crud": crud}]});
        json!({"fq_name": named("l"), "parent_type": "project", "api_access_list_entries": {"rbac_rule": [rule]}})
    };
    server.no_create(400, "api-access-list", list("*", "CX"), &["CX"]).await;
    server.no_create(400, "api-access-list", list("", "C"), &["rule_object"]).await;
    server.create("api-access-list", list("virtual-network", "CRUD")).await;
}
