//! Tags and tag types: names, numbers, who has how many.

use crate::harness::{Server, named};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn tag(type_name: &str, value: &str) -> Value {
    json!({"fq_name": ["x"], "tag_type_name": type_name, "tag_value": value})
}

fn project_tag(type_name: &str, value: &str) -> Value {
    json!({"fq_name": named("x"), "parent_type": "project", "tag_type_name": type_name, "tag_value": value})
}

#[tokio::test]
async fn a_tag_is_named_and_numbered_by_type_and_value() {
    let server = Server::start().await;
    let web = server.create("tag", tag("Tier", "web")).await;
    let read = server.read("tag", &web).await;
    assert_eq!(read["fq_name"], json!(["tier=web"]));
    assert_eq!((&read["tag_type_name"], &read["tag_value"]), (&json!("tier"), &json!("web")));
    assert_eq!(read["tag_id"], "0x00020000");
    assert_eq!(read["tag_type_refs"][0]["to"], json!(["tier"]));
    server.no_create(409, "tag", tag("tier", "web"), &["tier=web", "already exists"]).await;
    // The same in a project is another tag.
    let own = server.create("tag", project_tag("tier", "web")).await;
    let read = server.read("tag", &own).await;
    assert_eq!(read["fq_name"], named("tier=web"));
    assert_eq!(read["tag_id"], "0x00020001");
    for (fields, says) in [
        (json!({"tag_value": "db"}), "tag_value"),
        (json!({"tag_type_name": "site"}), "tag_type_name"),
        (json!({"tag_id": "0x00020009"}), "tag_id"),
        (json!({"display_name": "other"}), "display_name"),
        (json!({"tag_type_refs": []}), "tag_type_refs"),
    ] {
        server.no_put(400, "tag", &web, fields, &[says, "can not be changed"]).await;
    }
    server.put("tag", &web, json!({"tag_value": "web", "annotations": {"key_value_pair": []}})).await;
    server.no_create(400, "tag", json!({"fq_name": ["x"], "tag_value": "v"}), &["tag_type_name"]).await;
    server.no_create(400, "tag", tag("a=b", "v"), &["a=b"]).await;
    server.delete("tag", &web).await;
    server.create("tag", tag("tier", "other")).await;
}

#[tokio::test]
async fn types_come_with_their_first_tag_and_go_with_the_last() {
    let server = Server::start().await;
    for (name, id) in [("label", "0x0000"), ("application", "0x0001"), ("neutron_tag", "0x0006")] {
        let uuid = server.id("tag-type", &[name]).await;
        assert_eq!(server.read("tag-type", &uuid).await["tag_type_id"], id);
        server.refused(409, Method::DELETE, &format!("/tag-type/{uuid}"), None).await;
    }
    let one = server.create("tag", tag("colour", "red")).await;
    let two = server.create("tag", tag("colour", "blue")).await;
    assert_eq!(server.read("tag", &one).await["tag_id"], "0x00ff0000");
    assert_eq!(server.read("tag", &two).await["tag_id"], "0x00ff0001");
    let colour = server.id("tag-type", &["colour"]).await;
    server.refused(409, Method::DELETE, &format!("/tag-type/{colour}"), None).await;
    server.no_put(400, "tag-type", &colour, json!({"tag_type_id": "0x9000"}), &["tag_type_id"]).await;
    server.delete("tag", &one).await;
    server.delete("tag", &two).await;
    let gone = json!({"type": "tag-type", "fq_name": ["colour"]});
    server.refused(404, Method::POST, "/fqname-to-id", Some(gone)).await;
    let left = server.store.range("alloc/tag-value/colour/", None, 10).await.unwrap();
    assert!(left.entries.is_empty());
}

#[tokio::test]
async fn clients_choose_numbers_from_the_upper_half() {
    let server = Server::start().await;
    let mut mine = tag("colour", "red");
    mine["tag_id"] = json!("0x80018002");
    let uuid = server.create("tag", mine.clone()).await;
    assert_eq!(server.read("tag", &uuid).await["tag_id"], "0x80018002");
    mine["tag_value"] = json!("blue");
    server.no_create(400, "tag", mine.clone(), &["0x8002", "in use"]).await;
    mine["tag_id"] = json!("0x80020000");
    server.no_create(400, "tag", mine.clone(), &["32768"]).await;
    mine["tag_id"] = json!("0x80028003");
    server.no_create(400, "tag", mine.clone(), &["0x8001"]).await;
    mine["tag_id"] = json!("green");
    server.no_create(400, "tag", mine, &["green", "hexadecimal"]).await;
    let own = json!({"fq_name": ["shape"], "tag_type_id": "0x8001"});
    server.no_create(400, "tag-type", own, &["0x8001", "in use"]).await;
    let low = json!({"fq_name": ["shape"], "tag_type_id": "0x0100"});
    server.no_create(400, "tag-type", low, &["0x8000"]).await;
}

