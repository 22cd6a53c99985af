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

/// Where watches can begin, once the log has been cut to at most `kept` revisions.
async fn cut_to(store: &EmbeddedStore, kept: u64) -> u64 {
    let newest = store.revision().await.unwrap();
    for _ in 0..1000 {
        if let Err(StoreError::Compacted { requested: 0, oldest }) = store.watch("a/", 0).await
            && newest - oldest <= kept
        {
            return oldest;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the log keeps more than {kept} revisions");
}

#[tokio::test]
async fn the_log_is_bounded_and_old_watches_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open_with(dir.path(), small_log()).unwrap();
    for i in 0..200 {
        commit(&store, Txn::new().then(put("a/1", &i.to_string()))).await;
    }
    let oldest = cut_to(&store, 50).await;
    assert!(oldest <= 162, "{oldest}");
    assert!(matches!(store.watch("a/", 3).await, Err(StoreError::Compacted { requested: 3, .. })));
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
    let oldest = cut_to(&store, 10).await;
    assert!((90..=93).contains(&oldest), "{oldest}");
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
    cut_to(&store, 50).await;
    let error = loop {
        match next(&mut watch).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.must_resync(), "{error}");
    assert!(matches!(error, StoreError::Lagged { at: 0, oldest: 70..=82 }), "{error}");
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

/// The files of a store as a crash now would leave them.
fn crashed(store: &tempfile::TempDir) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(store.path().join("weft.redb"), copy.path().join("weft.redb")).unwrap();
    std::fs::create_dir(copy.path().join("log")).unwrap();
    for file in std::fs::read_dir(store.path().join("log")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join("log").join(file.file_name())).unwrap();
    }
    copy
}

/// The newest file of the log.
fn newest_segment(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let files = std::fs::read_dir(dir.path().join("log")).unwrap();
    files.map(|file| file.unwrap().path()).max().unwrap()
}

#[tokio::test]
async fn after_a_crash_the_log_gives_what_the_tables_lack() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open_with(dir.path(), small_log()).unwrap();
    for i in 0..20 {
        commit(&store, Txn::new().then(put(&format!("a/{i:02}"), &i.to_string()))).await;
        commit(&store, Txn::new().then(put("b", "x"))).await;
        let last = commit(&store, Txn::new().then(Op::delete("b"))).await;
        let copy = crashed(&dir);
        for _ in 0..2 {
            let again = EmbeddedStore::open_with(copy.path(), small_log()).unwrap();
            assert_eq!(again.revision().await.unwrap(), last);
            assert_eq!(again.range("a/", None, 100).await.unwrap().entries.len(), i + 1);
            assert_eq!(again.get("a/00").await.unwrap().unwrap().mod_revision, 1);
            assert_eq!(again.get("b").await.unwrap(), None);
        }
        let again = EmbeddedStore::open_with(copy.path(), small_log()).unwrap();
        let mut watch = again.watch("a/", last - 3).await.unwrap();
        assert_eq!(next_events(&mut watch).await.revision, last - 2);
        assert_eq!(commit(&again, Txn::new().then(put("c", "y"))).await, last + 1);
    }
}

#[tokio::test]
async fn a_record_that_a_crash_left_in_part_is_as_if_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    commit(&store, Txn::new().then(put("a/1", "kept"))).await;
    let before = std::fs::metadata(newest_segment(&dir)).unwrap().len();
    commit(&store, Txn::new().then(put("a/2", "torn"))).await;
    let after = std::fs::metadata(newest_segment(&dir)).unwrap().len();
    for length in before..=after {
        let copy = crashed(&dir);
        let file = std::fs::OpenOptions::new().write(true).open(newest_segment(&copy)).unwrap();
        file.set_len(length).unwrap();
        // Blocks that never reached the disk read as zeros.
        file.set_len(if length % 2 == 0 && length < after { after } else { length }).unwrap();
        let again = EmbeddedStore::open(copy.path()).unwrap();
        let whole = length == after;
        assert_eq!(again.revision().await.unwrap(), if whole { 2 } else { 1 }, "{length}");
        assert_eq!(again.get("a/2").await.unwrap().is_some(), whole);
        let next = commit(&again, Txn::new().then(put("a/3", "new"))).await;
        drop(again);
        let again = EmbeddedStore::open(copy.path()).unwrap();
        assert_eq!(again.revision().await.unwrap(), next);
        assert_eq!(again.get("a/1").await.unwrap().unwrap().value, "kept");
        assert_eq!(again.get("a/3").await.unwrap().unwrap().mod_revision, next);
    }
}

#[tokio::test]
async fn a_damaged_record_before_others_is_an_error() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let value = "v".repeat(100);
    for i in 0..3 {
        commit(&store, Txn::new().then(put(&format!("a/{i}"), &value))).await;
    }
    let copy = crashed(&dir);
    let path = newest_segment(&copy);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"X", std::fs::metadata(&path).unwrap().len() / 2).unwrap();
    let error = EmbeddedStore::open(copy.path()).err().unwrap();
    assert!(matches!(&error, StoreError::Corrupt(what) if what.contains("log")), "{error}");
}

#[tokio::test]
async fn tables_without_their_log_are_whole_up_to_where_they_were_made_durable() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let last = commit(&store, Txn::new().then(put("a/1", "x"))).await;
    drop(store);
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(store.revision().await.unwrap(), last);
    assert!(matches!(store.watch("a/", 0).await.err().unwrap(), StoreError::Compacted { oldest: 1, .. }));
    let mut watch = store.watch("a/", last).await.unwrap();
    let next = commit(&store, Txn::new().then(put("a/2", "x"))).await;
    assert_eq!(next_events(&mut watch).await.revision, next);
}
