//! Everything that can go wrong with a store.

use std::path::PathBuf;

use crate::Revision;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process (or another handle of this one) has the store open.
    #[error("the store in {path} is in use by {holder}", path = path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who holds it, as far as known ("process 1234").
        holder: String,
    },
    /// The changes after `requested` are no longer kept: read everything again.
    #[error("revision {requested} is compacted, changes are kept after {oldest}")]
    Compacted {
        /// The revision asked for.
        requested: Revision,
        /// The smallest revision a watch can start from.
        oldest: Revision,
    },
    /// The watcher fell behind what is kept: read everything again and watch from there.
    #[error("watcher at revision {at} fell behind, changes are kept after {oldest}")]
    Lagged {
        /// The last revision the watcher has seen whole.
        at: Revision,
        /// The smallest revision a watch can start from.
        oldest: Revision,
    },
    /// The store has not reached this revision, so what the caller knows comes from another store.
    #[error("revision {requested} is ahead of the store's {current}")]
    FutureRevision {
        /// The revision asked for.
        requested: Revision,
        /// The newest one.
        current: Revision,
    },
    /// The transaction can never be applied as it is.
    #[error("invalid transaction: {0}")]
    InvalidTxn(String),
    /// The transaction is beyond [`crate::Limits`].
    #[error("transaction of {size} {what}, the limit is {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The files are of a format this version does not know.
    #[error("store format {found}, this version reads {supported}")]
    Format {
        /// The format found.
        found: u64,
        /// The format this version writes.
        supported: u64,
    },
    /// The store's location is not one.
    #[error("store location {location}: {what}")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it.
        what: String,
    },
    /// The store, or its server, refused the request: nothing was done, and it will not be later.
    #[error("the store refused: {0}")]
    Refused(String),
    /// Something in the store is not what was written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The store cannot be reached, read or written; a write in progress may or may not have happened.
    #[error("store unavailable: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// Whether a reader that keeps a copy must read everything anew.
    pub fn must_resync(&self) -> bool {
        matches!(self, Self::Compacted { .. } | Self::Lagged { .. } | Self::FutureRevision { .. })
    }
}
