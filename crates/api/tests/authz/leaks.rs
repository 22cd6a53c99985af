//! Somebody who tries hard to learn of objects that are not shared: answers about what is there and about what is not
//! must look the same, and no answer names what the request did not.

use crate::people::{World, fq, id, json_of, perms};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A secret of the owner: policy, network with a port, and what would give them away.
struct Secret {
    policy: String,
    network: String,
    port: String,
}

impl Secret {
    async fn new(world: &World) -> Self {
        let named = |name: &str| json!({"fq_name": fq("mine", name), "parent_type": "project"});
        let policy = world.make("owner", "network-policy", named("secret-policy")).await;
        let network = world.network("owner", "mine", "secret-network", json!({})).await;
        let mut port = named("secret-port");
        port["virtual_network_refs"] = json!([{"uuid": network}]);
        let port = world.make("owner", "virtual-machine-interface", port).await;
        Self { policy, network, port }
    }

    fn check(&self, text: &str, asked: &str) {
        for word in [&self.policy, &self.network, &self.port, "secret-"] {
            assert!(asked.contains(word) || !text.contains(word), "{asked} tells {word}: {text}");
        }
    }
}

/// The same request about something secret and about something that is not there.
async fn same(world: &World, secret: &Secret, method: Method, path: (&str, &str), body: (Value, Value)) {
    let some = |body: Value| (!body.is_null()).then_some(body);
    let there = world.ask("other", method.clone(), path.0, some(body.0.clone())).await;
    let absent = world.ask("other", method, path.1, some(body.1.clone())).await;
    let asked = format!("{} {}", path.0, body.0);
    secret.check(&there.1, &asked);
    assert_eq!(there.0, absent.0, "{asked}: {} / {}", there.1, absent.1);
    let neutral =
        |text: &str, from: &[&str]| from.iter().fold(text.to_owned(), |t, word| t.replace(word, "*"));
    assert_eq!(
        neutral(&there.1, &["secret-policy", "secret-network", &secret.policy, &secret.network]),
        neutral(&absent.1, &["absent-policy", "absent-network", &absent_uuid()]),
        "{asked}"
    );
}

fn absent_uuid() -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"absent").to_string()
}

#[tokio::test]
async fn names_say_nothing_about_what_is_not_shared() {
    let world = World::new().await;
    let secret = Secret::new(&world).await;
    let name = |name: &str| json!({"type": "network-policy", "fq_name": fq("mine", name)});
    same(
        &world,
        &secret,
        Method::POST,
        ("/fqname-to-id", "/fqname-to-id"),
        (name("secret-policy"), name("absent-policy")),
    )
    .await;
    let uuid = |uuid: &str| json!({"uuid": uuid});
    let ids = (uuid(&secret.policy), uuid(&absent_uuid()));
    same(&world, &secret, Method::POST, ("/id-to-fqname", "/id-to-fqname"), ids).await;
    // References and parents by name.
    let network = |policy: &str| {
        json!({"virtual-network": {"fq_name": fq("other", "spy"), "parent_type": "project",
            "network_policy_refs": [{"to": fq("mine", policy), "attr": {}}]}})
    };
    let bodies = (network("secret-policy"), network("absent-policy"));
    same(&world, &secret, Method::POST, ("/virtual-networks", "/virtual-networks"), bodies).await;
    let pool =
        |network: &str| json!({"floating-ip-pool": {"fq_name": ["default-domain", "mine", network, "spy"]}});
    let bodies = (pool("secret-network"), pool("absent-network"));
    same(&world, &secret, Method::POST, ("/floating-ip-pools", "/floating-ip-pools"), bodies).await;
    let own = world.network("other", "other", "own", json!({})).await;
    let update = |policy: &str| {
        json!({"type": "virtual-network", "uuid": own, "ref-type": "network-policy", "operation": "ADD",
            "ref-fq-name": fq("mine", policy)})
    };
    let bodies = (update("secret-policy"), update("absent-policy"));
    same(&world, &secret, Method::POST, ("/ref-update", "/ref-update"), bodies).await;
    let by_uuid = |operation: &str, uuid: &str| json!({"type": "virtual-network", "uuid": own, "ref-type": "network-policy", "operation": operation, "ref-uuid": uuid});
    let bodies = (by_uuid("DELETE", &secret.policy), by_uuid("DELETE", &absent_uuid()));
    same(&world, &secret, Method::POST, ("/ref-update", "/ref-update"), bodies).await;
    let relax = |uuid: &str| json!({"uuid": own, "ref-uuid": uuid});
    let bodies = (relax(&secret.policy), relax(&absent_uuid()));
    same(&world, &secret, Method::POST, ("/ref-relax-for-delete", "/ref-relax-for-delete"), bodies).await;
}

