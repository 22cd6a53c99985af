//! What any implementation of [`Store`] must do; run against each by the tests of this directory.

#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use weft_store::{
    Compare, Event, EventKind, Op, Revision, Store, StoreError, Txn, TxnResult, WatchBatch, WatchStream,
};

/// Runs every check, each in a key space of its own so that they share one store.
pub(crate) async fn conformance(store: Arc<dyn Store>) {
    reads_what_was_written(&*store).await;
    revisions_count_transactions(&*store).await;
    comparisons_decide(&*store).await;
    a_refused_transaction_changes_nothing(&*store).await;
    ranges_page_in_order(&*store).await;
    many_keys_are_read_in_their_order(&*store).await;
    bad_transactions_are_refused(&*store).await;
    large_transactions_are_whole(&*store).await;
    many_comparisons_are_one_decision(Arc::clone(&store)).await;
    watch_replays_and_follows(Arc::clone(&store)).await;
    watch_reports_progress(&*store).await;
    watch_from_the_future_fails(&*store).await;
    one_of_many_competitors_wins(Arc::clone(&store)).await;
    concurrent_increments_are_all_counted(store).await;
}

async fn many_keys_are_read_in_their_order(store: &dyn Store) {
    let revision = commit(
        store,
        (0..150).map(|n| put(&format!("many/{n}"), &n.to_string())).fold(Txn::new(), Txn::then),
    )
    .await;
    let keys: Vec<String> = (0..200).rev().map(|n| format!("many/{n}")).collect();
    let entries = store.get_many(&keys).await.unwrap();
    assert_eq!(entries.len(), keys.len());
    for (key, entry) in keys.iter().zip(entries) {
        let number: u32 = key.trim_start_matches("many/").parse().unwrap();
        let expected = (number < 150).then(|| (key.clone(), number.to_string(), revision));
        let found = entry.map(|e| (e.key, String::from_utf8(e.value.to_vec()).unwrap(), e.mod_revision));
        assert_eq!(found, expected);
    }
    assert!(store.get_many(&[]).await.unwrap().is_empty());
}

pub(crate) async fn commit(store: &dyn Store, txn: Txn) -> Revision {
    match store.txn(txn).await.unwrap() {
        TxnResult::Committed(revision) => revision,
        TxnResult::Conflict { key } => panic!("conflict on {key}"),
    }
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::put(key, value.to_owned())
}

pub(crate) async fn next(stream: &mut WatchStream) -> Result<WatchBatch, StoreError> {
    tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("watch is silent").expect("end")
}

/// The next batch that is not a mere progress notice.
pub(crate) async fn next_events(stream: &mut WatchStream) -> WatchBatch {
    loop {
        let batch = next(stream).await.unwrap();
        if !batch.events.is_empty() {
            return batch;
        }
    }
}

async fn reads_what_was_written(store: &dyn Store) {
    assert_eq!(store.get("a/none").await.unwrap(), None);
    let revision = commit(store, Txn::new().then(put("a/1", "one")).then(put("a/2", ""))).await;
    let entry = store.get("a/1").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.mod_revision), ("a/1", &b"one"[..], revision));
    assert!(store.get("a/2").await.unwrap().unwrap().value.is_empty());
    commit(store, Txn::new().then(Op::delete("a/1"))).await;
    assert_eq!(store.get("a/1").await.unwrap(), None);
}

async fn revisions_count_transactions(store: &dyn Store) {
    let before = store.revision().await.unwrap();
    let first = commit(store, Txn::new().then(put("b/1", "x")).then(put("b/2", "y"))).await;
    assert!(first > before);
    let second = commit(store, Txn::new().then(put("b/1", "x"))).await;
    assert!(second > first);
    assert_eq!(store.get("b/1").await.unwrap().unwrap().mod_revision, second);
    assert_eq!(store.get("b/2").await.unwrap().unwrap().mod_revision, first);
    assert_eq!(commit(store, Txn::new()).await, second);
    assert_eq!(commit(store, Txn::new().then(Op::delete("b/none"))).await, second);
    assert_eq!(store.revision().await.unwrap(), second);
}

