//! What answers name beside the object they are about, derived objects, and objects users are not to see.

use crate::people::{World, fq, id, json_of, perms};
use serde_json::{Value, json};

fn uuids(object: &Value, field: &str) -> Vec<String> {
    let list = object[field].as_array().cloned().unwrap_or_default();
    list.iter().map(|item| item["uuid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn references_children_and_referrers_of_others_are_left_out() {
    let world = World::new().await;
    let secret = world
        .make("owner", "network-policy", json!({"fq_name": fq("mine", "secret"), "parent_type": "project"}))
        .await;
    let mut fields = perms(7, 0);
    fields["network_policy_refs"] = json!([{"uuid": secret, "attr": {"sequence": {"major": 0, "minor": 0}}}]);
    let network = world.network("owner", "mine", "seen", fields).await;
    let pool = |name: &str| json!({"fq_name": ["default-domain", "mine", "seen", name]});
    let hidden_pool = world.make("owner", "floating-ip-pool", pool("owner's")).await;
    let own_pool = world.make("friend", "floating-ip-pool", pool("friend's")).await;
    let port = |project: &str| {
        json!({"fq_name": fq(project, "port"), "parent_type": "project",
               "virtual_network_refs": [{"uuid": network}]})
    };
    let hidden_port = world.make("owner", "virtual-machine-interface", port("mine")).await;
    let own_port = world.make("friend", "virtual-machine-interface", port("friend")).await;

    let seen = world.read("friend", "virtual-network", &network).await;
    assert_eq!(seen.get("network_policy_refs"), None, "a reference to what may not be read");
    assert_eq!(uuids(&seen, "floating_ip_pools"), [own_pool.as_str()]);
    assert_eq!(uuids(&seen, "virtual_machine_interface_back_refs"), [own_port.as_str()]);
    for part in [&secret, &hidden_pool, &hidden_port] {
        assert!(!seen.to_string().contains(part.as_str()), "{seen}");
    }
    let (_, text) = world
        .get("friend", &format!("/virtual-network/{network}?fields=network_policy_refs,floating_ip_pools"))
        .await;
    assert!(!text.contains(&secret) && !text.contains(&hidden_pool) && text.contains(&own_pool), "{text}");
    let (_, text) = world.get("friend", "/virtual-networks?detail=true").await;
    assert!(text.contains(&network) && !text.contains(&secret), "{text}");

    let owners = world.read("owner", "virtual-network", &network).await;
    assert_eq!(uuids(&owners, "network_policy_refs"), [secret.as_str()]);
    assert_eq!(uuids(&owners, "virtual_machine_interface_back_refs"), [hidden_port.as_str()]);
    let mut all =
        uuids(&world.read("admin", "virtual-network", &network).await, "virtual_machine_interface_back_refs");
    all.sort();
    let mut both = vec![hidden_port, own_port];
    both.sort();
    assert_eq!(all, both);
}

#[tokio::test]
async fn derived_objects_follow_their_network() {
    let world = World::new().await;
    let open = world.network("owner", "mine", "open", perms(4, 0)).await;
    let closed = world.network("owner", "mine", "closed", json!({})).await;
    for (network, sees) in [(&open, true), (&closed, false)] {
        let name = if sees { "open" } else { "closed" };
        let instance = json!(["default-domain", "mine", name, name]);
        let asked = json!({"type": "routing-instance", "fq_name": instance});
        let (status, text) = world.post("owner", "/fqname-to-id", asked.clone()).await;
        assert_eq!(status, 200, "{text}");
        let uuid = json_of(&text)["uuid"].as_str().unwrap().to_owned();
        let (read, named, listed) = if sees { (200, 200, 1) } else { (404, 404, 0) };
        assert_eq!(world.get("friend", &format!("/routing-instance/{uuid}")).await.0, read);
        assert_eq!(world.post("friend", "/fqname-to-id", asked).await.0, named);
        assert_eq!(world.post("friend", "/id-to-fqname", json!({"uuid": uuid})).await.0, named);
        let under = format!("/routing-instances?parent_id={network}");
        assert_eq!(world.listed("friend", &under).await.len(), listed);
        let all = world.listed("friend", "/routing-instances").await;
        assert_eq!(all.contains(&uuid), sees, "{all:?}");
        assert_eq!(world.get("other", &format!("/routing-instance/{uuid}")).await.0, 404);
    }
    let seen = world.read("friend", "virtual-network", &open).await;
    assert_eq!(uuids(&seen, "routing_instances").len(), 1);
}

#[tokio::test]
async fn objects_users_are_not_to_see_do_not_exist_for_them() {
    let world = World::new().await;
    let hidden =
        json!({"id_perms": {"user_visible": false}, "perms2": {"owner": id("mine"), "global_access": 7}});
    let uuid = world.network("admin", "mine", "hidden", hidden.clone()).await;
    for who in ["owner", "other", "auditor"] {
        assert_eq!(world.get(who, &format!("/virtual-network/{uuid}")).await.0, 404, "{who}");
        assert_eq!(world.post(who, "/id-to-fqname", json!({"uuid": uuid})).await.0, 404);
        assert!(!world.listed(who, "/virtual-networks").await.contains(&uuid), "{who}");
    }
    assert_eq!(world.put("owner", "virtual-network", &uuid, json!({"display_name": "x"})).await.0, 404);
    assert_eq!(world.delete("owner", "virtual-network", &uuid).await.0, 404);
    assert_eq!(world.get("admin", &format!("/virtual-network/{uuid}")).await.0, 200);
    let mut fields = hidden;
    fields["fq_name"] = fq("mine", "by a user");
    assert_eq!(world.create("owner", "virtual-network", fields).await.0, 400);
    let own = world.network("owner", "mine", "own", json!({})).await;
    let hide = json!({"id_perms": {"user_visible": false}});
    assert_eq!(world.put("owner", "virtual-network", &own, hide).await.0, 400);
}

#[tokio::test]
async fn those_who_may_read_everything_write_nothing() {
    let world = World::new().await;
    let uuid = world.network("owner", "mine", "net", json!({})).await;
    assert_eq!(world.get("auditor", &format!("/virtual-network/{uuid}")).await.0, 200);
    assert!(world.listed("auditor", "/virtual-networks").await.contains(&uuid));
    assert!(world.listed("auditor", "/routing-instances").await.len() > 1);
    assert_eq!(world.put("auditor", "virtual-network", &uuid, json!({"display_name": "x"})).await.0, 403);
    assert_eq!(world.delete("auditor", "virtual-network", &uuid).await.0, 403);
    let (status, text) =
        world.create("auditor", "network-policy", json!({"fq_name": fq("other", "p")})).await;
    assert_eq!(status, 403, "{text}");
}

#[tokio::test]
async fn sharing_a_network_says_the_same_in_both_forms() {
    let world = World::new().await;
    let access =
        |network: &Value| (network["is_shared"] == true, network["perms2"]["global_access"].as_u64());
    let uuid = world.network("owner", "mine", "net", json!({"is_shared": true})).await;
    assert_eq!(access(&world.read("other", "virtual-network", &uuid).await), (true, Some(7)));
    assert_eq!(world.put("owner", "virtual-network", &uuid, json!({"is_shared": false})).await.0, 200);
    assert_eq!(access(&world.read("owner", "virtual-network", &uuid).await), (false, Some(0)));
    assert_eq!(world.get("other", &format!("/virtual-network/{uuid}")).await.0, 403);
    assert_eq!(world.put("owner", "virtual-network", &uuid, json!({"router_external": true})).await.0, 200);
    assert_eq!(access(&world.read("other", "virtual-network", &uuid).await), (false, Some(5)));
    let both = json!({"is_shared": true, "perms2": {"owner": id("mine"), "global_access": 0}});
    assert_eq!(world.put("owner", "virtual-network", &uuid, both).await.0, 400);
    assert_eq!(world.post("owner", "/chmod", json!({"uuid": uuid, "global_access": 7})).await.0, 200);
    assert_eq!(access(&world.read("other", "virtual-network", &uuid).await), (true, Some(7)));
    // What all may do does not let all decide who may.
    assert_eq!(world.put("other", "virtual-network", &uuid, json!({"display_name": "x"})).await.0, 200);
    assert_eq!(world.put("other", "virtual-network", &uuid, json!({"is_shared": false})).await.0, 403);
    let take = json!({"perms2": {"owner": id("other")}});
    assert_eq!(world.put("other", "virtual-network", &uuid, take).await.0, 403);
    assert_eq!(world.post("other", "/chown", json!({"uuid": uuid, "owner": id("other")})).await.0, 403);
    // Writing back what was read is no change.
    let whole = world.read("other", "virtual-network", &uuid).await;
    let (status, text) = world.put("other", "virtual-network", &uuid, whole).await;
    assert_eq!(status, 200, "{text}");
    let external = world.network("owner", "mine", "external", json!({"router_external": true})).await;
    assert_eq!(access(&world.read("other", "virtual-network", &external).await), (false, Some(5)));
}
