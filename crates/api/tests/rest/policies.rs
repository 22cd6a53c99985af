//! Firewall rules, policies, sets and groups.

use crate::harness::{Server, named};
use reqwest::Method;
use serde_json::{Value, json};

fn rule(name: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": named(name), "parent_type": "project",
        "service": {"protocol": "tcp", "dst_ports": {"start_port": 80, "end_port": 80}},
        "endpoint_1": {"any": true}, "endpoint_2": {"any": true}, "direction": "<>"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn a_rule_knows_numbers_of_protocols_and_tag_types() {
    let server = Server::start().await;
    let uuid = server.create("firewall-rule", rule("r", json!({}))).await;
    let read = server.read("firewall-rule", &uuid).await;
    assert_eq!(read["service"]["protocol_id"], 6);
    assert_eq!(read["match_tag_types"], json!({"tag_type": [1]}));
    let none = rule("none", json!({"match_tags": {"tag_list": []}, "service": {"protocol": "17"}}));
    let uuid = server.create("firewall-rule", none).await;
    let read = server.read("firewall-rule", &uuid).await;
    assert_eq!(read["match_tag_types"], json!({"tag_type": []}));
    assert_eq!(read["service"]["protocol_id"], 17);
    let two = rule("two", json!({"match_tags": {"tag_list": ["deployment", "Site"]}}));
    let uuid = server.create("firewall-rule", two).await;
    assert_eq!(server.read("firewall-rule", &uuid).await["match_tag_types"], json!({"tag_type": [3, 4]}));
    for (status, more, says) in [
        (400, json!({"match_tags": {"tag_list": ["label"]}}), "labels not allowed"),
        (404, json!({"match_tags": {"tag_list": ["colour"]}}), "colour"),
        (400, json!({"service": {"protocol": "warp"}}), "warp"),
        (400, json!({"service": {"protocol": "256"}}), "256"),
        (
            400,
            json!({"service": {"protocol": "tcp", "dst_ports": {"start_port": 9, "end_port": 8}}}),
            "start_port 9",
        ),
        (400, json!({"service": null}), "requires 'service'"),
        (400, json!({"endpoint_1": {"any": true, "virtual_network": "a:b:c"}}), "only one endpoint type"),
        (400, json!({"endpoint_1": {"virtual_network": "a:b:c"}}), "a:b:c"),
        (404, json!({"endpoint_2": {"address_group": "a:b"}}), "a:b"),
        (404, json!({"endpoint_2": {"tags": ["tier=none"]}}), "default-domain:default-project:tier=none"),
        (404, json!({"endpoint_2": {"tags": ["none"]}}), "Invalid tag name"),
        (400, json!({"tag_refs": [{"to": ["label"]}]}), "does not exist"),
        (400, json!({"draft_mode_state": "created"}), "draft_mode_state"),
    ] {
        server.no_create(status, "firewall-rule", rule("bad", more), &[says]).await;
    }
}

#[tokio::test]
async fn ends_become_references() {
    let server = Server::start().await;
    let tag = |value: &str| json!({"fq_name": ["x"], "tag_type_name": "tier", "tag_value": value});
    let own =
        json!({"fq_name": named("x"), "parent_type": "project", "tag_type_name": "tier", "tag_value": "web"});
    server.create("tag", own).await;
    server.create("tag", tag("db")).await;
    let group = json!({"fq_name": named("g"), "parent_type": "project",
        "address_group_prefix": {"subnet": [{"ip_prefix": "10.1.2.3", "ip_prefix_len": 16}]}});
    let group = server.create("address-group", group).await;
    let read = server.read("address-group", &group).await;
    assert_eq!(read["address_group_prefix"]["subnet"][0]["ip_prefix"], "10.1.0.0");
    let ends = json!({"endpoint_1": {"tags": ["tier=web", "global:tier=db"]},
        "endpoint_2": {"address_group": "default-domain:default-project:g"}});
    let uuid = server.create("firewall-rule", rule("r", ends)).await;
    let read = server.read("firewall-rule", &uuid).await;
    assert_eq!(read["endpoint_1"]["tag_ids"], json!([0x0002_0000, 0x0002_0001]));
    assert_eq!(read["tag_refs"].as_array().unwrap().len(), 2);
    assert_eq!(read["address_group_refs"][0]["uuid"], group.as_str());
    server.refused(409, Method::DELETE, &format!("/address-group/{group}"), None).await;
    // What was read can be written back; other references can not.
    server.put("firewall-rule", &uuid, json!({"tag_refs": read["tag_refs"], "direction": ">"})).await;
    server.no_put(400, "firewall-rule", &uuid, json!({"tag_refs": []}), &["tag_refs", "endpoints"]).await;
    let refs = json!({"address_group_refs": []});
    server.no_put(400, "firewall-rule", &uuid, refs, &["address_group_refs"]).await;
    server
        .put("firewall-rule", &uuid, json!({"endpoint_1": {"any": true}, "endpoint_2": {"any": true}}))
        .await;
    let read = server.read("firewall-rule", &uuid).await;
    assert!(read.get("tag_refs").is_none() && read.get("address_group_refs").is_none(), "{read}");
    server.delete("address-group", &group).await;
}

#[tokio::test]
async fn a_rule_has_a_service_or_groups_of_services() {
    let server = Server::start().await;
    let services = json!({"firewall_service": [{"protocol": "UDP"}, {"protocol": "any"}]});
    let group = json!({"fq_name": named("s"), "parent_type": "project", "service_group_firewall_service_list": services});
    let group = server.create("service-group", group).await;
    let read = server.read("service-group", &group).await;
    let list = &read["service_group_firewall_service_list"]["firewall_service"];
    assert_eq!((&list[0]["protocol_id"], &list[1]["protocol_id"]), (&json!(17), &json!(0)));
    let refs = json!([{"uuid": group}]);
    server.no_create(400, "firewall-rule", rule("r", json!({"service_group_refs": refs})), &["both"]).await;
    let by_group = rule("r", json!({"service_group_refs": refs, "service": null}));
    let uuid = server.create("firewall-rule", by_group).await;
    let both = json!({"service": {"protocol": "tcp"}});
    server.no_put(400, "firewall-rule", &uuid, both, &["both"]).await;
    let bad = json!({"firewall_service": [{"protocol": "udp"}, {"protocol": "x"}]});
    let bad = json!({"service_group_firewall_service_list": bad});
    server.no_put(400, "service-group", &group, bad, &["firewall_service[1]", "\"x\""]).await;
}

#[tokio::test]
async fn what_is_global_refers_to_global_objects() {
    let server = Server::start().await;
    let global = |name: &str| json!(["default-policy-management", name]);
    server.create("firewall-rule", rule("own", json!({}))).await;
    let mut everywhere = rule("r", json!({}));
    everywhere["fq_name"] = global("r");
    everywhere["parent_type"] = json!("policy-management");
    server.create("firewall-rule", everywhere).await;
    let policy = |rule: Value, sequence: &str| {
        json!({"fq_name": global("p"), "parent_type": "policy-management",
            "firewall_rule_refs": [{"to": rule, "attr": {"sequence": sequence}}]})
    };
    server.no_create(400, "firewall-policy", policy(named("own"), "1"), &["Global", "scoped"]).await;
    server.no_create(400, "firewall-policy", policy(global("r"), "first"), &["first"]).await;
    let uuid = server.create("firewall-policy", policy(global("r"), "00003.0")).await;
    let read = server.read("firewall-policy", &uuid).await;
    assert_eq!(read["firewall_rule_refs"][0]["attr"]["sequence"], "00003.0");
    let set = json!({"fq_name": named("s"), "parent_type": "project",
        "firewall_policy_refs": [{"uuid": uuid, "attr": {"sequence": "1"}}]});
    let set = server.create("application-policy-set", set).await;
    server
        .no_put(400, "application-policy-set", &set, json!({"all_applications": true}), &["read-only"])
        .await;
}

#[tokio::test]
async fn every_scope_has_a_set_of_all_applications() {
    let server = Server::start().await;
    let default = ["default-policy-management", "default-application-policy-set"];
    let uuid = server.id("application-policy-set", &default).await;
    let read = server.read("application-policy-set", &uuid).await;
    assert_eq!(read["all_applications"], true);
    assert_eq!(read["global_vrouter_config_refs"][0]["to"][1], "default-global-vrouter-config");
    let path = format!("/application-policy-set/{uuid}");
    server.refused(400, Method::DELETE, &path, None).await;
    let project = server.create("project", json!({"fq_name": ["default-domain", "p"]})).await;
    let read = server.read("project", &project).await;
    let set = read["application_policy_set_refs"][0]["uuid"].as_str().unwrap().to_owned();
    assert_eq!(server.read("application-policy-set", &set).await["all_applications"], true);
    server.refused(409, Method::DELETE, &format!("/application-policy-set/{set}"), None).await;
    // Sending it back as read changes nothing.
    server
        .put("project", &project, json!({"application_policy_set_refs": read["application_policy_set_refs"]}))
        .await;
    server.delete("project", &project).await;
    server.refused(404, Method::GET, &format!("/application-policy-set/{set}"), None).await;
}