async fn comparisons_decide(store: &dyn Store) {
    let conflict = |key: &str| TxnResult::Conflict { key: key.into() };
    let revision = commit(store, Txn::new().when(Compare::absent("c/1")).then(put("c/1", "x"))).await;
    let again = Txn::new().when(Compare::absent("c/1")).then(put("c/1", "y"));
    assert_eq!(store.txn(again).await.unwrap(), conflict("c/1"));
    let missing =
        Txn::new().when(Compare::present("c/1")).when(Compare::present("c/2")).then(put("c/3", "y"));
    assert_eq!(store.txn(missing).await.unwrap(), conflict("c/2"));
    let stale = Txn::new().when(Compare::unchanged("c/1", revision - 1)).then(put("c/1", "y"));
    assert_eq!(store.txn(stale).await.unwrap(), conflict("c/1"));
    let gone = Txn::new().when(Compare::unchanged("c/2", revision)).then(put("c/1", "y"));
    assert_eq!(store.txn(gone).await.unwrap(), conflict("c/2"));
    commit(store, Txn::new().when(Compare::unchanged("c/1", revision)).then(put("c/1", "z"))).await;
    commit(store, Txn::new().when(Compare::present("c/1")).then(Op::delete("c/1"))).await;
    commit(store, Txn::new().when(Compare::absent("c/1"))).await;
}

async fn a_refused_transaction_changes_nothing(store: &dyn Store) {
    let before = commit(store, Txn::new().then(put("d/1", "x"))).await;
    let txn = Txn::new()
        .when(Compare::absent("d/1"))
        .then(Op::delete("d/1"))
        .then(put("d/2", "y"))
        .then(put("d/3", "z"));
    assert!(matches!(store.txn(txn).await.unwrap(), TxnResult::Conflict { .. }));
    assert_eq!(store.revision().await.unwrap(), before);
    let range = store.range("d/", None, 10).await.unwrap();
    assert_eq!(range.entries.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["d/1"]);
}

async fn ranges_page_in_order(store: &dyn Store) {
    let keys: Vec<String> = (0..100).map(|i| format!("e/{i:03}")).collect();
    let mut txn = Txn::new().then(put("e", "before")).then(put("e0", "behind"));
    txn.ops.extend(keys.iter().rev().map(|key| put(key, key)));
    let revision = commit(store, txn).await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.range("e/", after.as_deref(), 7).await.unwrap();
        assert!(page.entries.len() <= 7 && page.revision >= revision);
        seen.extend(page.entries.iter().map(|e| e.key.clone()));
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, keys);
    let whole = store.range("e/", None, 100).await.unwrap();
    assert_eq!((whole.entries.len(), whole.more), (100, false));
    assert!(store.range("e/", None, 99).await.unwrap().more);
    assert!(store.range("e/", Some("e/099"), 5).await.unwrap().entries.is_empty());
    assert_eq!(store.range("e/", Some("a"), 5).await.unwrap().entries[0].key, "e/000");
    assert!(store.range("nothing/", None, 5).await.unwrap().entries.is_empty());
}

async fn bad_transactions_are_refused(store: &dyn Store) {
    let twice = Txn::new().then(put("f/1", "x")).then(Op::delete("f/1"));
    assert!(matches!(store.txn(twice).await, Err(StoreError::InvalidTxn(_))));
    let empty = Txn::new().then(put("", "x"));
    assert!(matches!(store.txn(empty).await, Err(StoreError::InvalidTxn(_))));
    let long = Txn::new().then(Op::put("f/1".repeat(store.limits().max_key), "x"));
    assert!(matches!(store.txn(long).await, Err(StoreError::InvalidTxn(_))));
    let big = Txn::new().then(Op::put("f/1", vec![0; store.limits().max_bytes + 1]));
    assert!(matches!(store.txn(big).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(store.get("f/1").await.unwrap(), None);
}

async fn large_transactions_are_whole(store: &dyn Store) {
    let count = store.limits().max_ops.min(5_000);
    let mut txn = Txn::new();
    txn.ops.extend((0..count).map(|i| put(&format!("g/{i}"), "v")));
    let revision = commit(store, txn).await;
    let (mut seen, mut after) = (0, None::<String>);
    loop {
        let page = store.range("g/", after.as_deref(), 1000).await.unwrap();
        assert!(page.entries.iter().all(|e| e.mod_revision == revision));
        seen += page.entries.len();
        after = page.entries.last().map(|e| e.key.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, count);
    let mut txn = Txn::new();
    txn.ops.extend((0..count).map(|i| Op::delete(format!("g/{i}"))));
    commit(store, txn).await;
    assert!(store.range("g/", None, 1).await.unwrap().entries.is_empty());
}

/// Competitors for overlapping sets of many keys that must be absent: no key is given twice, no set in part.
async fn many_comparisons_are_one_decision(store: Arc<dyn Store>) {
    commit(&*store, Txn::new().then(put("o/present", "x"))).await;
    let tries = (0..6u64).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut txn = Txn::new().when(Compare::present("o/present"));
            for number in i * 100..i * 100 + 250 {
                let key = format!("o/{number:04}");
                txn = txn.when(Compare::absent(key.clone())).then(put(&key, &i.to_string()));
            }
            (i, store.txn(txn).await.unwrap())
        })
    });
    let mut won = Vec::new();
    for outcome in futures::future::join_all(tries).await {
        match outcome.unwrap() {
            (i, TxnResult::Committed(_)) => won.push(i),
            (i, TxnResult::Conflict { key }) => assert!(key >= format!("o/{:04}", i * 100), "{i}: {key}"),
        }
    }
    assert!(!won.is_empty());
    let mut txn = Txn::new().when(Compare::present("o/present")).when(Compare::absent("o/0000x"));
    for winner in won {
        for number in winner * 100..winner * 100 + 250 {
            let key = format!("o/{number:04}");
            let entry = store.get(&key).await.unwrap().unwrap();
            assert_eq!(entry.value, winner.to_string().as_bytes());
            txn = txn.when(Compare::unchanged(key.clone(), entry.mod_revision));
        }
    }
    // Nothing is written by comparisons alone, however many.
    let before = store.revision().await.unwrap();
    assert!(matches!(store.txn(txn.clone()).await.unwrap(), TxnResult::Committed(_)));
    txn.compare.push(Compare::absent("o/present"));
    assert_eq!(store.txn(txn).await.unwrap(), TxnResult::Conflict { key: "o/present".into() });
    assert_eq!(store.revision().await.unwrap(), before);
}