#[tokio::test]
async fn lists_say_nothing_about_what_is_not_shared() {
    let world = World::new().await;
    let secret = Secret::new(&world).await;
    let absent = absent_uuid();
    for (there, absent) in [
        (format!("obj_uuids={}", secret.network), format!("obj_uuids={absent}")),
        (
            "fq_names=default-domain:mine:secret-network".into(),
            "fq_names=default-domain:mine:absent-network".into(),
        ),
        (format!("parent_id={}", id("mine")), format!("parent_id={absent}")),
        ("parent_fq_name_str=default-domain:mine".into(), "parent_fq_name_str=default-domain:absent".into()),
        (format!("back_ref_id={}", secret.policy), format!("back_ref_id={absent}")),
        (
            "filters=display_name==%22secret-network%22".into(),
            "filters=display_name==%22absent-network%22".into(),
        ),
        (format!("obj_uuids={}&count=true", secret.network), format!("obj_uuids={absent}&count=true")),
        (
            format!("obj_uuids={}&page_limit=1&page_marker=", secret.network),
            format!("obj_uuids={absent}&page_limit=1&page_marker="),
        ),
    ] {
        for shared in ["", "&shared=true", "&detail=true", "&fields=virtual_machine_interface_back_refs"] {
            let paths =
                (format!("/virtual-networks?{there}{shared}"), format!("/virtual-networks?{absent}{shared}"));
            same(&world, &secret, Method::GET, (&paths.0, &paths.1), (Value::Null, Value::Null)).await;
        }
    }
}

#[tokio::test]
async fn refusals_by_uuid_name_nothing_but_the_uuid() {
    let world = World::new().await;
    let secret = Secret::new(&world).await;
    let at = format!("/network-policy/{}", secret.policy);
    let body = json!({"network-policy": {"display_name": "mine now"}});
    let network = &secret.network;
    for (method, path, body) in [
        (Method::GET, at.clone(), None),
        (Method::PUT, at.clone(), Some(body)),
        (Method::DELETE, at.clone(), None),
        (Method::GET, format!("/obj-perms?uuid={}", secret.policy), None),
        (Method::POST, "/chmod".into(), Some(json!({"uuid": secret.policy, "global_access": 7}))),
        (Method::POST, "/chown".into(), Some(json!({"uuid": secret.policy, "owner": id("other")}))),
        (Method::GET, format!("/prop-collection-get?uuid={}&fields=annotations", secret.policy), None),
        (
            Method::POST,
            "/prop-collection-update".into(),
            Some(json!({"uuid": secret.policy, "updates": [{"field": "annotations", "operation": "set",
                "position": "k", "value": {"key": "k", "value": "v"}}]})),
        ),
        (Method::POST, format!("/virtual-network/{network}/ip-alloc"), Some(json!({"count": 1}))),
        (Method::POST, format!("/virtual-network/{network}/ip-free"), Some(json!({"ip_addr": ["10.0.0.3"]}))),
        (
            Method::POST,
            format!("/virtual-network/{network}/subnet-ip-count"),
            Some(json!({"subnet_list": []})),
        ),
    ] {
        let asked = format!("{path} {body:?}");
        let (status, text) = world.ask("other", method, &path, body).await;
        let fine = if path.starts_with("/obj-perms") { 200 } else { 403 };
        assert_eq!(status, fine, "{asked}: {text}");
        secret.check(&text, &asked);
        assert!(
            !text.contains(&id("mine").to_string()) && !text.contains(&id("mine").as_simple().to_string()),
            "{text}"
        );
    }
    let untouched = world.read("owner", "network-policy", &secret.policy).await;
    assert_eq!(untouched["display_name"], "secret-policy");
}

