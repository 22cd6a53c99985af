//! What the clients do, and the log of what they saw.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Choices;

/// Names that are fought for.
const NAMES: u64 = 4;
/// Policies that are attached to and detached from the hub.
const POLICIES: u64 = 4;
/// Addresses of the pool: a /27 without network, broadcast, gateway and service address.
pub(crate) const ADDRESSES: usize = 28;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// Addresses one client holds at most.
const HELD: usize = 4;

/// What somebody did and saw. What happened is unknown where the answer was lost: such an operation never ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// A name was created for this uuid (or was taken already).
    Create { uuid: String, made: bool },
    /// The holder of a name was deleted (or had gone already).
    Delete { uuid: String, gone: bool },
    /// Who holds a name.
    Lookup(Option<String>),
    /// An address was given to this owner.
    Take(String),
    /// An owner gave it back.
    Give(String),
    /// A reference was made or removed.
    Set(bool),
    /// Whether it is there.
    Is(bool),
}

/// One operation on one thing.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) thing: String,
    pub(crate) op: Op,
    pub(crate) called: u64,
    /// `None`: the answer was lost.
    pub(crate) answered: Option<u64>,
}

/// All operations, with places in time that all clients agree on.
#[derive(Default)]
pub(crate) struct Log {
    clock: AtomicU64,
    records: Mutex<Vec<Record>>,
}

impl Log {
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn add(&self, thing: impl Into<String>, op: Op, called: u64, answered: Option<u64>) {
        self.records.lock().unwrap().push(Record { thing: thing.into(), op, called, answered });
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }
}

/// Where clients work.
pub(crate) struct World {
    urls: Vec<String>,
    http: reqwest::Client,
    log: Arc<Log>,
    network: String,
    hub: String,
    policies: Vec<String>,
    /// Addresses asked for without an answer: owner and when.
    lost: Mutex<Vec<(String, u64)>>,
    held: Mutex<Vec<String>>,
}

fn in_project(name: &str) -> Value {
    json!(["default-domain", "default-project", name])
}

