//! The REST interface over an etcd cluster of one member: the suite of `rest`, each test below a prefix of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../rest/actions.rs"]
mod actions;
#[path = "../rest/addresses.rs"]
mod addresses;
#[path = "../../../store/tests/common/cluster.rs"]
mod cluster;
#[path = "../rest/consistency.rs"]
mod consistency;
#[path = "../rest/derived.rs"]
mod derived;
#[path = "../rest/devices.rs"]
mod devices;
#[path = "../rest/drafts.rs"]
mod drafts;
#[path = "../rest/floating.rs"]
mod floating;
#[path = "../rest/harness.rs"]
mod harness;
#[path = "../rest/interfaces.rs"]
mod interfaces;
#[path = "../rest/lists.rs"]
mod lists;
#[path = "../rest/objects.rs"]
mod objects;
#[path = "../rest/policies.rs"]
mod policies;
#[path = "../rest/quotas.rs"]
mod quotas;
#[path = "../rest/round_trip.rs"]
mod round_trip;
#[path = "../rest/routers.rs"]
mod routers;
#[path = "../rest/services.rs"]
mod services;
#[path = "../rest/system.rs"]
mod system;
#[path = "../rest/tags.rs"]
mod tags;
#[path = "../rest/updates.rs"]
mod updates;
#[path = "../rest/watch.rs"]
mod watch;

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use weft_store::Store;

/// An empty store, and what must live as long as it is used: the cluster, which the tests that run at the same time share.
pub(crate) async fn open_store() -> (Arc<dyn Store>, Box<dyn Any + Send + Sync>) {
    static CLUSTER: Mutex<Weak<cluster::Cluster>> = Mutex::new(Weak::new());
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let shared = tokio::task::spawn_blocking(|| {
        let mut held = CLUSTER.lock().unwrap();
        held.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(cluster::Cluster::start(1));
            *held = Arc::downgrade(&cluster);
            cluster
        })
    });
    let shared = shared.await.unwrap();
    let location = shared.location(&format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    (weft_store::open(&location).await.unwrap(), Box::new(shared))
}
