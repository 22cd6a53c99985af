//! Modes, and rules of api-access-lists.

use crate::people::{World, fq, id, json_of, rule};
use reqwest::Method;
use serde_json::{Value, json};
use weft_api::{AaaMode, ApiState, DerivedView};

async fn set_mode(world: &World, who: &str, mode: Value) -> (u16, String) {
    world.ask(who, Method::PUT, "/aaa-mode", Some(json!({"aaa-mode": mode}))).await
}

#[tokio::test]
async fn the_mode_is_set_by_administrators_for_all_services_and_for_good() {
    let world = World::new().await;
    let uuid = world.network("owner", "mine", "net", json!({})).await;
    let path = format!("/virtual-network/{uuid}");
    assert_eq!(world.get("nobody", "/aaa-mode").await, (200, r#"{"aaa-mode":"rbac"}"#.into()));
    assert_eq!(set_mode(&world, "owner", json!("no-auth")).await.0, 403);
    for bad in [json!("everybody"), json!(7), Value::Null] {
        assert_eq!(set_mode(&world, "admin", bad).await.0, 400);
    }
    let second = ApiState::new(world.state.store().clone(), DerivedView::start(world.state.store().clone()));
    assert_eq!(second.aaa_mode().await.unwrap(), AaaMode::Rbac);
    assert_eq!(set_mode(&world, "admin", json!("cloud-admin")).await.0, 200);
    assert_eq!(world.get("owner", &path).await.0, 403);
    assert_eq!(world.get("auditor", &path).await.0, 403);
    assert_eq!(world.post("owner", "/fqname-to-id", json!({})).await.0, 403);
    assert_eq!(world.get("admin", &path).await.0, 200);
    assert_eq!(set_mode(&world, "admin", json!("no-auth")).await.0, 200);
    assert_eq!(world.get("nobody", &path).await.0, 200);
    // Another service follows, and one that starts later knows it from the start.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while second.aaa_mode().await.unwrap() != AaaMode::NoAuth {
        assert!(std::time::Instant::now() < end, "the other service does not follow");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let third = ApiState::new(world.state.store().clone(), DerivedView::start(world.state.store().clone()));
    assert_eq!(third.aaa_mode().await.unwrap(), AaaMode::NoAuth);
}

#[tokio::test]
async fn without_a_rule_members_may_do_next_to_nothing() {
    let world = World::bare().await;
    assert_eq!(world.get("owner", "/virtual-networks").await.0, 403);
    assert_eq!(world.create("owner", "network-policy", json!({"fq_name": fq("mine", "p")})).await.0, 403);
    assert_eq!(world.post("owner", "/list-bulk-collection", json!({"type": "virtual-network"})).await.0, 403);
    assert_eq!(world.get("owner", "/watch?resource_type=virtual-network").await.0, 403);
    // What the standard list allows everybody.
    let project = json!({"type": "project", "fq_name": ["default-domain", "mine"]});
    assert_eq!(world.post("owner", "/fqname-to-id", project).await.0, 200);
    let kv = json!({"operation": "STORE", "key": "k", "value": "v"});
    assert_eq!(world.post("owner", "/useragent-kv", kv).await.0, 200);
}

#[tokio::test]
async fn rules_hold_at_once_by_type_field_and_place() {
    let world = World::bare().await;
    let policy = |name: &str| json!({"fq_name": fq("mine", name), "parent_type": "project"});
    let list = |parent: &str, name: Value, rules: Value| json!({"fq_name": name, "parent_type": parent, "api_access_list_entries": {"rbac_rule": rules}});
    // For one project.
    let name = json!(["default-domain", "mine", "list"]);
    let rules = json!([rule("network-policys", "", "member", "CR")]);
    let uuid = world.make("admin", "api-access-list", list("project", name, rules)).await;
    let made = world.make("owner", "network-policy", policy("a")).await;
    assert_eq!(world.get("owner", &format!("/network-policy/{made}")).await.0, 200);
    assert_eq!(world.put("owner", "network-policy", &made, json!({"display_name": "x"})).await.0, 403);
    assert_eq!(world.get("owner", "/virtual-networks").await.0, 403);
    assert_eq!(world.get("friend", "/network-policys").await.0, 403);
    // For a domain, and for single fields.
    let rules = json!([
        rule("network-policy", "", "member", "RU"),
        rule("network-policy", "display_name", "boss", "U"),
    ]);
    let name = json!(["default-domain", "list"]);
    world.make("admin", "api-access-list", list("domain", name, rules)).await;
    assert_eq!(world.get("friend", "/network-policys").await.0, 200);
    assert_eq!(world.get("abroad", "/network-policys").await.0, 403);
    let annotations = json!({"annotations": {"key_value_pair": [{"key": "k", "value": "v"}]}});
    assert_eq!(world.put("owner", "network-policy", &made, annotations).await.0, 200);
    assert_eq!(world.put("owner", "network-policy", &made, json!({"display_name": "x"})).await.0, 403);
    let set = |field: &str| {
        json!({"uuid": made, "updates": [{"field": field, "operation": "set", "position": "k",
            "value": {"key": "k", "value": "w"}}]})
    };
    assert_eq!(world.post("owner", "/prop-collection-update", set("annotations")).await.0, 200);
    // Taken back.
    assert_eq!(world.delete("admin", "api-access-list", &uuid).await.0, 200);
    assert_eq!(world.create("owner", "network-policy", policy("b")).await.0, 403);
    assert_eq!(world.get("owner", &format!("/network-policy/{made}")).await.0, 200);
}

#[tokio::test]
async fn members_do_not_write_their_own_rules() {
    let world = World::new().await;
    let fields = json!({"fq_name": ["default-global-system-config", "mine"], "parent_type": "global-system-config",
        "api_access_list_entries": {"rbac_rule": [rule("*", "", "member", "CRUD")]}});
    assert_eq!(world.create("owner", "api-access-list", fields).await.0, 403);
    let (_, text) = world
        .post(
            "admin",
            "/fqname-to-id",
            json!({"type": "api-access-list",
            "fq_name": ["default-global-system-config", "default-api-access-list"]}),
        )
        .await;
    let standard = json_of(&text)["uuid"].as_str().unwrap().to_owned();
    assert_eq!(world.get("owner", &format!("/api-access-list/{standard}")).await.0, 403);
    assert_eq!(world.delete("owner", "api-access-list", &standard).await.0, 403);
    // A project may have rules of its own, which grant within what objects allow.
    let own = json!({"fq_name": fq("mine", "own"), "parent_type": "project",
        "api_access_list_entries": {"rbac_rule": [rule("*", "", "*", "CRUD")]}});
    world.make("owner", "api-access-list", own).await;
    let (status, _) = world.create("owner", "network-policy", json!({"fq_name": fq("other", "x")})).await;
    assert_eq!(status, 403);
    assert!(id("mine") != id("other"));
}
