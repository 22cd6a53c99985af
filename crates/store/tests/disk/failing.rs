//! A disk that answers with errors, once or for ever.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::libc::{EIO, EMFILE, ENOSPC};
use weft_store::{EmbeddedOptions, EmbeddedStore, Store, StoreError, Txn};

use crate::common::{commit, put};
use crate::disk::{Disk, on_disk, to_log, to_tables};
use crate::rows::{big, settled, until_refused};
use crate::sys::{Call, Kind, Verdict};

fn small() -> EmbeddedOptions {
    EmbeddedOptions { memory_bytes: 20_000, cache_bytes: 16_384, ..Default::default() }
}

fn clear(error: &StoreError, file: &str) -> bool {
    let said = error.to_string();
    said.contains(file) && said.contains("Input/output error")
}

/// `fails` fails once.
fn once(disk: &Disk, fails: impl Fn(&Call) -> bool + Send + 'static) {
    let mut done = false;
    disk.faults.set(move |call| {
        if !done && fails(call) {
            done = true;
            return Verdict::Fails(EIO);
        }
        Verdict::Done
    });
}

/// After the fault nothing is acknowledged, readers go on, and what was acknowledged is there in the store opened anew.
async fn the_log_breaks(disk: &Disk) {
    let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
    for key in 0..50 {
        commit(&store, big(key)).await;
    }
    once(disk, |call| to_log(call) && call.kind == Kind::Sync);
    let error = store.txn(big(50)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)) && clear(&error, ".log"), "{error:?}");
    for key in 51..60 {
        let error = store.txn(big(key)).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)) && clear(&error, ".log"), "{error:?}");
        assert!(error.to_string().contains("opened anew"), "{error}");
    }
    let read = store.range("w/", None, 1000).await.unwrap();
    assert_eq!((read.entries.len(), read.revision), (50, 50));
    let copy = disk.crashed();
    drop(store);
    for dir in [copy.path(), &disk.store()] {
        let store = EmbeddedStore::open_with(dir, small()).unwrap();
        let read = store.range("w/", None, 1000).await.unwrap();
        // The one of which nobody knew may be there.
        assert_eq!(read.entries.len() as u64, read.revision);
        assert!((50..=51).contains(&read.revision), "{}", read.revision);
        assert_eq!(commit(&store, big(70)).await, read.revision + 1);
    }
}

#[test]
fn nothing_is_acknowledged_after_an_fsync_of_the_log_failed() {
    on_disk(64 << 20, async |disk| the_log_breaks(disk).await);
}

/// An fsync that failed leaves pages that no later fsync writes, though they can be read.
#[test]
fn what_a_failed_fsync_may_have_left_in_memory_only_is_written_again() {
    on_disk(64 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        commit(&store, big(0)).await;
        once(disk, |call| to_log(call) && call.kind == Kind::Sync);
        store.txn(big(1)).await.unwrap_err();
        drop(store);
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let calls = Arc::clone(&seen);
        disk.faults.set(move |call| {
            if to_log(call) && call.path.is_file() {
                calls.lock().unwrap().push(call.kind);
            }
            Verdict::Done
        });
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        assert_eq!(*seen.lock().unwrap(), [Kind::Write, Kind::Sync]);
        assert_eq!(store.revision().await.unwrap(), 2);
        drop(store);
        seen.lock().unwrap().clear();
        // After a clean end there is nothing to write.
        drop(EmbeddedStore::open_with(disk.store(), small()).unwrap());
        assert!(seen.lock().unwrap().is_empty());
    });
}

#[test]
fn half_a_record_that_cannot_be_taken_back_is_not_followed_by_another() {
    on_disk(64 << 20, async |disk| {
        // Segments of eight; the next cannot be begun, so that one is due after every record.
        let options = EmbeddedOptions { log_revisions: 64, ..small() };
        let store = EmbeddedStore::open_with(disk.store(), options.clone()).unwrap();
        let full = |call: &Call| to_log(call) && call.kind == Kind::Create;
        disk.faults.set(move |call| if full(call) { Verdict::Fails(ENOSPC) } else { Verdict::Done });
        for key in 0..10 {
            commit(&store, big(key)).await;
        }
        let mut writes = 0;
        disk.faults.set(move |call| match call.kind {
            Kind::Append if to_log(call) => {
                writes += 1;
                if writes == 1 { Verdict::Half } else { Verdict::Fails(EIO) }
            }
            Kind::Length if to_log(call) => Verdict::Fails(EIO),
            _ => Verdict::Done,
        });
        let error = store.txn(big(10)).await.unwrap_err();
        assert!(clear(&error, ".log"), "{error}");
        disk.faults.clear();
        for key in 11..15 {
            assert!(matches!(store.txn(big(key)).await, Err(StoreError::Refused(_))));
        }
        drop(store);
        for round in 0..3 {
            let store = EmbeddedStore::open_with(disk.store(), options.clone()).unwrap();
            assert_eq!(store.revision().await.unwrap(), 10 + round);
            commit(&store, big(20)).await;
        }
    });
}

