//! Many watchers at once: fast ones, a deaf one, ones that come back; all end with what the store has.

use crate::harness::Server;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Watchers at the same time.
const WATCHERS: usize = 300;
/// Objects that change.
const OBJECTS: usize = 40;
/// Changes of each.
const ROUNDS: usize = 20;

/// What a client makes of a stream of events.
#[derive(Default)]
struct Replica {
    objects: BTreeMap<String, Value>,
    last_id: Option<u64>,
    counts: BTreeMap<String, usize>,
    buffer: String,
}

impl Replica {
    /// Takes bytes in; checks that nothing is told twice.
    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.push_str(std::str::from_utf8(bytes).unwrap());
        while let Some(end) = self.buffer.find("\n\n") {
            let block: String = self.buffer.drain(..end + 2).collect();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                self.event(event, serde_json::from_str(data).unwrap());
            }
            if let Some(id) = field("id:") {
                let id = id.parse().unwrap();
                assert!(self.last_id < Some(id), "revision {id} after {:?}", self.last_id);
                self.last_id = Some(id);
            }
        }
    }

    fn event(&mut self, event: &str, data: Value) {
        *self.counts.entry(event.to_owned()).or_default() += 1;
        match event {
            "init" => {
                for object in data["objects"].as_array().unwrap() {
                    let object = &object["virtual-machine"];
                    self.objects.insert(object["uuid"].as_str().unwrap().to_owned(), object.clone());
                }
            }
            "RESYNC" => {
                self.objects.clear();
                self.last_id = None;
            }
            "CREATE" | "UPDATE" => {
                let object = data["virtual-machine"].clone();
                let uuid = object["uuid"].as_str().unwrap().to_owned();
                let old = self.objects.insert(uuid.clone(), object.clone());
                assert_eq!(old.is_none(), event == "CREATE", "{event} of {uuid}");
                let number = |o: &Value| -> usize {
                    o["display_name"].as_str().unwrap().trim_start_matches('n').parse().unwrap_or(0)
                };
                // Every object counts its changes: none may be missing, none may come twice.
                if let Some(old) = old {
                    assert_eq!(number(&object), number(&old) + 1, "{uuid}");
                }
            }
            "DELETE" => {
                let uuid = data["virtual-machine"]["uuid"].as_str().unwrap();
                assert!(self.objects.remove(uuid).is_some(), "DELETE of unknown {uuid}");
            }
            other => panic!("unknown event {other}"),
        }
    }

    /// Reads until the end marker has come.
    async fn read_to_end(&mut self, response: &mut reqwest::Response) {
        let over = |replica: &Self| replica.objects.values().any(|o| o["fq_name"][0] == "the-end");
        while !over(self) {
            let chunk = tokio::time::timeout(Duration::from_secs(60), response.chunk()).await;
            self.feed(&chunk.unwrap().unwrap().expect("the stream ended"));
        }
    }

    /// Reads until at least this revision was told.
    async fn read_until(&mut self, response: &mut reqwest::Response, revision: u64) {
        while self.last_id.is_none_or(|id| id < revision) {
            let chunk = tokio::time::timeout(Duration::from_secs(60), response.chunk()).await;
            self.feed(&chunk.unwrap().unwrap().expect("the stream ended"));
        }
    }
}

