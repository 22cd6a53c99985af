//! The store over a real etcd: what every store must do, and what only a cluster can do to it.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/cluster.rs"]
mod cluster;
#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;

use cluster::Cluster;
use common::{commit, conformance, put};
use weft_store::{EtcdOptions, EtcdStore, Store, StoreError, Txn};

async fn open(cluster: &Cluster, prefix: &str) -> Arc<EtcdStore> {
    Arc::new(EtcdStore::open(EtcdOptions::parse(&cluster.location(prefix)).unwrap()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let cluster = Cluster::start(1);
    conformance(open(&cluster, "one").await).await;
    // Another prefix of the same cluster is another store.
    let other = open(&cluster, "two").await;
    assert!(other.range("", None, 10).await.unwrap().entries.is_empty());
    conformance(other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_is_told() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "c").await;
    let first = commit(&*store, Txn::new().then(put("a", "1"))).await;
    let second = commit(&*store, Txn::new().then(put("a", "2"))).await;
    let third = commit(&*store, Txn::new().then(put("a", "3"))).await;
    let endpoint = &cluster.endpoints()[0];
    cluster::etcdctl(endpoint, &["compact", &second.to_string()], &[]).unwrap();
    match store.watch("", first).await {
        Err(StoreError::Compacted { requested, oldest }) => assert_eq!((requested, oldest), (first, second)),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("watched from a compacted revision"),
    }
    let mut watch = store.watch("", second).await.unwrap();
    assert_eq!(common::next_events(&mut watch).await.revision, third);
}
