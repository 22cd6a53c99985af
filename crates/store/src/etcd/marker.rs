//! How the outcome of a transaction is known although its answer was lost.
//!
//! Each transaction in flight owns a *slot*, a key of this process. The transaction compares the slot's revision with
//! what it is known to be and writes its own number there. If the answer is lost, another transaction (the *fence*)
//! looks at the slot: if the number is there, the transaction was committed, at the slot's revision; if not, the fence
//! overwrites the slot, and with it the comparison of the lost transaction, which can never be committed any more.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::connection::Connection;
use crate::{Revision, StoreError};

/// Transactions of one process in flight; a caller beyond it waits.
const SLOTS: usize = 64;
/// Slots left by processes that ended are removed after this time. A transaction in flight is far younger.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Abandoned slots looked at when a store is opened.
const SWEEP: i64 = 1000;

/// What is known of a slot's revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It does not exist.
    Absent,
    /// Last written by this revision.
    At(Revision),
    /// A transaction over it was left undecided.
    Unknown,
}

/// The slots of this process.
pub(super) struct Slots {
    prefix: String,
    free: Mutex<Vec<(usize, Known)>>,
    places: Semaphore,
    numbers: AtomicU64,
}

/// A slot in use; goes back, as unknown unless told otherwise, when dropped.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    key: String,
    index: usize,
    known: Known,
    _place: SemaphorePermit<'a>,
}

impl Slots {
    /// Slots below `prefix`, under a name nobody else has.
    pub(super) fn new(prefix: &str) -> Self {
        let free = (0..SLOTS).rev().map(|index| (index, Known::Absent)).collect();
        Self {
            prefix: format!("{prefix}{}/", Uuid::new_v4()),
            free: Mutex::new(free),
            places: Semaphore::new(SLOTS),
            numbers: AtomicU64::new(0),
        }
    }

    /// A free slot; waits for one.
    pub(super) async fn take(&self) -> Result<Slot<'_>, StoreError> {
        let closed = || StoreError::Unavailable("store closed".into());
        let place = self.places.acquire().await.map_err(|_| closed())?;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (index, known) = free.ok_or_else(closed)?;
        Ok(Slot { slots: self, key: format!("{}{index:03}", self.prefix), index, known, _place: place })
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self.slots.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push((self.index, self.known));
    }
}

impl Slot<'_> {
    /// The slot's key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What to compare and to write in the next transaction over this slot. From here on its revision is unknown,
    /// until [`Slot::written`] or [`Slot::resolve`].
    pub(super) fn begin(&mut self) -> Option<(Compare, String)> {
        let compare = match self.known {
            Known::Absent => Compare::version(self.key.as_str(), CompareOp::Equal, 0),
            Known::At(revision) => {
                Compare::mod_revision(self.key.as_str(), CompareOp::Equal, i64::try_from(revision).ok()?)
            }
            Known::Unknown => return None,
        };
        let known = std::mem::replace(&mut self.known, Known::Unknown);
        debug_assert_ne!(known, Known::Unknown);
        Some((compare, self.value("t")))
    }

    /// The slot was last written by this revision.
    pub(super) fn written(&mut self, revision: Revision) {
        self.known = Known::At(revision);
    }

    /// The transaction begun was not sent, or did not change the slot: what was known still holds.
    pub(super) fn untouched(&mut self, revision: Option<Revision>) {
        self.known = revision.map_or(Known::Absent, Known::At);
    }

    /// Time (for the sweep) and a number that this process uses once.
    fn value(&self, kind: &str) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        format!("{now} {kind}{}", self.slots.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Decides what became of the transaction that was to write `value`: the revision it was committed at, or `None`
    /// if it was not and never will be.
    pub(super) async fn resolve(
        &mut self,
        connection: &Connection,
        value: &str,
    ) -> Result<Option<Revision>, StoreError> {
        let fence = self.value("f");
        let key = self.key.as_str();
        let txn = Txn::new()
            .when([Compare::value(key, CompareOp::Equal, value)])
            .and_then([TxnOp::get(key, None)])
            .or_else([TxnOp::put(key, fence, None)]);
        let call = |mut kv: etcd_client::KvClient| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        };
        let response = connection.repeat(call).await.map_err(|failure| {
            let error = failure.into_error(&connection.options);
            StoreError::Unavailable(format!("it is unknown whether a transaction was committed: {error}"))
        })?;
        let revision = connection.note(response.header())?;
        if !response.succeeded() {
            self.written(revision);
            return Ok(None);
        }
        let written = response.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(get) => get.kvs().first().map(etcd_client::KeyValue::mod_revision),
            _ => None,
        });
        let written = written.and_then(|revision| u64::try_from(revision).ok());
        let written = written.ok_or_else(|| StoreError::Corrupt(format!("{key} has no revision")))?;
        self.written(written);
        Ok(Some(written))
    }

    /// Makes the slot's revision known if it is not.
    pub(super) async fn settle(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.known == Known::Unknown {
            self.resolve(connection, "").await?;
        }
        Ok(())
    }
}

/// Removes slots of processes that ended long ago. What can not be removed stays for the next time.
pub(super) async fn sweep(connection: &Connection, prefix: &str) -> Result<usize, StoreError> {
    let options = GetOptions::new().with_prefix().with_limit(SWEEP);
    let found = connection.get(prefix.as_bytes(), options).await?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut removed = 0;
    for kv in found.kvs() {
        let millis = kv.value_str().ok().and_then(|v| v.split(' ').next()).and_then(|t| t.parse().ok());
        let age = now.saturating_sub(Duration::from_millis(millis.unwrap_or(0)));
        if age < ABANDONED {
            continue;
        }
        let unchanged = Compare::mod_revision(kv.key(), CompareOp::Equal, kv.mod_revision());
        let txn = Txn::new().when([unchanged]).and_then([TxnOp::delete(kv.key(), None)]);
        if connection.once(async |mut kv| kv.txn(txn).await).await.is_err() {
            break;
        }
        removed += 1;
    }
    Ok(removed)
}