async fn watch(server: &Server, query: &str) -> reqwest::Response {
    let url = format!("{}/watch?resource_type=virtual-machine{query}", server.url);
    let response = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Changes every object many times; some come and go.
async fn churn(server: &Server, uuids: &[String]) {
    let mut work = FuturesUnordered::new();
    for (index, uuid) in uuids.iter().enumerate() {
        work.push(async move {
            for round in 1..=ROUNDS {
                server.put("virtual-machine", uuid, json!({"display_name": format!("n{round}")})).await;
                if round % 10 == 0 {
                    let name = format!("passing-{index}-{round}");
                    let passing = server.create("virtual-machine", json!({"fq_name": [name]})).await;
                    server.delete("virtual-machine", &passing).await;
                }
            }
        });
    }
    while work.next().await.is_some() {}
}

async fn truth(server: &Server) -> BTreeMap<String, Value> {
    let list = server.get("/virtual-machines?detail=true").await;
    let objects = list["virtual-machines"].as_array().unwrap().iter().map(|o| &o["virtual-machine"]);
    objects.map(|o| (o["uuid"].as_str().unwrap().to_owned(), o.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_watchers_end_with_what_the_store_has() {
    let server = Arc::new(Server::start().await);
    let mut uuids = Vec::new();
    for number in 0..OBJECTS {
        uuids.push(server.create("virtual-machine", json!({"fq_name": [format!("vm{number}")]})).await);
    }
    let start = server.store.revision().await.unwrap();
    let mut deaf = watch(&server, "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..WATCHERS {
        // Two views: each change is rendered twice, not three hundred times.
        let fields = if number % 2 == 0 { "" } else { "&virtual_machine_fields=display_name,server_type" };
        let mut response = watch(&server, fields).await;
        // The response begins before its snapshot is taken: a change made in between is in the snapshot and no event.
        let mut replica = Replica::default();
        replica.read_until(&mut response, start).await;
        assert_eq!(replica.objects.len(), OBJECTS);
        tasks.spawn(async move {
            replica.read_to_end(&mut response).await;
            replica
        });
    }
    churn(&server, &uuids).await;
    server.create("virtual-machine", json!({"fq_name": ["the-end"]})).await;
    let truth = truth(&server).await;
    assert_eq!(truth.len(), OBJECTS + 1);
    while let Some(replica) = tasks.join_next().await {
        let replica = replica.unwrap();
        assert_eq!(replica.counts["UPDATE"], OBJECTS * ROUNDS);
        assert_eq!(replica.counts["DELETE"], OBJECTS * ROUNDS / 10);
        assert_eq!(replica.objects, truth);
    }
    // Who has not listened until now has lost nothing, and who comes back from before the changes neither.
    let mut late = Replica::default();
    late.read_to_end(&mut deaf).await;
    assert_eq!(late.objects, truth);
    let mut back = Replica { objects: late.objects.clone(), ..Replica::default() };
    back.objects.retain(|uuid, _| uuids.contains(uuid));
    back.objects.values_mut().for_each(|o| o["display_name"] = json!("n0"));
    let mut response = watch(&server, &format!("&revision={start}")).await;
    back.read_to_end(&mut response).await;
    assert_eq!(back.objects, truth);
    assert_eq!((back.counts.get("init"), back.counts["UPDATE"]), (None, OBJECTS * ROUNDS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_come_while_others_write_miss_nothing() {
    let server = Arc::new(Server::start().await);
    let mut uuids = Vec::new();
    // More than a page of a snapshot.
    for number in 0..OBJECTS * 4 {
        let fields = json!({"fq_name": [format!("vm{number}")], "display_name": "n0"});
        uuids.push(server.create("virtual-machine", fields).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    let writer = Arc::clone(&server);
    let busy: Vec<String> = uuids.iter().step_by(4).cloned().collect();
    let writing = tokio::spawn(async move { churn(&writer, &busy).await });
    while !writing.is_finished() {
        let mut response = watch(&server, "").await;
        let mut replica = Replica::default();
        // Some part and come back to where they were.
        let now = server.store.revision().await.unwrap();
        let again = Arc::clone(&server);
        tasks.spawn(async move {
            if now % 2 == 0 {
                replica.read_until(&mut response, now).await;
                response = watch(&again, &format!("&revision={}", replica.last_id.unwrap())).await;
                replica.buffer.clear();
            }
            replica.read_to_end(&mut response).await;
            replica
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writing.await.unwrap();
    server.create("virtual-machine", json!({"fq_name": ["the-end"]})).await;
    let truth = truth(&server).await;
    assert!(tasks.len() > 3);
    while let Some(replica) = tasks.join_next().await {
        assert_eq!(replica.unwrap().objects, truth);
    }
}

#[tokio::test]
async fn what_can_not_be_resumed_starts_over_and_says_so() {
    let server = Server::start().await;
    server.create("virtual-machine", json!({"fq_name": ["the-end"]})).await;
    let truth = truth(&server).await;
    let mut replica = Replica::default();
    replica.objects.insert("gone".into(), json!({}));
    let mut response = watch(&server, "&revision=999999999").await;
    replica.read_to_end(&mut response).await;
    assert_eq!((replica.counts["RESYNC"], replica.counts["init"]), (1, 1));
    assert_eq!(replica.objects, truth);
    let text =
        server.refused(400, reqwest::Method::GET, "/watch?resource_type=domain&revision=x", None).await;
    assert!(text.contains("revision"), "{text}");
}
