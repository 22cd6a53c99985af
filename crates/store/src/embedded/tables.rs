//! The tables of the embedded store and how their rows are encoded.
//!
//! - `data`: key -> revision of last change (8 bytes, little endian), then the value
//! - `state`: one row: format and revision, written when the tables are made durable

use bytes::Bytes;
use redb::{ReadTransaction, TableDefinition};

use crate::{Entry, Revision, StoreError};

/// Keys and their values.
pub(super) const DATA: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("data");
/// Format, revision and two numbers that are not used any more, under key 0.
pub(super) const STATE: TableDefinition<'static, u8, (u64, u64, u64, u64)> = TableDefinition::new("state");

/// The format this code reads and writes. 1 kept the change log in a table.
const FORMAT: u64 = 2;
/// Bytes before the value in a row of [`DATA`].
pub(super) const DATA_HEADER: usize = 8;

/// The row of [`STATE`] for tables that are at a revision.
pub(super) fn state_row(revision: Revision) -> (u64, u64, u64, u64) {
    (FORMAT, revision, 0, 0)
}

/// The revision that the tables were at when they were last made durable.
///
/// # Errors
/// [`StoreError::Format`] if other code wrote them, [`StoreError::Corrupt`] if they are not of a store.
pub(super) fn durable_revision(transaction: &ReadTransaction) -> Result<Revision, StoreError> {
    let table = transaction.open_table(STATE).map_err(storage)?;
    let row = table.get(0).map_err(storage)?;
    let (found, revision, ..) = row.ok_or_else(|| StoreError::Corrupt("state row missing".into()))?.value();
    if found == FORMAT { Ok(revision) } else { Err(StoreError::Format { found, supported: FORMAT }) }
}

/// Any error of the database.
pub(super) fn storage(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        redb::Error::PreviousIo => StoreError::Unavailable(
            "the tables cannot be used after an earlier error of their file: open the store anew (restart)"
                .into(),
        ),
        error => StoreError::Unavailable(error.to_string()),
    }
}

/// The revision in a row of [`DATA`].
pub(super) fn row_revision(row: &[u8]) -> Result<Revision, StoreError> {
    let header = row.first_chunk::<DATA_HEADER>();
    header.map(|h| u64::from_le_bytes(*h)).ok_or_else(|| StoreError::Corrupt("short data row".into()))
}

/// A row of [`DATA`] as the caller wants it.
pub(super) fn entry(key: &str, row: &[u8]) -> Result<Entry, StoreError> {
    let mod_revision = row_revision(row)?;
    let value = Bytes::copy_from_slice(row.get(DATA_HEADER..).unwrap_or_default());
    Ok(Entry { key: key.to_owned(), value, mod_revision })
}
