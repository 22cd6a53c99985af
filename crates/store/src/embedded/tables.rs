//! The tables of the embedded store and how their rows are encoded.
//!
//! - `data`: key -> revision of last change (8 bytes, little endian), then the value
//! - `log`: first revision of a group of transactions -> the events of each, revisions ascending by one
//! - `state`: one row, [`State`]
//!
//! All three change in the same database transaction, so they always agree.

use bytes::{BufMut, Bytes, BytesMut};
use redb::{ReadTransaction, TableDefinition};

use crate::{Entry, Event, EventKind, Revision, StoreError, WatchBatch};

/// Keys and their values.
pub(super) const DATA: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("data");
/// The bounded change log.
pub(super) const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// The single [`State`] row, under key 0.
pub(super) const STATE: TableDefinition<'static, u8, (u64, u64, u64, u64)> = TableDefinition::new("state");

/// The format this code reads and writes.
pub(super) const FORMAT: u64 = 1;
/// Bytes before the value in a row of [`DATA`].
pub(super) const DATA_HEADER: usize = 8;

const PUT: u8 = 0;
const DELETE: u8 = 1;

/// Counters kept with the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The newest revision.
    pub(super) revision: Revision,
    /// The smallest revision a watch may start from.
    pub(super) oldest: Revision,
    /// Bytes of all rows of [`LOG`].
    pub(super) log_bytes: u64,
}

impl State {
    pub(super) fn to_row(self) -> (u64, u64, u64, u64) {
        (FORMAT, self.revision, self.oldest, self.log_bytes)
    }

    pub(super) fn from_row(row: (u64, u64, u64, u64)) -> Result<Self, StoreError> {
        let (format, revision, oldest, log_bytes) = row;
        if format != FORMAT {
            return Err(StoreError::Format { found: format, supported: FORMAT });
        }
        Ok(Self { revision, oldest, log_bytes })
    }

    pub(super) fn read(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let table = transaction.open_table(STATE).map_err(storage)?;
        let row = table.get(0).map_err(storage)?;
        Self::from_row(row.ok_or_else(|| StoreError::Corrupt("state row missing".into()))?.value())
    }
}

/// Any error of the database.
pub(super) fn storage(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
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

/// Encodes the row of [`LOG`] for transactions with ascending revisions. Lengths fit `u32`: [`crate::Limits`] is
/// checked before.
pub(super) fn encode_group(batches: &[WatchBatch]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32_le(batches.len() as u32);
    for batch in batches {
        out.put_u32_le(batch.events.len() as u32);
        for event in &batch.events {
            let (kind, value) = match &event.kind {
                EventKind::Put(value) => (PUT, value),
                EventKind::Delete { previous } => (DELETE, previous),
            };
            out.put_u8(kind);
            out.put_u32_le(event.key.len() as u32);
            out.put_slice(event.key.as_bytes());
            out.put_u32_le(value.len() as u32);
            out.put_slice(value);
        }
    }
    out
}

/// How many transactions a row of [`LOG`] holds.
pub(super) fn group_len(row: &[u8]) -> Result<u64, StoreError> {
    row.first_chunk::<4>().map(|c| u32::from_le_bytes(*c).into()).ok_or_else(short_log)
}

/// Decodes a row of [`LOG`] that starts at revision `first`.
///
/// # Errors
/// [`StoreError::Corrupt`] for anything [`encode_group`] did not write.
pub(super) fn decode_group(first: Revision, row: Bytes) -> Result<Vec<WatchBatch>, StoreError> {
    let mut row = row;
    let count = take_len(&mut row)?;
    let mut batches = Vec::new();
    for index in 0..count {
        let revision = first.checked_add(index as u64).ok_or_else(short_log)?;
        let mut events = Vec::new();
        for _ in 0..take_len(&mut row)? {
            events.push(take_event(&mut row)?);
        }
        batches.push(WatchBatch { revision, events });
    }
    if row.is_empty() { Ok(batches) } else { Err(StoreError::Corrupt("bytes after a log row".into())) }
}

fn take_event(row: &mut Bytes) -> Result<Event, StoreError> {
    let kind = take(row, 1)?;
    let key = take_len(row)?;
    let key = String::from_utf8(take(row, key)?.to_vec());
    let key = key.map_err(|_| StoreError::Corrupt("key in a log row is not UTF-8".into()))?;
    let value = take_len(row)?;
    let value = take(row, value)?;
    let kind = match kind.first() {
        Some(&PUT) => EventKind::Put(value),
        Some(&DELETE) => EventKind::Delete { previous: value },
        _ => return Err(StoreError::Corrupt("unknown event in a log row".into())),
    };
    Ok(Event { key, kind })
}

fn take(row: &mut Bytes, len: usize) -> Result<Bytes, StoreError> {
    if row.len() < len { Err(short_log()) } else { Ok(row.split_to(len)) }
}

fn take_len(row: &mut Bytes) -> Result<usize, StoreError> {
    let raw = take(row, 4)?;
    raw.first_chunk::<4>().map(|c| u32::from_le_bytes(*c) as usize).ok_or_else(short_log)
}

fn short_log() -> StoreError {
    StoreError::Corrupt("short log row".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batches() -> impl Strategy<Value = Vec<WatchBatch>> {
        let event = ("[a-z/]{1,12}", any::<bool>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(
            |(key, put, value)| {
                let value = Bytes::from(value);
                let kind = if put { EventKind::Put(value) } else { EventKind::Delete { previous: value } };
                Event { key, kind }
            },
        );
        proptest::collection::vec(proptest::collection::vec(event, 0..5), 0..5).prop_map(|groups| {
            let number = |(index, events)| WatchBatch { revision: 7 + index as u64, events };
            groups.into_iter().enumerate().map(number).collect()
        })
    }

    proptest! {
        #[test]
        fn a_log_row_decodes_to_what_was_encoded(batches in batches()) {
            let row = encode_group(&batches).freeze();
            prop_assert_eq!(group_len(&row).unwrap(), batches.len() as u64);
            prop_assert_eq!(decode_group(7, row).unwrap(), batches);
        }

        #[test]
        fn a_damaged_log_row_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_group(u64::MAX - 1, Bytes::from(bytes));
        }
    }
}
