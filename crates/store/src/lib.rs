//! The store: the one place where configuration is true.
//!
//! [`Store`] is a small, object-safe trait (get, range, transaction, watch) over an ordered map of UTF-8 keys to
//! byte strings with a single, store-wide [`Revision`]. [`EmbeddedStore`] implements it on one machine, [`EtcdStore`] for
//! several processes over an etcd cluster; [`open`] takes the location of either.
//!
//! What always holds, whatever the implementation (tests/common checks it over both):
//! - every transaction that changes something gets a revision of its own, greater than all before;
//! - a transaction is applied whole or not at all, and once acknowledged survives any crash;
//! - a reader never sees part of a transaction, and never waits for a writer;
//! - a watcher sees every change after its starting revision exactly once and in order, or gets a typed error that
//!   tells it to synchronise anew; it is never left with a silent gap.

pub mod backup;
pub mod check;
pub mod config;
pub mod dump;
mod embedded;
mod error;
mod etcd;
pub mod layout;
pub mod pages;
mod types;

pub use embedded::{EmbeddedOptions, EmbeddedStore, fuzz_log};
pub use error::StoreError;
pub use etcd::{EtcdOptions, EtcdStore};
pub use types::{
    Compare, Condition, Entry, EntryStream, Event, EventKind, Limits, Op, Range, Revision, Txn, TxnResult,
    WatchBatch, WatchStream,
};

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future, so that [`Store`] can be used as `dyn Store`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens the store at `location`: `etcd://host:port,...` ([`EtcdOptions::parse`]) or the directory of an embedded one,
/// made if it is not there.
///
/// # Errors
/// Those of [`EmbeddedStore::open`] and [`EtcdStore::open`].
pub async fn open(location: &str) -> Result<Arc<dyn Store>, StoreError> {
    if location.contains("://") {
        return Ok(Arc::new(EtcdStore::open(EtcdOptions::parse(location)?).await?));
    }
    Ok(Arc::new(EmbeddedStore::open(Path::new(location))?))
}

/// An ordered, revisioned, watchable map from UTF-8 keys to bytes (design.md, item 2).
///
/// All futures are cancel-safe for readers. A [`Store::txn`] whose future is dropped may or may not have been
/// committed: the caller must read to find out, as after [`StoreError::Unavailable`].
pub trait Store: Send + Sync + 'static {
    /// The entry stored under `key` at the newest revision.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store cannot be read, [`StoreError::Corrupt`] if what it holds is not ours.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>>;

    /// The entries of several keys, in the order of the keys; not necessarily as of one revision.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get_many<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Entry>>, StoreError>> {
        Box::pin(async move {
            let mut entries = Vec::with_capacity(keys.len());
            for key in keys {
                entries.push(self.get(key).await?);
            }
            Ok(entries)
        })
    }

    /// Up to `limit` entries whose keys start with `prefix`, in ascending byte order of the key, all as of one
    /// revision. `after` resumes behind that key (exclusive): pass the last key of the page before. The implementation
    /// may return fewer than `limit` ([`Range::more`] says whether there is a rest), never more.
    ///
    /// Pages taken by several calls may be of different revisions: compare [`Range::revision`].
    ///
    /// # Errors
    /// As [`Store::get`].
    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Range, StoreError>>;

    /// All entries in ascending byte order of the key, as of one revision, page by page as they are read. A store that
    /// cannot keep that revision for so long ends the stream with an error ([`StoreError::Compacted`]).
    ///
    /// # Errors
    /// As [`Store::get`].
    fn snapshot(&self) -> BoxFuture<'_, Result<(Revision, EntryStream), StoreError>>;

    /// Applies `txn` if all its comparisons hold, durably and as a whole.
    ///
    /// A transaction without operations commits nothing and reports the newest revision. Comparisons see the state
    /// before the transaction. Deleting an absent key is not an error (and not an event).
    ///
    /// # Errors
    /// [`StoreError::InvalidTxn`] for an empty or over-long key or a key written twice, [`StoreError::TooLarge`] for
    /// one beyond [`Store::limits`], [`StoreError::Refused`] if it cannot be written (a full disk; the next may be):
    /// nothing was done. [`StoreError::Unavailable`]: the outcome is unknown.
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResult, StoreError>>;

    /// A stream of all changes to keys that start with `prefix` committed *after* revision `from` (exclusive: pass
    /// the revision of the range or snapshot that was read).
    ///
    /// One [`WatchBatch`] per transaction that touched the prefix, ascending. A batch without events is a progress
    /// notice: nothing else touched the prefix up to its revision. The stream ends only with an error: after
    /// [`StoreError::Lagged`] the watcher must read the prefix again and watch from there.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the changes after `from` are no longer kept, [`StoreError::FutureRevision`] if the
    /// store has not reached `from` (it is another store, or an older copy).
    fn watch<'a>(&'a self, prefix: &'a str, from: Revision)
    -> BoxFuture<'a, Result<WatchStream, StoreError>>;

    /// The newest committed revision; 0 for a store that was never written.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// How large one transaction may be here. Callers with more to write split it.
    fn limits(&self) -> Limits;
}
