//! `obj-perms`, `chown`, `chmod`, `useragent-kv`, addresses.

use crate::people::{World, fq, id, json_of, perms};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn permissions_of_a_user_are_told_in_letters() {
    let world = World::new().await;
    let uuid = world.network("owner", "mine", "net", perms(5, 0)).await;
    for (who, letters) in [
        ("admin", "RWX"),
        ("owner", "RWX"),
        ("friend", "RX"),
        ("abroad", "RX"),
        ("other", ""),
        ("auditor", "R"),
    ] {
        let path = format!("/obj-perms?uuid={uuid}");
        let answer =
            world.request("admin", Method::GET, &path).header("X-User-Token", who).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["permissions"], letters, "{who}: {answer}");
        assert_eq!(answer["is_cloud_admin_role"], who == "admin");
        assert_eq!(answer["is_global_read_only_role"], who == "auditor");
        assert_eq!(answer["token_info"]["token"]["user"]["name"], who);
        let (_, own) = world.get(who, &path).await;
        assert_eq!(json_of(&own)["permissions"], letters, "{who} about itself");
    }
    let stranger = world.request("admin", Method::GET, "/obj-perms").header("X-User-Token", "a stranger");
    assert_eq!(stranger.send().await.unwrap().status(), 401);
    assert_eq!(world.get("admin", "/obj-perms?uuid=nonsense").await.0, 400);
    let (status, text) = world.get("owner", "/obj-perms").await;
    assert_eq!((status, json_of(&text).get("permissions")), (200, None));
}

#[tokio::test]
async fn owners_give_their_objects_away_and_share_them() {
    let world = World::new().await;
    let uuid = world.network("owner", "mine", "net", json!({})).await;
    let give = |owner: Value| json!({"uuid": uuid, "owner": owner});
    assert_eq!(world.post("other", "/chown", give(json!(id("other")))).await.0, 403);
    for bad in [json!("cloud-admin"), json!(7), Value::Null, json!("{6ba7b812-9dad-11d1-80b4-00c04fd430c8}")]
    {
        assert_eq!(world.post("owner", "/chown", give(bad)).await.0, 400);
    }
    assert_eq!(world.post("owner", "/chown", json!({"owner": id("other")})).await.0, 400);
    assert_eq!(world.post("owner", "/chown", json!({"uuid": id("x"), "owner": id("other")})).await.0, 404);
    for (field, bad) in [
        ("owner_access", json!(8)),
        ("global_access", json!(-1)),
        ("global_access", json!("7")),
        ("owner", json!("me")),
        ("share", json!("x")),
        ("share", json!([{"tenant": "someone", "tenant_access": 7}])),
        ("share", json!([{"tenant": format!("role:{}", id("other")), "tenant_access": 7}])),
        ("share", json!([{"tenant": id("other"), "tenant_access": 9}])),
        ("share", json!([{"tenant": id("other")}])),
    ] {
        let (status, text) = world.post("owner", "/chmod", json!({"uuid": uuid, field: bad})).await;
        assert_eq!(status, 400, "{field} {bad}: {text}");
    }
    for tenant in [
        id("friend").to_string(),
        format!("tenant:{}", id("friend").as_simple()),
        format!("domain:{}", id("elsewhere")),
    ] {
        let share = json!({"uuid": uuid, "share": [{"tenant": tenant, "tenant_access": 4}]});
        assert_eq!(world.post("owner", "/chmod", share).await.0, 200);
        let who = if tenant.starts_with("domain") { "abroad" } else { "friend" };
        assert_eq!(world.get(who, &format!("/virtual-network/{uuid}")).await.0, 200, "{tenant}");
    }
    assert_eq!(world.get("friend", &format!("/virtual-network/{uuid}")).await.0, 403);
    assert_eq!(world.post("owner", "/chown", give(json!(id("other")))).await.0, 200);
    assert_eq!(world.get("owner", &format!("/virtual-network/{uuid}")).await.0, 403);
    let perms = world.read("other", "virtual-network", &uuid).await["perms2"].clone();
    assert_eq!(perms["owner"], id("other").as_simple().to_string());
}

#[tokio::test]
async fn keys_of_projects_are_apart() {
    let world = World::new().await;
    let ask = |operation: &str, key: &str| json!({"operation": operation, "key": key, "value": "secret"});
    assert_eq!(world.post("owner", "/useragent-kv", ask("STORE", "k")).await.0, 200);
    assert_eq!(world.post("admin", "/useragent-kv", ask("STORE", "a")).await.0, 200);
    assert_eq!(
        world.post("owner", "/useragent-kv", ask("RETRIEVE", "k")).await,
        (200, r#"{"value":"secret"}"#.into())
    );
    for (who, key) in [("other", "k"), ("other", "a"), ("admin", "k"), ("other", "../k")] {
        assert_eq!(world.post(who, "/useragent-kv", ask("RETRIEVE", key)).await.0, 404, "{who} {key}");
    }
    let all = json!({"operation": "RETRIEVE", "key": null});
    let (_, text) = world.post("other", "/useragent-kv", all.clone()).await;
    assert!(!text.contains("secret"), "{text}");
    let (_, text) = world.post("admin", "/useragent-kv", all).await;
    assert_eq!(json_of(&text)["value"].as_array().unwrap().len(), 1, "{text}");
    assert_eq!(world.post("other", "/useragent-kv", ask("DELETE", "k")).await.0, 200);
    assert_eq!(world.post("owner", "/useragent-kv", ask("RETRIEVE", "k")).await.0, 200);
}

#[tokio::test]
async fn addresses_taken_in_a_shared_network_are_given_back_by_who_took_them() {
    let world = World::new().await;
    let fields = json!({"is_shared": true, "network_ipam_refs": [{
        "to": ["default-domain", "default-project", "default-network-ipam"],
        "attr": {"ipam_subnets": [{"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24}}]},
    }]});
    let network = world.network("owner", "mine", "net", fields).await;
    let at = |action: &str| format!("/virtual-network/{network}/{action}");
    let (status, text) = world.post("other", &at("ip-alloc"), json!({"count": 2})).await;
    assert_eq!(status, 200, "{text}");
    let taken = json_of(&text)["ip_addr"].clone();
    assert_eq!(world.post("friend", &at("ip-free"), json!({"ip_addr": taken})).await.0, 409);
    assert_eq!(world.post("other", &at("ip-free"), json!({"ip_addr": [taken[0]]})).await.0, 200);
    assert_eq!(world.post("admin", &at("ip-free"), json!({"ip_addr": [taken[1]]})).await.0, 200);
    assert_eq!(world.create("other", "network-policy", json!({"fq_name": fq("other", "p")})).await.0, 200);
}
