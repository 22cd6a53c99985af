//! The rows that the tests write, and how they come to what a full memory refuses.

use weft_store::{EmbeddedOptions, EmbeddedStore, Op, Store, StoreError, Txn};

use crate::common::commit;
use crate::disk::Disk;

/// Rows in the tables before they fail.
const SETTLED: usize = 200;
/// Rows at which memory must long be full.
const MOST: usize = 400;

/// Writes one row of a kilobyte.
pub(crate) fn big(key: usize) -> Txn {
    Txn::new().then(Op::put(format!("w/{key:05}"), vec![7; 1000]))
}

/// A store with [`SETTLED`] rows, all of them in the tables.
pub(crate) async fn settled(disk: &Disk, options: EmbeddedOptions) -> EmbeddedStore {
    let store = EmbeddedStore::open_with(disk.store(), options.clone()).unwrap();
    for key in 0..SETTLED {
        commit(&store, big(key)).await;
    }
    drop(store);
    EmbeddedStore::open_with(disk.store(), options).unwrap()
}

/// Writes after the [`SETTLED`] rows until that is refused: how many rows are acknowledged then, and why there are no more.
pub(crate) async fn until_refused(store: &EmbeddedStore) -> (usize, StoreError) {
    let mut acknowledged = SETTLED;
    loop {
        match store.txn(big(acknowledged)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => return (acknowledged, error),
        }
        assert!(acknowledged < MOST, "memory is not bounded");
    }
}