async fn watch_replays_and_follows(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let first = commit(&*store, Txn::new().then(put("h/1", "x")).then(put("i/1", "other"))).await;
    let mut watch = store.watch("h/", start).await.unwrap();
    let event = |key: &str, kind| Event { key: key.into(), kind };
    let put_event = |key, value: &'static str| event(key, EventKind::Put(value.into()));
    let batch = next_events(&mut watch).await;
    assert_eq!(batch, WatchBatch { revision: first, events: vec![put_event("h/1", "x")] });

    commit(&*store, Txn::new().then(put("i/2", "other"))).await;
    let second = commit(&*store, Txn::new().then(put("h/2", "y")).then(Op::delete("h/1"))).await;
    let mut batch = next_events(&mut watch).await;
    assert_eq!(batch.revision, second);
    batch.events.sort_by(|a, b| a.key.cmp(&b.key));
    let gone = event("h/1", EventKind::Delete { previous: "x".into() });
    assert_eq!(batch.events, vec![gone, put_event("h/2", "y")]);

    let mut late = store.watch("h/", first).await.unwrap();
    assert_eq!(next_events(&mut late).await.revision, second);
}

async fn watch_reports_progress(store: &dyn Store) {
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("j/", start).await.unwrap();
    let last = commit(store, Txn::new().then(put("k/1", "elsewhere"))).await;
    while next(&mut watch).await.unwrap().revision < last {}
    let ours = commit(store, Txn::new().then(put("j/1", "x"))).await;
    let last = commit(store, Txn::new().then(put("k/1", "elsewhere"))).await;
    assert_eq!(next_events(&mut watch).await.revision, ours);
    while next(&mut watch).await.unwrap().revision < last {}
}

async fn watch_from_the_future_fails(store: &dyn Store) {
    let future = store.revision().await.unwrap() + 1000;
    assert!(matches!(store.watch("l/", future).await, Err(StoreError::FutureRevision { .. })));
}

async fn one_of_many_competitors_wins(store: Arc<dyn Store>) {
    let tries = (0..16).map(|i| {
        let store = Arc::clone(&store);
        let txn = Txn::new().when(Compare::absent("m/1")).then(put("m/1", &i.to_string()));
        tokio::spawn(async move { store.txn(txn).await.unwrap() })
    });
    let outcomes = futures::future::join_all(tries).await;
    let won = outcomes.into_iter().filter(|o| matches!(o, Ok(TxnResult::Committed(_)))).count();
    assert_eq!(won, 1);
}

async fn concurrent_increments_are_all_counted(store: Arc<dyn Store>) {
    commit(&*store, Txn::new().then(put("n/1", "0"))).await;
    let tasks = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..10 {
                while !increment(&*store, "n/1").await {}
            }
        })
    });
    futures::future::join_all(tasks).await;
    assert_eq!(&store.get("n/1").await.unwrap().unwrap().value[..], b"80");
}

async fn increment(store: &dyn Store, key: &str) -> bool {
    let entry = store.get(key).await.unwrap().unwrap();
    let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
    let txn = Txn::new()
        .when(Compare::unchanged(key, entry.mod_revision))
        .then(put(key, &(number + 1).to_string()));
    matches!(store.txn(txn).await.unwrap(), TxnResult::Committed(_))
}