impl World {
    pub(crate) async fn make(urls: Vec<String>, log: Arc<Log>) -> Self {
        let http = reqwest::Client::builder().timeout(REQUEST).build().unwrap();
        let mut world = Self {
            urls,
            http,
            log,
            network: String::new(),
            hub: String::new(),
            policies: Vec::new(),
            lost: Mutex::default(),
            held: Mutex::default(),
        };
        let subnet = json!({"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 27}});
        let ipam = json!([{"to": in_project("default-network-ipam"), "attr": {"ipam_subnets": [subnet]}}]);
        let network =
            json!({"fq_name": in_project("pool"), "parent_type": "project", "network_ipam_refs": ipam});
        world.network = world.must_create("virtual-network", network).await;
        let hub = json!({"fq_name": in_project("hub"), "parent_type": "project"});
        world.hub = world.must_create("virtual-network", hub).await;
        for index in 0..POLICIES {
            let policy = json!({"fq_name": in_project(&format!("policy{index}")), "parent_type": "project"});
            let policy = world.must_create("network-policy", policy).await;
            world.policies.push(policy);
        }
        world
    }

    async fn must_create(&self, object_type: &str, fields: Value) -> String {
        let path = format!("/{object_type}s");
        let (status, text) = self.send(0, "POST", &path, json!({object_type: fields})).await.unwrap();
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()[object_type]["uuid"].as_str().unwrap().to_owned()
    }

    /// The answer; `None` if what happened is unknown.
    async fn send(&self, server: usize, method: &str, path: &str, body: Value) -> Option<(u16, String)> {
        let url = format!("{}{path}", self.urls[server % self.urls.len()]);
        let request =
            self.http.request(method.parse().unwrap(), url).header("content-type", "application/json");
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        assert_ne!(status, 500, "{method} {path}: {text}");
        (status < 500).then_some((status, text))
    }

    /// As [`Self::send`], again until it is known: for reads.
    async fn read(&self, choices: &mut Choices, path: &str) -> (u16, Value) {
        loop {
            let server = choices.next() as usize;
            if let Some((status, text)) = self.send(server, "GET", path, Value::Null).await {
                return (status, serde_json::from_str(&text).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn create(&self, choices: &mut Choices) {
        let name = format!("name{}", choices.below(NAMES));
        let uuid = choices.uuid();
        let body =
            json!({"network-policy": {"uuid": uuid, "fq_name": in_project(&name), "parent_type": "project"}});
        let called = self.log.now();
        let answer = self.send(choices.next() as usize, "POST", "/network-policys", body).await;
        let answered = self.log.now();
        match answer {
            Some((200, _)) => {
                self.log.add(name, Op::Create { uuid, made: true }, called, Some(answered));
            }
            Some((409, _)) => self.log.add(name, Op::Create { uuid, made: false }, called, Some(answered)),
            Some(other) => panic!("create {name}: {other:?}"),
            None => self.log.add(name, Op::Create { uuid, made: true }, called, None),
        }
    }

    async fn lookup(&self, choices: &mut Choices) -> Option<(String, String)> {
        let name = format!("name{}", choices.below(NAMES));
        let body = json!({"type": "network-policy", "fq_name": in_project(&name)});
        let called = self.log.now();
        let (status, text) = self.send(choices.next() as usize, "POST", "/fqname-to-id", body).await?;
        let answered = Some(self.log.now());
        let holder = match status {
            200 => serde_json::from_str::<Value>(&text).unwrap()["uuid"].as_str().map(str::to_owned),
            404 => None,
            other => panic!("lookup {name}: {other} {text}"),
        };
        self.log.add(name.clone(), Op::Lookup(holder.clone()), called, answered);
        Some((name, holder?))
    }

    async fn delete(&self, choices: &mut Choices) {
        let Some((name, uuid)) = self.lookup(choices).await else { return };
        let path = format!("/network-policy/{uuid}");
        let called = self.log.now();
        let answer = self.send(choices.next() as usize, "DELETE", &path, Value::Null).await;
        let answered = self.log.now();
        match answer {
            Some((200, _)) => self.log.add(name, Op::Delete { uuid, gone: true }, called, Some(answered)),
            Some((404, _)) => self.log.add(name, Op::Delete { uuid, gone: false }, called, Some(answered)),
            Some(other) => panic!("delete {name}: {other:?}"),
            None => self.log.add(name, Op::Delete { uuid, gone: true }, called, None),
        }
    }

    /// Takes an address; the owner, if it is known to have one.
    async fn take(&self, choices: &mut Choices) -> Option<String> {
        let uuid = choices.uuid();
        let network = json!([{"uuid": self.network}]);
        let body = json!({"instance-ip": {"uuid": uuid, "fq_name": [uuid], "virtual_network_refs": network}});
        let called = self.log.now();
        match self.send(choices.next() as usize, "POST", "/instance-ips", body).await {
            Some((200, _)) => {}
            Some((409, text)) => {
                assert!(text.contains("exhausted"), "{text}");
                return None;
            }
            Some(other) => panic!("take: {other:?}"),
            None => {
                self.lost.lock().unwrap().push((uuid, called));
                return None;
            }
        }
        let answered = self.log.now();
        let (status, object) = self.read(choices, &format!("/instance-ip/{uuid}")).await;
        assert_eq!(status, 200, "an acknowledged instance-ip is gone: {object}");
        let address = object["instance-ip"]["instance_ip_address"].as_str().unwrap().to_owned();
        self.log.add(address, Op::Take(uuid.clone()), called, Some(answered));
        Some(uuid)
    }

    async fn give(&self, choices: &mut Choices, uuid: String) {
        let (_, object) = self.read(choices, &format!("/instance-ip/{uuid}")).await;
        let address = object["instance-ip"]["instance_ip_address"].as_str().unwrap().to_owned();
        let called = self.log.now();
        let path = format!("/instance-ip/{uuid}");
        let answer = self.send(choices.next() as usize, "DELETE", &path, Value::Null).await;
        let answered = self.log.now();
        match answer {
            Some((200, _)) => self.log.add(address, Op::Give(uuid), called, Some(answered)),
            Some(other) => panic!("give: {other:?}"),
            None => {
                self.log.add(address, Op::Give(uuid.clone()), called, None);
                // Deleted again when the world settles.
                self.held.lock().unwrap().push(uuid);
            }
        }
    }

    async fn refer(&self, choices: &mut Choices) {
        let index = choices.below(POLICIES) as usize;
        let add = choices.below(2) == 0;
        let body = json!({"type": "virtual-network", "uuid": self.hub, "ref-type": "network-policy",
            "ref-uuid": self.policies[index], "operation": if add { "ADD" } else { "DELETE" },
            "attr": {"sequence": {"major": index, "minor": 0}}});
        let called = self.log.now();
        let answer = self.send(choices.next() as usize, "POST", "/ref-update", body).await;
        let answered = self.log.now();
        let answered = match answer {
            Some((200, _)) => Some(answered),
            // Nothing to delete: as good as deleted.
            Some((404, _)) if !add => Some(answered),
            Some(other) => panic!("ref-update: {other:?}"),
            None => None,
        };
        self.log.add(format!("ref{index}"), Op::Set(add), called, answered);
    }

    async fn references(&self, choices: &mut Choices) {
        let path = format!("/virtual-network/{}?fields=network_policy_refs", self.hub);
        let called = self.log.now();
        let Some((status, text)) = self.send(choices.next() as usize, "GET", &path, Value::Null).await else {
            return;
        };
        let answered = Some(self.log.now());
        assert_eq!(status, 200, "{text}");
        let object: Value = serde_json::from_str(&text).unwrap();
        let empty = Vec::new();
        let refs = object["virtual-network"]["network_policy_refs"].as_array().unwrap_or(&empty);
        for (index, policy) in self.policies.iter().enumerate() {
            let there = refs.iter().any(|r| r["uuid"] == policy.as_str());
            self.log.add(format!("ref{index}"), Op::Is(there), called, answered);
        }
    }

    /// After the last client: finds out what became of addresses whose answers were lost, and gives all back.
    pub(crate) async fn settle(&self) {
        let mut choices = Choices(1);
        let lost = std::mem::take(&mut *self.lost.lock().unwrap());
        let mut held = std::mem::take(&mut *self.held.lock().unwrap());
        for (uuid, called) in lost {
            let (status, object) = self.read(&mut choices, &format!("/instance-ip/{uuid}")).await;
            if status == 200 {
                let address = object["instance-ip"]["instance_ip_address"].as_str().unwrap().to_owned();
                self.log.add(address, Op::Take(uuid.clone()), called, Some(self.log.now()));
                held.push(uuid);
            }
        }
        for uuid in held {
            let path = format!("/instance-ip/{uuid}");
            let answer = loop {
                if let Some(answer) = self.send(0, "DELETE", &path, Value::Null).await {
                    break answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            assert!([200, 404].contains(&answer.0), "{answer:?}");
        }
    }

    /// Takes every address there is; how many there were.
    pub(crate) async fn fill(&self) -> usize {
        let mut choices = Choices(2);
        let mut taken = 0;
        loop {
            let before = self.lost.lock().unwrap().len();
            match self.take(&mut choices).await {
                Some(_) => taken += 1,
                None if self.lost.lock().unwrap().len() > before => panic!("no answer in peace"),
                None => return taken,
            }
        }
    }
}

/// One client, until the end.
pub(crate) async fn work(world: Arc<World>, mut choices: Choices, end: Instant) {
    let mut mine: Vec<String> = Vec::new();
    while Instant::now() < end {
        match choices.below(8) {
            0 | 1 => world.create(&mut choices).await,
            2 => drop(world.lookup(&mut choices).await),
            3 => world.delete(&mut choices).await,
            4 if mine.len() < HELD => mine.extend(world.take(&mut choices).await),
            4 | 5 => {
                if let Some(uuid) = mine.pop() {
                    world.give(&mut choices, uuid).await;
                }
            }
            6 => world.refer(&mut choices).await,
            _ => world.references(&mut choices).await,
        }
        // A history that is too dense takes too long to judge.
        tokio::time::sleep(Duration::from_millis(5 + choices.below(20))).await;
    }
    world.held.lock().unwrap().extend(mine);
}
