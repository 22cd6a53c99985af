//! A full disk.

use std::time::Duration;

use nix::libc::ENOSPC;
use weft_store::{EmbeddedOptions, EmbeddedStore, Store, StoreError, Txn, TxnResult};

use crate::common::{commit, next_events, put};
use crate::disk::{Disk, on_disk, to_log, to_tables};
use crate::rows::{big, settled, until_refused};
use crate::sys::{Call, Kind, Verdict};

fn open(disk: &Disk) -> EmbeddedStore {
    EmbeddedStore::open(disk.store()).unwrap()
}

/// Few rows in memory, and next to nothing of the tables in redb's own cache.
fn small() -> EmbeddedOptions {
    EmbeddedOptions { memory_bytes: 20_000, cache_bytes: 16_384, log_revisions: 64, ..Default::default() }
}

/// The error names the file and the cause.
fn assert_clear(error: &StoreError, file: &str, cause: &str) {
    let said = error.to_string();
    assert!(said.contains(file) && said.contains(cause), "{said}");
}

#[test]
fn a_refused_append_is_typed_and_writing_goes_on_when_there_is_room() {
    on_disk(8 << 20, async |disk| {
        let store = open(disk);
        let mut watch = store.watch("", 0).await.unwrap();
        commit(&store, Txn::new().then(put("before", "x"))).await;
        disk.fill();
        let mut written = 0;
        let error = loop {
            match store.txn(big(written)).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(written < 10, "{written}");
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert_clear(&error, ".log", "No space left");
        // Readers go on, and a crash now leaves what was acknowledged and no more.
        assert!(store.get("before").await.unwrap().is_some());
        assert_eq!(store.range("w/", None, 100).await.unwrap().entries.len(), written);
        for revision in 1..=written as u64 + 1 {
            assert_eq!(next_events(&mut watch).await.revision, revision);
        }
        let copy = EmbeddedStore::open(disk.crashed().path()).unwrap();
        assert_eq!(copy.range("w/", None, 100).await.unwrap().entries.len(), written);
        disk.empty();
        let last = commit(&store, Txn::new().then(put("after", "y"))).await;
        assert_eq!(last, written as u64 + 2);
        drop((watch, store));
        let store = open(disk);
        assert_eq!(store.revision().await.unwrap(), last);
        assert_eq!(store.range("", None, 100).await.unwrap().entries.len(), written + 2);
    });
}

#[test]
fn the_log_goes_on_when_a_segment_cannot_be_created() {
    on_disk(16 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        let begins = |call: &Call| to_log(call) && call.kind == Kind::Create;
        disk.faults.set(move |call| if begins(call) { Verdict::Fails(ENOSPC) } else { Verdict::Done });
        // A segment is to hold eight.
        for key in 0..14 {
            commit(&store, big(key)).await;
        }
        let mut watch = store.watch("", 0).await.unwrap();
        for revision in 1..=14 {
            assert_eq!(next_events(&mut watch).await.revision, revision);
        }
        disk.faults.clear();
        for key in 14..30 {
            commit(&store, big(key)).await;
        }
        let store = EmbeddedStore::open_with(disk.crashed().path(), small()).unwrap();
        assert_eq!(store.revision().await.unwrap(), 30);
    });
}

#[test]
fn the_log_goes_on_when_the_directory_of_a_new_segment_cannot_be_synced() {
    on_disk(16 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        disk.faults.set(|call| {
            let directory = call.kind == Kind::Sync && call.path.ends_with("log");
            if directory { Verdict::Fails(ENOSPC) } else { Verdict::Done }
        });
        for key in 0..14 {
            commit(&store, big(key)).await;
        }
        let copy = disk.crashed();
        disk.faults.clear();
        for round in 1..=3 {
            let store = EmbeddedStore::open_with(copy.path(), small()).unwrap();
            assert_eq!(store.revision().await.unwrap(), 13 + round);
            assert_eq!(commit(&store, big(100 + round as usize)).await, 14 + round);
        }
    });
}

/// An empty file that was left where a segment could not be begun (its removal may fail, too) is not the end of the log.
#[test]
fn a_segment_that_was_only_begun_hides_nothing() {
    for begun in [2, 5, 11] {
        on_disk(16 << 20, async move |disk| {
            let store = open(disk);
            for key in 0..10 {
                commit(&store, big(key)).await;
            }
            let copy = disk.crashed();
            std::fs::write(copy.path().join(format!("log/{begun:020}.log")), "").unwrap();
            for round in 0..3 {
                let store = EmbeddedStore::open(copy.path()).unwrap();
                assert_eq!(store.revision().await.unwrap(), 10 + round, "{begun}");
                commit(&store, big(20)).await;
                let mut watch = store.watch("", 0).await.unwrap();
                for revision in 1..=11 + round {
                    assert_eq!(next_events(&mut watch).await.revision, revision, "{begun}");
                }
            }
        });
    }
}

