//! A control node on loopback over a real store, and agents made of the protocol's client side.

#![allow(clippy::unwrap_used, clippy::panic, dead_code, unreachable_pub, missing_docs)]

pub mod agent;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_control::node::Query;
use weft_control::{Control, ControlConfig, ControlHandle, Timers};
use weft_model::{FqName, Object, ObjectType, defaults, derived_uuid};
use weft_store::{EmbeddedStore, Store, Txn, layout};

pub use agent::Agent;

pub const RED: &str = "default-domain:default-project:red:red";
pub const BLUE: &str = "default-domain:default-project:blue:blue";
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Short enough for tests, long enough for a busy machine.
pub fn timers() -> Timers {
    Timers {
        quiet: Duration::from_millis(400),
        end_of_rib: Duration::from_secs(20),
        stale: Duration::from_secs(30),
        ..Timers::default()
    }
}

pub struct Lab {
    pub dir: tempfile::TempDir,
    pub store: Arc<EmbeddedStore>,
    pub handle: ControlHandle,
    pub tls: bool,
    timers: Timers,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Lab {
    /// A node with TLS and networks red and blue that exchange routes.
    pub async fn start(timers: Timers, tls: bool) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        weft_tls::make_ca(&dir.path().join("ca")).unwrap();
        let store = Arc::new(EmbeddedStore::open(dir.path().join("store")).unwrap());
        let any = SocketAddr::new(LOOPBACK, 0);
        weft_tls::make_node_cert(
            &dir.path().join("ca"),
            "controller",
            &[LOOPBACK],
            &dir.path().join("controller"),
        )
        .unwrap();
        for object in [network("red", 1), network("blue", 2)] {
            put(store.as_ref(), &object).await;
        }
        let (handle, stop, running) = serve(&dir, &store, any, timers, tls).await;
        Lab { dir, store, handle, tls, timers, stop, running: Some(running) }
    }

    pub async fn put(&self, object: &Object) {
        put(self.store.as_ref(), object).await;
    }

    pub async fn delete(&self, object: &Object) {
        let txn = Txn { compare: Vec::new(), ops: layout::delete_ops(object) };
        self.store.txn(txn).await.unwrap();
    }

    /// Configures a virtual-router of that name.
    pub async fn router(&self, name: &str) {
        self.put(&router(name)).await;
    }

    /// A certificate directory for an agent of that name.
    pub fn certs(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        if !dir.exists() {
            weft_tls::make_node_cert(&self.dir.path().join("ca"), name, &[], &dir).unwrap();
        }
        dir
    }

    pub async fn agent(&self, name: &str, host: u8) -> Agent {
        let certs = self.tls.then(|| self.certs(name));
        Agent::connect(self.handle.address(), name, host, certs.as_deref()).await.unwrap()
    }

    pub async fn ask(&self, query: Query) -> Value {
        match self.handle.ask(query).await {
            weft_control::Answer::Report(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// What is reported of an agent.
    pub async fn peer(&self, name: &str) -> Value {
        let peers = self.ask(Query::Peers).await;
        peers.as_array().unwrap().iter().find(|p| p["name"] == name).cloned().unwrap_or(json!(null))
    }

    pub async fn until_peer(&self, name: &str, accept: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            let peer = self.peer(name).await;
            if accept(&peer) {
                return peer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{name}: {}", self.peer(name).await);
    }

    pub async fn until_status(&self, accept: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            let status = self.ask(Query::Status).await;
            if accept(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{}", self.ask(Query::Status).await);
    }

    /// Ends the node and starts another on the same store, certificates and port.
    pub async fn restart(&mut self) {
        let address = self.handle.address();
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap();
        let (handle, stop, running) = serve(&self.dir, &self.store, address, self.timers, self.tls).await;
        (self.handle, self.stop, self.running) = (handle, stop, Some(running));
    }
}

async fn serve(
    dir: &tempfile::TempDir,
    store: &Arc<EmbeddedStore>,
    listen_xmpp: SocketAddr,
    timers: Timers,
    tls: bool,
) -> (ControlHandle, CancellationToken, JoinHandle<()>) {
    let certs = tls.then(|| dir.path().join("controller"));
    let config = ControlConfig { listen_xmpp, certs, timers };
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let (control, handle) = Control::bind(config, store).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(control.run(stop.clone()));
    (handle, stop, running)
}

pub async fn put(store: &dyn Store, object: &Object) {
    let old = store.get(&layout::object_key(object.object_type, object.uuid)).await.unwrap();
    let old = old.map(|entry| layout::decode(&entry.value).unwrap());
    let ops = layout::put_ops(object, old.as_ref()).unwrap();
    store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
}

pub fn object(object_type: ObjectType, fq_name: FqName, props: Value) -> Object {
    let uuid = derived_uuid(object_type, &fq_name);
    let mut object = Object::new(object_type, uuid, fq_name);
    object.props = props.as_object().unwrap().clone();
    object
}

/// A network that imports and exports a target shared by all of them.
pub fn network(name: &str, number: u32) -> Object {
    let mut network = lone_network(name, number);
    network.props.insert("route_target_list".into(), json!({"route_target": ["target:64512:77"]}));
    network
}

/// A network that exchanges routes with no other.
pub fn lone_network(name: &str, number: u32) -> Object {
    let props = json!({
        "virtual_network_network_id": number,
        defaults::ROUTE_TARGET_NUMBER_PROPERTY: defaults::FIRST_ROUTE_TARGET_NUMBER + number,
    });
    let mut network = object(ObjectType::VirtualNetwork, defaults::in_default_project(name), props);
    let project = defaults::project();
    network.parent = Some((ObjectType::Project, defaults::singleton_uuid(ObjectType::Project, &project)));
    network
}

pub fn router(name: &str) -> Object {
    let system = defaults::global_system_config();
    let props = json!({"virtual_router_ip_address": "192.0.2.1"});
    let mut router = object(ObjectType::VirtualRouter, system.child(name), props);
    let parent = defaults::singleton_uuid(ObjectType::GlobalSystemConfig, &system);
    router.parent = Some((ObjectType::GlobalSystemConfig, parent));
    router
}
