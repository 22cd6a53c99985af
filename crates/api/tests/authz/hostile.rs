//! Side doors: names inside properties, identities that can be guessed, drafts, and limits of one's own.

use crate::people::{World, fq, id, json_of, perms};
use reqwest::Method;
use serde_json::{Value, json};
use weft_model::{FqName, ObjectType, derived_uuid};

/// Somebody asks the same about something secret and something absent: the answers differ in no other word than those.
async fn alike(world: &World, who: &str, method: Method, asked: [(String, Value); 2], words: [&str; 2]) {
    let mut answers = Vec::new();
    for ((path, body), word) in asked.iter().zip(words) {
        let body = (!body.is_null()).then(|| body.clone());
        let (status, text) = world.ask(who, method.clone(), path, body).await;
        answers.push((status, text.replace(word, "*")));
    }
    assert_eq!(answers[0], answers[1], "{who} {method} {} {}", asked[0].0, asked[0].1);
    assert!(answers[0].0 >= 400, "{who} {method} {}: {:?}", asked[0].0, answers[0]);
}

fn in_project(project: &str, name: &str, more: Value) -> Value {
    let mut fields = json!({"fq_name": fq(project, name), "parent_type": "project"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

fn rule(project: &str, name: &str, end: Value) -> Value {
    let more = json!({"service": {"protocol": "tcp"}, "direction": ">", "endpoint_1": end,
        "endpoint_2": {"any": true}});
    in_project(project, name, more)
}

#[tokio::test]
async fn names_in_properties_find_nothing_that_is_not_shared() {
    let world = World::new().await;
    world.make("owner", "address-group", in_project("mine", "secret", json!({}))).await;
    world.network("owner", "mine", "secret", json!({})).await;
    world
        .make(
            "admin",
            "virtual-DNS",
            json!({"fq_name": ["default-domain", "secret"],
        "virtual_DNS_data": {"domain_name": "secret.example"}}),
        )
        .await;
    world
        .make(
            "admin",
            "tag",
            json!({"fq_name": ["tier=secret"], "tag_type_name": "tier", "tag_value": "secret"}),
        )
        .await;
    let ends: [fn(&str) -> Value; 3] = [
        |name| json!({"address_group": format!("default-domain:mine:{name}")}),
        |name| json!({"virtual_network": format!("default-domain:mine:{name}")}),
        |name| json!({"tags": [format!("global:tier={name}")]}),
    ];
    let words = ["secret", "absent"];
    for end in ends {
        let asked = words
            .map(|w| ("/firewall-rules".to_owned(), json!({"firewall-rule": rule("other", "spy", end(w))})));
        alike(&world, "other", Method::POST, asked, words).await;
        // The same in an update of what is one's own.
        let own = world.make("other", "firewall-rule", rule("other", "own", json!({"any": true}))).await;
        let change = |w: &str| json!({"firewall-rule": {"endpoint_1": end(w)}});
        let asked = words.map(|w| (format!("/firewall-rule/{own}"), change(w)));
        alike(&world, "other", Method::PUT, asked, words).await;
        assert_eq!(world.delete("other", "firewall-rule", &own).await.0, 200);
    }
    let ipam = |w: &str| {
        in_project(
            "other",
            "spy",
            json!({"network_ipam_mgmt": {
        "ipam_dns_method": "virtual-dns-server",
        "ipam_dns_server": {"virtual_dns_server_name": format!("default-domain:{w}")}}}),
        )
    };
    let asked = words.map(|w| ("/network-ipams".to_owned(), json!({"network-ipam": ipam(w)})));
    alike(&world, "other", Method::POST, asked, words).await;
}

#[tokio::test]
async fn names_in_properties_find_what_is_shared_or_held() {
    let world = World::new().await;
    let mut group = perms(1, 0);
    group["fq_name"] = fq("mine", "group");
    group["parent_type"] = json!("project");
    let group = world.make("owner", "address-group", group).await;
    let end = json!({"address_group": "default-domain:mine:group"});
    let spied = world.make("friend", "firewall-rule", rule("friend", "r", end.clone())).await;
    assert_eq!(world.create("other", "firewall-rule", rule("other", "r", end.clone())).await.0, 404);
    // What is held stays when the share is taken back.
    let close = json!({"perms2": {"owner": id("mine"), "owner_access": 7, "global_access": 0, "share": []}});
    assert_eq!(world.put("owner", "address-group", &group, close).await.0, 200);
    let change = json!({"endpoint_1": end, "direction": "<>"});
    let (status, text) = world.put("friend", "firewall-rule", &spied, change).await;
    assert_eq!(status, 200, "{text}");
    // Who is in the way of the owner is not named.
    let (status, text) = world.delete("owner", "address-group", &group).await;
    assert_eq!(status, 409, "{text}");
    assert!(!text.contains(&spied) && !text.contains("friend"), "{text}");
    // Nor where deletions are drafted.
    let draft = json!({"enable_security_policy_draft": true});
    assert_eq!(world.put("admin", "project", &id("mine").to_string(), draft).await.0, 200);
    let (status, text) = world.delete("owner", "address-group", &group).await;
    assert_eq!(status, 409, "{text}");
    assert!(!text.contains(&spied) && !text.contains("friend"), "{text}");
}

#[tokio::test]
async fn what_others_have_is_not_deleted_by_way_of_drafts() {
    let world = World::new().await;
    let uuid = world.make("owner", "firewall-rule", rule("mine", "r", json!({"any": true}))).await;
    let draft = json!({"enable_security_policy_draft": true});
    assert_eq!(world.put("admin", "project", &id("mine").to_string(), draft).await.0, 200);
    for who in ["other", "friend", "abroad", "nobody", "auditor"] {
        let (status, text) = world.delete(who, "firewall-rule", &uuid).await;
        assert_eq!(status, 403, "{who}: {text}");
        let (status, text) = world.put(who, "firewall-rule", &uuid, json!({"direction": "<>"})).await;
        assert_eq!(status, 403, "{who}: {text}");
    }
    let body = json!({"scope_uuid": id("mine"), "action": "commit"});
    assert_eq!(world.post("other", "/security-policy-draft", body).await.0, 403);
    assert_eq!(
        world.listed("admin", "/firewall-rules").await,
        std::slice::from_ref(&uuid),
        "no draft was left"
    );
    assert_eq!(world.delete("owner", "firewall-rule", &uuid).await.0, 202);
}

#[tokio::test]
async fn identities_that_follow_from_names_tell_nothing_of_the_names() {
    let world = World::new().await;
    world.network("owner", "mine", "secret", json!({})).await;
    let own = world.network("other", "other", "own", json!({})).await;
    let guess = |w: &str| {
        let name = FqName::new(["default-domain", "mine", w, w]);
        derived_uuid(ObjectType::RoutingInstance, &name).to_string()
    };
    let there = guess("secret");
    assert_eq!(world.get("owner", &format!("/routing-instance/{there}")).await.0, 200, "a good guess");
    let guesses = [there, guess("absent")];
    let words = [guesses[0].as_str(), guesses[1].as_str()];
    let paths = [
        (Method::GET, "/routing-instance/*"),
        (Method::GET, "/routing-instance/*?fields=virtual_network_back_refs"),
        (Method::PUT, "/routing-instance/*"),
        (Method::DELETE, "/routing-instance/*"),
        (Method::GET, "/prop-collection-get?uuid=*&fields=annotations"),
        (Method::GET, "/virtual-network/*"),
    ];
    for (method, path) in paths {
        let asked = words.map(|w| (path.replace('*', w), Value::Null));
        alike(&world, "other", method, asked, words).await;
    }
    let set = json!([{"field": "annotations", "operation": "set", "value": {"key": "a", "value": "b"}}]);
    let bodies = [
        ("/id-to-fqname", json!({"uuid": "*"})),
        ("/prop-collection-update", json!({"uuid": "*", "updates": set})),
        ("/ref-relax-for-delete", json!({"uuid": "*", "ref-uuid": own})),
        ("/ref-relax-for-delete", json!({"uuid": own, "ref-uuid": "*"})),
        ("/chmod", json!({"uuid": "*", "global_access": 7})),
        ("/chown", json!({"uuid": "*", "owner": id("other")})),
        ("/set-tag", json!({"obj_type": "routing-instance", "obj_uuid": "*", "tier": null})),
        (
            "/ref-update",
            json!({"type": "routing-instance", "uuid": "*", "ref-type": "route-target",
            "operation": "ADD", "ref-fq-name": ["target:1:1"]}),
        ),
        (
            "/bgp-routers",
            json!({"bgp-router": {"fq_name": ["default-domain", "mine", "x", "x", "r"],
            "parent_type": "routing-instance", "parent_uuid": "*"}}),
        ),
    ];
    for (path, body) in bodies {
        let body = body.to_string();
        let asked = words.map(|w| (path.to_owned(), serde_json::from_str(&body.replace('*', w)).unwrap()));
        alike(&world, "other", Method::POST, asked, words).await;
    }
    for w in words {
        let (status, text) = world.get("other", &format!("/obj-perms?uuid={w}")).await;
        assert_eq!((status, &json_of(&text)["permissions"]), (200, &json!("")));
        assert!(world.listed("other", &format!("/routing-instances?obj_uuids={w}")).await.is_empty());
    }
}

#[tokio::test]
async fn nobody_raises_the_limits_of_the_own_project() {
    let world = World::new().await;
    let mine = id("mine").to_string();
    assert_eq!(world.put("admin", "project", &mine, json!({"quota": {"virtual_network": 1}})).await.0, 200);
    world.network("owner", "mine", "first", json!({})).await;
    for quota in [json!({"virtual_network": -1}), json!({"defaults": -1}), Value::Null] {
        let (status, text) = world.put("owner", "project", &mine, json!({"quota": quota})).await;
        assert_eq!(status, 403, "{quota}: {text}");
    }
    // Everything else of the project is its own; the limit may be sent back as it is.
    let same = json!({"quota": {"virtual_network": 1}, "display_name": "ours"});
    let (status, text) = world.put("owner", "project", &mine, same).await;
    assert_eq!(status, 200, "{text}");
    let second = json!({"fq_name": fq("mine", "second"), "parent_type": "project"});
    assert_eq!(world.create("owner", "virtual-network", second).await.0, 412);
}