#[test]
fn readers_go_on_while_the_tables_have_no_room_and_writers_when_they_have() {
    on_disk(64 << 20, async |disk| {
        let store = settled(disk, small()).await;
        let fails = |call: &Call| to_tables(call) && matches!(call.kind, Kind::Write | Kind::Length);
        disk.faults.set(move |call| if fails(call) { Verdict::Fails(ENOSPC) } else { Verdict::Done });
        let (acknowledged, error) = until_refused(&store).await;
        assert!(acknowledged > 220, "{acknowledged}");
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert_clear(&error, "weft.redb", "No space left");
        for _ in 0..2 {
            for key in 0..acknowledged {
                assert!(store.get(&format!("w/{key:05}")).await.unwrap().is_some(), "{key}");
            }
            assert_eq!(store.range("w/", None, 1000).await.unwrap().entries.len(), acknowledged);
        }
        let copy = EmbeddedStore::open_with(disk.crashed().path(), small()).unwrap();
        assert_eq!(copy.range("w/", None, 1000).await.unwrap().entries.len(), acknowledged);
        disk.faults.clear();
        let begun = std::time::Instant::now();
        while store.txn(big(acknowledged)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "writing does not go on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(store);
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        assert_eq!(store.range("w/", None, 1000).await.unwrap().entries.len(), acknowledged + 1);
    });
}

#[test]
fn a_store_is_closed_and_loses_nothing_while_the_tables_have_no_room() {
    on_disk(64 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        let fails = |call: &Call| to_tables(call) && matches!(call.kind, Kind::Write | Kind::Length);
        disk.faults.set(move |call| if fails(call) { Verdict::Fails(ENOSPC) } else { Verdict::Done });
        for key in 0..30 {
            commit(&store, big(key)).await;
        }
        let begun = std::time::Instant::now();
        tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        let error = EmbeddedStore::open_with(disk.store(), small()).err().unwrap();
        assert_clear(&error, "weft.redb", "No space left");
        disk.faults.clear();
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        assert_eq!(store.range("w/", None, 1000).await.unwrap().entries.len(), 30);
    });
}

/// With a disk that is really full: the log, the tables and what opens them all want room.
#[test]
fn a_disk_that_fills_up_loses_nothing_and_can_be_opened_and_read() {
    on_disk(6 << 20, async |disk| {
        let mut acknowledged = 0;
        for _ in 0..3 {
            let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
            let error = loop {
                match store.txn(big(acknowledged)).await {
                    Ok(TxnResult::Committed(_)) => acknowledged += 1,
                    Ok(conflict) => panic!("{conflict:?}"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
            assert_clear(&error, &disk.store().to_string_lossy(), "No space left");
            assert_eq!(store.range("w/", None, 10_000).await.unwrap().entries.len(), acknowledged);
            drop(store);
            let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
            assert_eq!(store.range("w/", None, 10_000).await.unwrap().entries.len(), acknowledged);
        }
        assert!(acknowledged > 500, "{acknowledged}");
        disk.grow(32 << 20);
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        commit(&store, big(acknowledged)).await;
        assert_eq!(store.range("w/", None, 10_000).await.unwrap().entries.len(), acknowledged + 1);
    });
}

#[test]
fn a_store_that_cannot_be_made_for_want_of_room_says_so_and_is_made_later() {
    on_disk(1 << 20, async |disk| {
        disk.fill();
        let error = EmbeddedStore::open(disk.store()).err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert_clear(&error, &disk.store().to_string_lossy(), "No space left");
        disk.empty();
        disk.grow(16 << 20);
        commit(&open(disk), big(1)).await;
    });
}

#[test]
fn a_log_that_cannot_be_trimmed_has_no_gap_and_is_trimmed_later() {
    on_disk(64 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        let mut failing = 3;
        disk.faults.set(move |call| {
            let fails = call.kind == Kind::Remove && to_log(call) && failing > 0;
            failing -= i32::from(fails);
            if fails { Verdict::Fails(nix::libc::EIO) } else { Verdict::Done }
        });
        for key in 0..400 {
            commit(&store, big(key)).await;
        }
        drop(store);
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        let oldest = match store.watch("", 0).await.err().unwrap() {
            StoreError::Compacted { oldest, .. } => oldest,
            error => panic!("{error}"),
        };
        assert!(oldest > 300, "{oldest}");
        let mut watch = store.watch("", oldest).await.unwrap();
        for revision in oldest + 1..=400 {
            assert_eq!(next_events(&mut watch).await.revision, revision);
        }
    });
}
