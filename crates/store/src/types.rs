//! What goes in and out of a store: entries, transactions, watch events.

use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;

use crate::StoreError;

/// The store-wide version counter: each transaction that changes something takes the next one (from 1).
pub type Revision = u64;

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value as written.
    pub value: Bytes,
    /// The revision of the transaction that last wrote this key.
    pub mod_revision: Revision,
}

/// A page of entries, all as of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Ascending by key.
    pub entries: Vec<Entry>,
    /// The store's revision the page was read at.
    pub revision: Revision,
    /// Whether entries remain behind the last one.
    pub more: bool,
}

/// What a [`Compare`] asks of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The key exists and was last written by this revision.
    ModRevision(Revision),
    /// The key does not exist.
    Absent,
    /// The key exists.
    Present,
}

/// A precondition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key looked at. It need not be one that the transaction writes.
    pub key: String,
    /// What must hold for it.
    pub condition: Condition,
}

impl Compare {
    /// `key` must not exist.
    pub fn absent(key: impl Into<String>) -> Self {
        Self { key: key.into(), condition: Condition::Absent }
    }

    /// `key` must exist.
    pub fn present(key: impl Into<String>) -> Self {
        Self { key: key.into(), condition: Condition::Present }
    }

    /// `key` must exist and be unchanged since `revision`.
    pub fn unchanged(key: impl Into<String>, revision: Revision) -> Self {
        Self { key: key.into(), condition: Condition::ModRevision(revision) }
    }
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write `value` under `key`, whether or not it exists.
    Put {
        /// The key.
        key: String,
        /// The new value.
        value: Bytes,
    },
    /// Remove `key` if it exists.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// A put.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into() }
    }

    /// A delete.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::Delete { key: key.into() }
    }

    /// The key written.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The value written; `None` for a delete.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Put { value, .. } => Some(value),
            Self::Delete { .. } => None,
        }
    }
}

/// Writes that happen together, if all comparisons hold. Each key may be written once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold.
    pub compare: Vec<Compare>,
    /// Applied in order, as one.
    pub ops: Vec<Op>,
}

impl Txn {
    /// A transaction that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a precondition.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn then(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }
}

/// The outcome of a transaction that could be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// Applied and durable, at this revision. If nothing changed (no operations, or only deletes of absent keys) it
    /// is the newest revision, and no new one was taken.
    Committed(Revision),
    /// The first comparison that did not hold; nothing was written.
    Conflict {
        /// The key of that comparison.
        key: String,
    },
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was written.
    Put(Bytes),
    /// It was removed; the value it had, since that is often needed to know what went (a name, for instance).
    Delete {
        /// The value before.
        previous: Bytes,
    },
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: String,
    /// Its new value, or that it is gone.
    pub kind: EventKind,
}

/// The changes that one transaction made to the watched prefix, in the order of its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    /// The revision of the transaction.
    pub revision: Revision,
    /// Empty in a progress notice.
    pub events: Vec<Event>,
}

/// What [`crate::Store::watch`] returns.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchBatch, StoreError>> + Send + 'static>>;

/// What [`crate::Store::snapshot`] returns: pages of entries.
pub type EntryStream = Pin<Box<dyn Stream<Item = Result<Vec<Entry>, StoreError>> + Send + 'static>>;

/// The largest transaction a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations in one transaction.
    pub max_ops: usize,
    /// Comparisons in one transaction.
    pub max_compares: usize,
    /// Bytes of all keys and values together.
    pub max_bytes: usize,
    /// Bytes of one key.
    pub max_key: usize,
}

impl Limits {
    /// Whether `txn` is well formed and fits.
    ///
    /// # Errors
    /// [`StoreError::InvalidTxn`] or [`StoreError::TooLarge`].
    pub fn check(&self, txn: &Txn) -> Result<(), StoreError> {
        let counts = [
            ("operations", txn.ops.len(), self.max_ops),
            ("comparisons", txn.compare.len(), self.max_compares),
        ];
        if let Some((what, size, limit)) = counts.into_iter().find(|(_, size, limit)| size > limit) {
            return Err(StoreError::TooLarge { what, size, limit });
        }
        let mut bytes = 0usize;
        for key in txn.compare.iter().map(|c| c.key.as_str()).chain(txn.ops.iter().map(Op::key)) {
            if key.is_empty() || key.len() > self.max_key {
                return Err(StoreError::InvalidTxn(format!("key of {} bytes", key.len())));
            }
            bytes = bytes.saturating_add(key.len());
        }
        for value in txn.ops.iter().filter_map(Op::value) {
            bytes = bytes.saturating_add(value.len());
        }
        if bytes > self.max_bytes {
            return Err(StoreError::TooLarge { what: "bytes", size: bytes, limit: self.max_bytes });
        }
        let mut keys: Vec<&str> = txn.ops.iter().map(Op::key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(StoreError::InvalidTxn(format!("key {} written twice", pair[0]))),
            None => Ok(()),
        }
    }
}