#[test]
fn a_record_of_which_nobody_knows_is_not_followed_by_another_segment() {
    on_disk(64 << 20, async |disk| {
        let options = EmbeddedOptions { log_revisions: 64, ..small() };
        let store = EmbeddedStore::open_with(disk.store(), options.clone()).unwrap();
        let full = |call: &Call| to_log(call) && call.kind == Kind::Create;
        disk.faults.set(move |call| if full(call) { Verdict::Fails(EMFILE) } else { Verdict::Done });
        for key in 0..10 {
            commit(&store, big(key)).await;
        }
        let mut syncs = 0;
        disk.faults.set(move |call| match call.kind {
            Kind::Create if to_log(call) && syncs == 0 => Verdict::Fails(EMFILE),
            Kind::Sync if to_log(call) && syncs == 0 => {
                syncs += 1;
                Verdict::Fails(EIO)
            }
            _ => Verdict::Done,
        });
        store.txn(big(10)).await.unwrap_err();
        store.txn(big(11)).await.unwrap_err();
        let copy = disk.crashed();
        drop(store);
        for dir in [copy.path(), &disk.store()] {
            for round in 0..3 {
                let store = EmbeddedStore::open_with(dir, options.clone()).unwrap();
                assert_eq!(store.revision().await.unwrap(), 11 + round);
                commit(&store, big(20)).await;
            }
        }
    });
}

/// What fails for ever, of the tables; readers go on all the same, and so do writers while there is memory.
async fn the_tables_fail(disk: &Disk, kind: Kind, advice: &str) {
    let store = settled(disk, small()).await;
    let fails = move |call: &Call| to_tables(call) && call.kind == kind;
    disk.faults.set(move |call| if fails(call) { Verdict::Fails(EIO) } else { Verdict::Done });
    let (acknowledged, error) = until_refused(&store).await;
    assert!(matches!(error, StoreError::Refused(_)) && clear(&error, "weft.redb"), "{error:?}");
    assert!(error.to_string().contains(advice), "{error}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for key in 0..acknowledged {
        assert!(store.get(&format!("w/{key:05}")).await.unwrap().is_some());
    }
    let copy = disk.crashed();
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    disk.faults.clear();
    for dir in [copy.path(), &disk.store()] {
        let store = EmbeddedStore::open_with(dir, small()).unwrap();
        assert_eq!(store.range("w/", None, 1000).await.unwrap().entries.len(), acknowledged);
        for key in 400..500 {
            commit(&store, big(key)).await;
        }
    }
}

#[test]
fn an_fsync_of_the_tables_that_fails_stops_neither_readers_nor_the_log() {
    on_disk(64 << 20, async |disk| the_tables_fail(disk, Kind::Sync, "open the store anew").await);
}

#[test]
fn writes_of_the_tables_that_fail_stop_neither_readers_nor_the_log() {
    on_disk(64 << 20, async |disk| the_tables_fail(disk, Kind::Write, "tried again").await);
}

/// Each call of an opening in turn fails, with each error; so does the opening, or it does without. Nothing is lost by it.
#[test]
fn an_opening_may_fail_at_any_call() {
    on_disk(64 << 20, async |disk| {
        let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
        for key in 0..40 {
            commit(&store, big(key)).await;
        }
        let crashed = disk.crashed();
        // A record that a crash left in part: the opening cuts it off.
        let torn = crashed.path().join(format!("log/{:020}.log", 1));
        let length = std::fs::metadata(&torn).unwrap().len();
        File::options().write(true).open(&torn).unwrap().set_len(length - 10).unwrap();
        drop(store);
        let mut refused = 0;
        for errno in [EIO, ENOSPC] {
            for at in 0.. {
                std::fs::remove_dir_all(disk.store()).unwrap();
                copy(crashed.path(), &disk.store());
                let (calls, hit) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
                let reached = Arc::clone(&hit);
                disk.faults.set(move |_| {
                    if calls.fetch_add(1, Ordering::Relaxed) == at {
                        reached.store(true, Ordering::Relaxed);
                        return Verdict::Fails(errno);
                    }
                    Verdict::Done
                });
                match EmbeddedStore::open_with(disk.store(), small()) {
                    Ok(store) => assert_eq!(store.revision().await.unwrap(), 39),
                    Err(error) => {
                        refused += 1;
                        let path = disk.store();
                        assert!(error.to_string().contains(&*path.to_string_lossy()), "{at}: {error}");
                        assert!(error.to_string().contains("os error"), "{at}: {error}");
                    }
                }
                disk.faults.clear();
                let store = EmbeddedStore::open_with(disk.store(), small()).unwrap();
                assert_eq!(store.range("w/", None, 100).await.unwrap().entries.len(), 39, "{errno} at {at}");
                assert_eq!(commit(&store, Txn::new().then(put("x", "y"))).await, 40);
                if !hit.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        assert!(refused > 5, "{refused}");
    });
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to.join("log")).unwrap();
    for entry in std::fs::read_dir(from).unwrap().chain(std::fs::read_dir(from.join("log")).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.strip_prefix(from).unwrap())).unwrap();
        }
    }
}