#[tokio::test]
async fn many_tags_at_once_get_numbers_of_their_own() {
    let server = Arc::new(Server::start().await);
    let tasks: Vec<_> = (0..24)
        .map(|index| {
            let server = Arc::clone(&server);
            // Two new types, made by whoever comes first.
            let kind = if index % 2 == 0 { "colour" } else { "shape" };
            tokio::spawn(async move { server.create("tag", tag(kind, &format!("v{index}"))).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        let uuid = task.await.unwrap();
        ids.insert(server.read("tag", &uuid).await["tag_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 24, "{ids:?}");
    let types: BTreeSet<&str> = ids.iter().map(|id| &id[..6]).collect();
    assert_eq!(types.len(), 2, "{types:?}");
}

#[tokio::test]
async fn an_object_has_one_tag_of_a_type_and_several_labels() {
    let server = Server::start().await;
    for value in ["web", "db"] {
        server.create("tag", tag("tier", value)).await;
        server.create("tag", tag("label", value)).await;
    }
    let refs = |kind: &str| json!([{"to": [format!("{kind}=web")]}, {"to": [format!("{kind}=db")]}]);
    let mut vn = json!({"fq_name": named("v"), "tag_refs": refs("tier")});
    server.no_create(400, "virtual-network", vn.clone(), &["tier", "tier=db"]).await;
    vn["tag_refs"] = refs("label");
    let uuid = server.create("virtual-network", vn).await;
    assert_eq!(server.read("virtual-network", &uuid).await["tag_refs"].as_array().unwrap().len(), 2);
    let group = json!({"fq_name": named("g"), "parent_type": "project", "tag_refs": [{"to": ["tier=web"]}]});
    server.no_create(400, "address-group", group, &["tier", "address_group"]).await;
    let web = server.id("tag", &["tier=web"]).await;
    let group = json!({"fq_name": named("g"), "parent_type": "project", "tag_refs": [{"to": ["label=web"]}]});
    server.create("address-group", group).await;
    let add = |to: &str| json!({"type": "virtual-network", "uuid": uuid, "ref-type": "tag", "ref-fq-name": [to], "operation": "ADD"});
    server.post("/ref-update", add("tier=web")).await;
    server.refused(400, Method::POST, "/ref-update", Some(add("tier=db"))).await;
    server.refused(409, Method::DELETE, &format!("/tag/{web}"), None).await;
}

async fn tags_of(server: &Server, vn: &str) -> BTreeSet<String> {
    let read = server.read("virtual-network", vn).await;
    let refs = read["tag_refs"].as_array().cloned().unwrap_or_default();
    refs.iter()
        .map(|r| {
            let parts: Vec<&str> = r["to"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
            parts.join(":")
        })
        .collect()
}

#[tokio::test]
async fn set_tag_adds_replaces_and_removes() {
    let server = Server::start().await;
    for (kind, value) in [("tier", "web"), ("tier", "db"), ("label", "a"), ("label", "b")] {
        server.create("tag", tag(kind, value)).await;
    }
    server.create("tag", project_tag("tier", "web")).await;
    let vn = server.create("virtual-network", json!({"fq_name": named("v")})).await;
    let body = |more: Value| {
        let mut body = json!({"obj_type": "virtual_network", "obj_uuid": vn});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let set = async |more: Value, expected: &[&str]| {
        assert_eq!(server.post("/set-tag", body(more)).await, json!({}));
        let expected: BTreeSet<String> = expected.iter().map(|e| (*e).to_owned()).collect();
        assert_eq!(tags_of(&server, &vn).await, expected);
    };
    let own = "default-domain:default-project:tier=web";
    set(json!({"tier": {"value": "web"}}), &[own]).await;
    set(json!({"tier": {"value": "db", "is_global": true}}), &["tier=db"]).await;
    let labels = json!({"label": {"is_global": true, "value": "a", "add_values": ["b"]}});
    set(labels, &["tier=db", "label=a", "label=b"]).await;
    set(json!({"label": {"delete_values": ["a"]}, "tier": null}), &["label=b"]).await;
    set(json!({"label": null}), &[]).await;
    for (status, more, says) in [
        (404, json!({"tier": {"value": "db"}}), "default-domain:default-project:tier=db"),
        (400, json!({"tier": {"add_values": ["db"], "is_global": true}}), "cannot be set multiple times"),
        (400, json!({"tier": {"is_global": true}}), "No valid value"),
        (400, json!({"tier": {"value": ["db"]}}), "No valid value"),
        (400, json!({"tier": 5}), "tier"),
    ] {
        let text = server.refused(status, Method::POST, "/set-tag", Some(body(more))).await;
        assert!(text.contains(says), "{text}");
    }
    server.refused(400, Method::POST, "/set-tag", Some(json!({"obj_uuid": vn}))).await;
    let other = json!({"obj_type": "virtual-network", "obj_uuid": "00000000-0000-4000-8000-000000000000"});
    server.refused(404, Method::POST, "/set-tag", Some(other)).await;
    let group = json!({"fq_name": named("g"), "parent_type": "project"});
    let group = server.create("address-group", group).await;
    let body =
        json!({"obj_type": "address-group", "obj_uuid": group, "tier": {"value": "db", "is_global": true}});
    let text = server.refused(400, Method::POST, "/set-tag", Some(body)).await;
    assert!(text.contains("address_group"), "{text}");
}
