//! The embedded store: conformance, and what is its own: reopening, locking, bounds of the log, slow watchers.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{commit, next, next_events, put};
use weft_store::{EmbeddedOptions, EmbeddedStore, Op, Store, StoreError, Txn};

fn small_log() -> EmbeddedOptions {
    EmbeddedOptions { log_revisions: 50, ..EmbeddedOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    common::conformance(Arc::new(EmbeddedStore::open(dir.path()).unwrap())).await;
}

#[tokio::test]
async fn conforms_on_a_single_thread() {
    let dir = tempfile::tempdir().unwrap();
    common::conformance(Arc::new(EmbeddedStore::open(dir.path()).unwrap())).await;
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let first = commit(&store, Txn::new().then(put("a/1", "x"))).await;
    let second = commit(&store, Txn::new().then(put("a/2", "y")).then(Op::delete("a/1"))).await;
    drop(store);
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(store.revision().await.unwrap(), second);
    assert_eq!(store.get("a/2").await.unwrap().unwrap().mod_revision, second);
    assert_eq!(store.get("a/1").await.unwrap(), None);
    // The log too: a watcher goes on where it was.
    let mut watch = store.watch("a/", first).await.unwrap();
    assert_eq!(next_events(&mut watch).await.revision, second);
    assert!(commit(&store, Txn::new().then(put("a/3", "z"))).await > second);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let Err(StoreError::Locked { holder, .. }) = EmbeddedStore::open(dir.path()) else {
        panic!("opened twice");
    };
    assert_eq!(holder, format!("process {}", std::process::id()));
    drop(store);
    EmbeddedStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn the_log_is_bounded_and_old_watches_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open_with(dir.path(), small_log()).unwrap();
    for i in 0..200 {
        commit(&store, Txn::new().then(put("a/1", &i.to_string()))).await;
    }
    let Err(StoreError::Compacted { requested: 3, oldest }) = store.watch("a/", 3).await else {
        panic!("watching from a compacted revision");
    };
    assert_eq!(oldest, 150);
    let mut watch = store.watch("a/", oldest).await.unwrap();
    for revision in oldest + 1..=200 {
        assert_eq!(next_events(&mut watch).await.revision, revision);
    }
}

#[tokio::test]
async fn the_log_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { log_bytes: 100_000, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open_with(dir.path(), options).unwrap();
    for _ in 0..100 {
        commit(&store, Txn::new().then(Op::put("a/1", vec![1; 10_000]))).await;
    }
    let Err(StoreError::Compacted { oldest, .. }) = store.watch("a/", 0).await else {
        panic!("watching from a compacted revision");
    };
    assert_eq!(oldest, 91);
}

#[tokio::test]
async fn a_slow_watcher_reads_the_log_from_disk_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let mut watch = store.watch("a/", 0).await.unwrap();
    // More groups, and more bytes, than are kept in memory.
    for i in 0..1500 {
        commit(&store, Txn::new().then(Op::put(format!("a/{i}"), vec![7; 10_000]))).await;
    }
    for revision in 1..=1500 {
        let batch = next_events(&mut watch).await;
        assert_eq!(batch.revision, revision);
        assert_eq!(batch.events[0].key, format!("a/{}", revision - 1));
    }
}

#[tokio::test]
async fn a_watcher_overtaken_by_compaction_lags_and_recovers_whole() {
    let dir = tempfile::tempdir().unwrap();
    // Few revisions in the log, and values so large that memory holds no more of them.
    let store = EmbeddedStore::open_with(dir.path(), small_log()).unwrap();
    let mut watch = store.watch("a/", 0).await.unwrap();
    for i in 0..120 {
        commit(&store, Txn::new().then(Op::put(format!("a/{i:03}"), vec![7; 200_000]))).await;
    }
    let error = loop {
        match next(&mut watch).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.must_resync(), "{error}");
    assert!(matches!(error, StoreError::Lagged { at: 0, oldest: 70 }), "{error}");
    let range = store.range("a/", None, 1000).await.unwrap();
    let mut watch = store.watch("a/", range.revision).await.unwrap();
    let last = commit(&store, Txn::new().then(put("a/new", "x"))).await;
    assert_eq!(next_events(&mut watch).await.revision, last);
}

#[tokio::test]
async fn a_closed_store_ends_its_watches_and_can_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let mut watch = store.watch("a/", 0).await.unwrap();
    drop(store);
    assert!(matches!(next(&mut watch).await, Err(StoreError::Unavailable(_))));
    EmbeddedStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("weft.redb"), vec![0xa5; 8192]).unwrap();
    let error = EmbeddedStore::open(dir.path()).err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)), "{error}");
}