#[tokio::test]
async fn conflicts_do_not_name_what_is_in_the_way() {
    let world = World::new().await;
    let secret = Secret::new(&world).await;
    // A uuid somebody else has.
    let taken = json!({"fq_name": fq("other", "x"), "uuid": secret.policy});
    let (status, text) = world.create("other", "network-policy", taken).await;
    assert_eq!(status, 409);
    assert!(!text.contains("network-policy"), "of which type: {text}");
    // A name at the root that somebody else has.
    let machine = world.make("owner", "virtual-machine", json!({"fq_name": ["machine"]})).await;
    let (status, text) = world.create("other", "virtual-machine", json!({"fq_name": ["machine"]})).await;
    assert_eq!(status, 409);
    assert!(!text.contains(&machine), "{text}");
    // A port of somebody else that keeps a shared network from being deleted.
    let shared = world.network("other", "other", "shared", json!({"is_shared": true})).await;
    let port = |project: &str| json!({"fq_name": fq(project, "p"), "parent_type": "project", "virtual_network_refs": [{"uuid": shared}]});
    let theirs = world.make("owner", "virtual-machine-interface", port("mine")).await;
    let (status, text) = world.delete("other", "virtual-network", &shared).await;
    assert_eq!(status, 409);
    assert!(!text.contains(&theirs), "{text}");
    let own = world.make("other", "virtual-machine-interface", port("other")).await;
    let (_, text) = world.delete("other", "virtual-network", &shared).await;
    assert!(!text.contains(&theirs) && text.contains(&own), "{text}");
    let (_, text) = world.delete("admin", "virtual-network", &shared).await;
    assert!(text.contains(&theirs) && text.contains(&own), "{text}");
    secret.check(&text, "");
}

#[tokio::test]
async fn unknown_doors_are_closed_and_unknown_people_stay_outside() {
    let world = World::new().await;
    for path in ["/obj-cache", "/db-check", "/fetch-records", "/execute-job", "/neutron/network", "/x/y/z"] {
        let (status, _) = world.post("other", path, json!({})).await;
        assert_eq!(status, 403, "{path}");
    }
    for path in ["/virtual-networks", "/", "/aaa-mode", "/fqname-to-id"] {
        let (status, text) = world.get("a stranger", path).await;
        assert_eq!(status, 401, "{path}: {text}");
    }
    assert_eq!(world.get("nobody", "/").await.0, 200);
    // Headers that say who somebody is are nobody's word.
    let mut spoof = world.request("nobody", Method::GET, "/virtual-networks");
    for (name, value) in
        [("X-Role", "admin"), ("X-API-ROLE", "admin"), ("X-Roles", "admin"), ("X-Project-Id", "x")]
    {
        spoof = spoof.header(name, value);
    }
    assert_eq!(spoof.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_reference_by_uuid_needs_the_link_bit_and_held_ones_stay() {
    let world = World::new().await;
    let mut fields = perms(5, 0);
    fields["fq_name"] = fq("mine", "policy");
    let policy = world.make("owner", "network-policy", fields).await;
    let reference = json!([{"uuid": policy, "attr": {"sequence": {"major": 1, "minor": 0}}}]);
    let network = world.network("friend", "friend", "net", json!({"network_policy_refs": reference})).await;
    assert_eq!(world.post("owner", "/chmod", json!({"uuid": policy, "share": []})).await.0, 200);
    // The reference is there and may stay, but is not shown, and no new one can be made.
    let (status, text) =
        world.put("friend", "virtual-network", &network, json!({"network_policy_refs": reference})).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(world.read("friend", "virtual-network", &network).await.get("network_policy_refs"), None);
    let fields = json!({"fq_name": fq("friend", "second"), "network_policy_refs": reference});
    assert_eq!(world.create("friend", "virtual-network", fields).await.0, 403);
    let held = world.read("admin", "virtual-network", &network).await;
    assert_eq!(held["network_policy_refs"][0]["uuid"], json!(policy));
    let (_, text) = world.get("friend", &format!("/virtual-network/{network}")).await;
    assert!(json_of(&text)["virtual-network"].is_object() && !text.contains(&policy));
}
