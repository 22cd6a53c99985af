//! Random transactions against a plain map: same outcomes, same contents, and a watcher that replays to the same.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use proptest::prelude::*;
use weft_store::{Compare, Condition, EmbeddedOptions, EmbeddedStore, EventKind, Op, Store, Txn, TxnResult};

/// What the store should be: values with the revision of their last change.
#[derive(Default)]
struct Model {
    revision: u64,
    data: BTreeMap<String, (u64, Bytes)>,
}

impl Model {
    fn txn(&mut self, txn: &Txn) -> TxnResult {
        for compare in &txn.compare {
            let found = self.data.get(&compare.key).map(|(revision, _)| *revision);
            let holds = match compare.condition {
                Condition::Absent => found.is_none(),
                Condition::Present => found.is_some(),
                Condition::ModRevision(revision) => found == Some(revision),
            };
            if !holds {
                return TxnResult::Conflict { key: compare.key.clone() };
            }
        }
        let next = self.revision + 1;
        let mut changed = false;
        for op in &txn.ops {
            changed |= match op {
                Op::Put { key, value } => {
                    self.data.insert(key.clone(), (next, value.clone()));
                    true
                }
                Op::Delete { key } => self.data.remove(key).is_some(),
            };
        }
        self.revision += u64::from(changed);
        TxnResult::Committed(self.revision)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Txn(Txn),
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("p/a"), Just("p/b"), Just("p/c"), Just("q/a"), Just("q/b")].prop_map(str::to_owned)
}

fn txn() -> impl Strategy<Value = Txn> {
    let condition = prop_oneof![
        Just(Condition::Absent),
        Just(Condition::Present),
        (0u64..20).prop_map(Condition::ModRevision)
    ];
    let compare = (key(), condition).prop_map(|(key, condition)| Compare { key, condition });
    let ops = proptest::collection::btree_map(key(), proptest::option::of("[a-z]{0,3}"), 0..4);
    let op = |(key, value)| match value {
        Some(value) => Op::put(key, Bytes::from(value)),
        None => Op::delete(key),
    };
    (proptest::collection::vec(compare, 0..2), ops)
        .prop_map(move |(compare, ops)| Txn { compare, ops: ops.into_iter().map(op).collect() })
}

async fn check(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    // Rows move from memory to the tables all the time.
    let options = EmbeddedOptions { memory_bytes: 200, ..EmbeddedOptions::default() };
    let open = || EmbeddedStore::open_with(dir.path(), options.clone()).unwrap();
    let (mut store, mut model) = (open(), Model::default());
    for step in steps {
        match step {
            Step::Txn(txn) => {
                assert_eq!(store.txn(txn.clone()).await.unwrap(), model.txn(&txn));
                pages(&store, &model).await;
            }
            Step::Reopen => {
                drop(store);
                store = open();
            }
        }
    }
    for prefix in ["p/", "q/", ""] {
        let range = store.range(prefix, None, 100).await.unwrap();
        assert_eq!(range.revision, model.revision);
        let expected = model.data.iter().filter(|(key, _)| key.starts_with(prefix));
        let found = range.entries.iter().map(|e| (&e.key, (e.mod_revision, &e.value)));
        assert!(found.eq(expected.map(|(key, (revision, value))| (key, (*revision, value)))));
    }
    replay(&store, &model).await;
}

/// Pages of two entries, and one snapshot, are what the model holds.
async fn pages(store: &EmbeddedStore, model: &Model) {
    let (mut after, mut read) = (None::<String>, Vec::new());
    loop {
        let page = store.range("", after.as_deref(), 2).await.unwrap();
        assert!(page.entries.len() <= 2 && page.revision == model.revision);
        read.extend(page.entries.into_iter().map(|e| (e.key, (e.mod_revision, e.value))));
        after = read.last().map(|(key, _)| key.clone());
        if !page.more {
            break;
        }
    }
    let expected: Vec<_> = model.data.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(read, expected);
    let (revision, mut entries) = store.snapshot().await.unwrap();
    let mut read = Vec::new();
    while let Some(page) = entries.next().await {
        read.extend(page.unwrap().into_iter().map(|e| (e.key, (e.mod_revision, e.value))));
    }
    assert_eq!((revision, read), (model.revision, expected));
}

/// A watch from the beginning leads to the same map.
async fn replay(store: &EmbeddedStore, model: &Model) {
    let mut watch = store.watch("", 0).await.unwrap();
    let (mut data, mut at) = (BTreeMap::new(), 0);
    while at < model.revision {
        let batch = watch.next().await.unwrap().unwrap();
        assert_eq!(batch.revision, at + 1);
        at = batch.revision;
        for event in batch.events {
            match event.kind {
                EventKind::Put(value) => drop(data.insert(event.key, (at, value))),
                EventKind::Delete { previous } => {
                    assert_eq!(data.remove(&event.key).map(|(_, value)| value), Some(previous));
                }
            }
        }
    }
    assert_eq!(data, model.data);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn behaves_like_a_map_with_revisions(
        steps in proptest::collection::vec(prop_oneof![9 => txn().prop_map(Step::Txn), 1 => Just(Step::Reopen)], 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps));
    }
}
