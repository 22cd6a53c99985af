//! Drafts of policies: what is pending, what commit and discard make of it.

use crate::harness::{Server, named};
use reqwest::Method;
use serde_json::{Value, json};

fn in_project(name: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": named(name), "parent_type": "project"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn rule(name: &str) -> Value {
    in_project(
        name,
        json!({"service": {"protocol": "tcp"}, "direction": ">",
        "endpoint_1": {"any": true}, "endpoint_2": {"any": true}}),
    )
}

async fn project(server: &Server, on: bool) -> String {
    let uuid = server.id("project", &["default-domain", "default-project"]).await;
    server.put("project", &uuid, json!({"enable_security_policy_draft": on})).await;
    uuid
}

/// Sends a change that must be accepted as a draft.
async fn drafted(server: &Server, method: Method, path: &str, body: Option<Value>) -> Value {
    let (status, text) = server.send(method, path, body).await;
    assert_eq!(status.as_u16(), 202, "{path}: {text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

async fn act(server: &Server, scope: &str, action: &str) {
    server.post("/security-policy-draft", json!({"scope_uuid": scope, "action": action})).await;
}

#[tokio::test]
async fn changes_wait_until_they_are_committed() {
    let server = Server::start().await;
    let (kept, gone) = (
        server.create("firewall-rule", rule("kept")).await,
        server.create("firewall-rule", rule("gone")).await,
    );
    let scope = project(&server, true).await;
    let new =
        drafted(&server, Method::POST, "/firewall-rules", Some(json!({"firewall-rule": rule("new")}))).await;
    let new = new["firewall-rule"]["uuid"].as_str().unwrap().to_owned();
    let read = server.read("firewall-rule", &new).await;
    let place = ["default-domain", "default-project", "draft-policy-management"];
    assert_eq!(read["fq_name"], json!([place[0], place[1], place[2], "new"]));
    assert_eq!(read["draft_mode_state"], "created");
    server.no_create(400, "firewall-rule", rule("new"), &["pending"]).await;
    server.no_create(409, "firewall-rule", rule("kept"), &["already exists"]).await;
    let change = Some(json!({"firewall-rule": {"direction": "<>"}}));
    drafted(&server, Method::PUT, &format!("/firewall-rule/{kept}"), change.clone()).await;
    drafted(&server, Method::DELETE, &format!("/firewall-rule/{gone}"), None).await;
    server.refused(400, Method::PUT, &format!("/firewall-rule/{gone}"), change).await;
    // Nothing has happened yet.
    assert_eq!(server.read("firewall-rule", &kept).await["direction"], ">");
    server.read("firewall-rule", &gone).await;
    server
        .no_put(409, "project", &scope, json!({"enable_security_policy_draft": false}), &["3 pending"])
        .await;
    // A policy refers to a draft and to what has a draft.
    let refs = json!({"firewall_rule_refs": [{"uuid": new, "attr": {"sequence": "1"}}, {"uuid": kept, "attr": {"sequence": "2"}}]});
    let policy = Some(json!({"firewall-policy": in_project("p", refs)}));
    let policy = drafted(&server, Method::POST, "/firewall-policys", policy).await;
    let policy = policy["firewall-policy"]["uuid"].as_str().unwrap().to_owned();
    act(&server, &scope, "commit").await;
    let read = server.read("firewall-rule", &new).await;
    assert_eq!(read["fq_name"], named("new"));
    assert_eq!(read["parent_type"], "project");
    assert!(read.get("draft_mode_state").is_none(), "{read}");
    assert_eq!(server.read("firewall-rule", &kept).await["direction"], "<>");
    server.refused(404, Method::GET, &format!("/firewall-rule/{gone}"), None).await;
    let read = server.read("firewall-policy", &policy).await;
    assert_eq!(read["fq_name"], named("p"));
    assert_eq!(read["firewall_rule_refs"][0]["to"], named("new"));
    let read = server.read("firewall-rule", &new).await;
    assert_eq!(read["firewall_policy_back_refs"][0]["uuid"], policy.as_str());
    project(&server, false).await;
    server.create("firewall-rule", rule("direct")).await;
    let management = json!({"type": "policy-management", "fq_name": place});
    server.refused(404, Method::POST, "/fqname-to-id", Some(management)).await;
    let body = json!({"scope_uuid": scope, "action": "commit"});
    let text = server.refused(400, Method::POST, "/security-policy-draft", Some(body)).await;
    assert!(text.contains("not enabled"), "{text}");
}

#[tokio::test]
async fn discarding_leaves_everything_as_it_was() {
    let server = Server::start().await;
    let held = server.create("firewall-rule", rule("held")).await;
    let scope = project(&server, true).await;
    let before = server.read("firewall-rule", &held).await;
    let new = Some(json!({"firewall-rule": rule("new")}));
    let new = drafted(&server, Method::POST, "/firewall-rules", new).await;
    let new = new["firewall-rule"]["uuid"].as_str().unwrap().to_owned();
    drafted(&server, Method::DELETE, &format!("/firewall-rule/{held}"), None).await;
    act(&server, &scope, "discard").await;
    server.refused(404, Method::GET, &format!("/firewall-rule/{new}"), None).await;
    assert_eq!(server.read("firewall-rule", &held).await, before);
    project(&server, false).await;
    server.delete("firewall-rule", &held).await;
    let bad = json!({"scope_uuid": scope, "action": "forget"});
    server.refused(400, Method::POST, "/security-policy-draft", Some(bad)).await;
    let rule = json!({"scope_uuid": "00000000-0000-4000-8000-000000000000", "action": "commit"});
    server.refused(404, Method::POST, "/security-policy-draft", Some(rule)).await;
}

#[tokio::test]
async fn what_is_referred_to_goes_after_its_referrers() {
    let server = Server::start().await;
    let held = server.create("firewall-rule", rule("r")).await;
    let refs = json!({"firewall_rule_refs": [{"uuid": held, "attr": {"sequence": "1"}}]});
    let policy = server.create("firewall-policy", in_project("p", refs)).await;
    let scope = project(&server, true).await;
    let path = format!("/firewall-rule/{held}");
    let text = server.refused(409, Method::DELETE, &path, None).await;
    assert!(text.contains(&policy), "{text}");
    // A draft of the policy without the rule lets it go.
    let none = Some(json!({"firewall-policy": {"firewall_rule_refs": []}}));
    drafted(&server, Method::PUT, &format!("/firewall-policy/{policy}"), none).await;
    drafted(&server, Method::DELETE, &path, None).await;
    act(&server, &scope, "commit").await;
    server.refused(404, Method::GET, &path, None).await;
    let read = server.read("firewall-policy", &policy).await;
    assert!(read.get("firewall_rule_refs").is_none(), "{read}");
}

#[tokio::test]
async fn the_global_scope_is_switched_by_the_system_configuration() {
    let server = Server::start().await;
    let scope = server.id("global-system-config", &["default-global-system-config"]).await;
    server.put("global-system-config", &scope, json!({"enable_security_policy_draft": true})).await;
    let group = json!({"fq_name": ["default-policy-management", "g"], "parent_type": "policy-management"});
    let group =
        drafted(&server, Method::POST, "/address-groups", Some(json!({"address-group": group}))).await;
    let group = group["address-group"]["uuid"].as_str().unwrap().to_owned();
    let read = server.read("address-group", &group).await;
    assert_eq!(read["fq_name"], json!(["draft-policy-management", "g"]));
    // Projects are scopes of their own.
    let end = json!({"endpoint_1": {"address_group": "draft-policy-management:g"}});
    let mut own = rule("own");
    own.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
    let own = server.create("firewall-rule", own).await;
    act(&server, &scope, "commit").await;
    let read = server.read("firewall-rule", &own).await;
    assert_eq!(read["endpoint_1"]["address_group"], "default-policy-management:g");
    assert_eq!(read["address_group_refs"][0]["to"], json!(["default-policy-management", "g"]));
    assert_eq!(read["address_group_refs"][0]["uuid"], group.as_str());
    server.put("global-system-config", &scope, json!({"enable_security_policy_draft": false})).await;
}

#[tokio::test]
async fn actions_on_what_is_drafted_are_accepted_and_not_done() {
    let server = Server::start().await;
    let held = server.create("firewall-rule", rule("r")).await;
    let policy = server.create("firewall-policy", in_project("p", json!({}))).await;
    server.create("tag", json!({"fq_name": ["site=x"], "tag_type_name": "site", "tag_value": "x"})).await;
    let pair = json!([{"field": "annotations", "operation": "set", "value": {"key": "a", "value": "b"}}]);
    let requests = [
        (
            "/ref-update",
            json!({"type": "firewall-policy", "uuid": policy, "operation": "ADD",
            "ref-type": "firewall-rule", "ref-uuid": held, "attr": {"sequence": "1"}}),
        ),
        ("/prop-collection-update", json!({"uuid": policy, "updates": pair})),
        (
            "/set-tag",
            json!({"obj_type": "firewall_policy", "obj_uuid": policy,
            "site": {"value": "x", "is_global": true}}),
        ),
    ];
    let scope = project(&server, true).await;
    for (path, body) in &requests {
        drafted(&server, Method::POST, path, Some(body.clone())).await;
    }
    let shown = async || {
        let read = server.read("firewall-policy", &policy).await;
        ["firewall_rule_refs", "annotations", "tag_refs"].map(|field| !read[field].is_null())
    };
    assert_eq!(shown().await, [false; 3]);
    act(&server, &scope, "commit").await;
    assert_eq!(shown().await, [true; 3]);
    // Without drafts they are done, and say so.
    project(&server, false).await;
    for (path, body) in requests {
        let (status, text) = server.send(Method::POST, path, Some(body)).await;
        assert_eq!(status.as_u16(), 200, "{path}: {text}");
    }
}
