//! Watches: what is shared with somebody is made, what is taken away is gone, and of the rest nothing is heard.

use crate::people::{World, json_of, perms, rule};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

struct Watch {
    response: Response,
    buffer: String,
}

impl Watch {
    async fn new(world: &World, who: &str, query: &str) -> Self {
        let path = format!("/watch?resource_type=virtual-network{query}");
        let response = world.request(who, Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, buffer: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                    return Some((event.to_owned(), json_of(data)));
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await.unwrap();
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    /// The next change: its kind and the name of the network.
    async fn change(&mut self) -> (String, String) {
        let (event, data) = self.next().await.unwrap();
        let name = data["virtual-network"]["fq_name"][2].as_str().unwrap().to_owned();
        (event, name)
    }
}

fn said(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn sharing_makes_and_taking_back_deletes() {
    let world = World::new().await;
    let private = world.network("owner", "mine", "private", json!({})).await;
    let shared = world.network("owner", "mine", "shared", perms(4, 0)).await;
    let mut watch = Watch::new(&world, "friend", "").await;
    let (event, data) = watch.next().await.unwrap();
    assert_eq!(event, "init");
    let shown: Vec<&str> = data["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["virtual-network"]["uuid"].as_str().unwrap())
        .collect();
    assert_eq!(shown, [shared.as_str()]);

    let share = |uuid: &str, access: Option<u64>| {
        let tenant = crate::people::id("friend");
        let list: Vec<Value> = access.iter().map(|a| json!({"tenant": tenant, "tenant_access": a})).collect();
        json!({"uuid": uuid, "share": list})
    };
    let changes = async {
        // Not heard of: changes of what is not shared.
        assert_eq!(
            world.put("owner", "virtual-network", &private, json!({"display_name": "a"})).await.0,
            200
        );
        let gone = world.network("owner", "mine", "never seen", json!({})).await;
        assert_eq!(world.delete("owner", "virtual-network", &gone).await.0, 200);
        // Shared, changed, no longer shared, changed, shared again, deleted.
        assert_eq!(world.post("owner", "/chmod", share(&private, Some(4))).await.0, 200);
        assert_eq!(
            world.put("owner", "virtual-network", &private, json!({"display_name": "b"})).await.0,
            200
        );
        assert_eq!(world.post("owner", "/chmod", share(&private, Some(1))).await.0, 200);
        assert_eq!(
            world.put("owner", "virtual-network", &private, json!({"display_name": "c"})).await.0,
            200
        );
        assert_eq!(world.post("owner", "/chmod", share(&private, Some(7))).await.0, 200);
        assert_eq!(world.delete("owner", "virtual-network", &private).await.0, 200);
        world.network("friend", "friend", "own", json!({})).await;
        assert_eq!(world.delete("owner", "virtual-network", &shared).await.0, 200);
    };
    changes.await;
    for wanted in [
        said("CREATE", "private"),
        said("UPDATE", "private"),
        said("DELETE", "private"),
        said("CREATE", "private"),
        said("DELETE", "private"),
        said("CREATE", "own"),
        said("DELETE", "shared"),
    ] {
        assert_eq!(watch.change().await, wanted);
    }
}

#[tokio::test]
async fn references_to_what_is_not_shared_are_left_out_of_events() {
    let world = World::new().await;
    let mut watch = Watch::new(&world, "friend", "").await;
    let mut everything = Watch::new(&world, "admin", "").await;
    assert_eq!(watch.next().await.unwrap().0, "init");
    assert_eq!(everything.next().await.unwrap().0, "init");
    let policy = json!({"fq_name": crate::people::fq("mine", "policy"), "parent_type": "project"});
    let policy = world.make("owner", "network-policy", policy).await;
    let mut fields = perms(4, 0);
    fields["network_policy_refs"] = json!([{"uuid": policy, "attr": {}}]);
    world.network("owner", "mine", "net", fields).await;
    let (_, data) = watch.next().await.unwrap();
    assert!(!data.to_string().contains(&policy), "{data}");
    let (_, data) = everything.next().await.unwrap();
    assert!(data.to_string().contains(&policy), "{data}");
}

#[tokio::test]
async fn one_of_limited_sight_that_comes_back_starts_over() {
    let world = World::new().await;
    world.network("owner", "mine", "private", json!({})).await;
    let revision = world.state.store().revision().await.unwrap();
    let mut watch = Watch::new(&world, "friend", &format!("&revision={revision}")).await;
    assert_eq!(watch.next().await.unwrap().0, "RESYNC");
    let (event, data) = watch.next().await.unwrap();
    assert_eq!((event.as_str(), data["objects"].as_array().unwrap().len()), ("init", 0));
}

#[tokio::test]
async fn a_watch_ends_when_it_is_to_be_decided_anew_who_may_watch() {
    let world = World::new().await;
    let mut friend = Watch::new(&world, "friend", "").await;
    let mut admin = Watch::new(&world, "admin", "").await;
    assert_eq!(friend.next().await.unwrap().0, "init");
    assert_eq!(admin.next().await.unwrap().0, "init");
    world.rules("no more networks", json!([rule("virtual-network", "", "boss", "R")])).await;
    world.network("admin", "mine", "net", perms(7, 7)).await;
    assert_eq!(admin.change().await, said("CREATE", "net"));
    assert_eq!(friend.next().await, None, "the rules are others now");
    assert_eq!(world.get("friend", "/watch?resource_type=virtual-network").await.0, 403);
}
