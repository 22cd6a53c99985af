//! Records of the change log: the transactions that one fsync made durable, with their events.
//!
//! | bytes | what (little endian) |
//! |---|---|
//! | 4 | length of all after the first eight bytes |
//! | 4 | CRC-32 of all after the first eight bytes |
//! | 8 | revision of the first transaction; those of the others ascend by one |
//! | 4 | number of transactions |
//! | | of each: number of events (4); of each: kind (1), length of key (4), key, length of value (4), value |

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Event, EventKind, Revision, StoreError, WatchBatch};

/// Length and checksum.
const FRAME: usize = 8;
/// Bytes from which [`peek`] tells what a record holds.
pub(super) const HEAD: usize = FRAME + 12;

const PUT: u8 = 0;
const DELETE: u8 = 1;

/// What a record holds, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the record, frame and all.
    pub(super) bytes: u64,
    /// The last revision in it.
    pub(super) last: Revision,
}

/// Reads the first bytes of a record.
pub(super) fn peek(head: &[u8; HEAD]) -> Head {
    let mut bytes = head.as_slice();
    let length = bytes::Buf::get_u32_le(&mut bytes);
    bytes::Buf::advance(&mut bytes, 4);
    let first = bytes::Buf::get_u64_le(&mut bytes);
    let count = bytes::Buf::get_u32_le(&mut bytes);
    Head {
        bytes: FRAME as u64 + u64::from(length),
        last: first.saturating_add(u64::from(count)).saturating_sub(1),
    }
}

/// The record of some transactions.
///
/// # Errors
/// [`StoreError::TooLarge`] if it would be longer than its length field can say.
pub(super) fn encode(batches: &[WatchBatch]) -> Result<BytesMut, StoreError> {
    let first = batches.first().map_or(0, |batch| batch.revision);
    let mut out = BytesMut::with_capacity(FRAME + 12 + batches.iter().map(batch_size).sum::<usize>());
    out.put_bytes(0, FRAME);
    out.put_u64_le(first);
    out.put_u32_le(batches.len() as u32);
    for batch in batches {
        out.put_u32_le(batch.events.len() as u32);
        for event in &batch.events {
            let (kind, value) = match &event.kind {
                EventKind::Put(value) => (PUT, value),
                EventKind::Delete { previous } => (DELETE, previous),
            };
            out.put_u8(kind);
            // Lengths fit: `crate::Limits` is checked before.
            out.put_u32_le(event.key.len() as u32);
            out.put_slice(event.key.as_bytes());
            out.put_u32_le(value.len() as u32);
            out.put_slice(value);
        }
    }
    let size = out.len() - FRAME;
    let length = u32::try_from(size).map_err(|_| StoreError::TooLarge {
        what: "bytes of changes",
        size,
        limit: u32::MAX as usize,
    })?;
    let (frame, body) = out.split_at_mut(FRAME);
    let checksum = crc32fast::hash(body);
    let (mut a, mut b) = frame.split_at_mut(4);
    a.put_u32_le(length);
    b.put_u32_le(checksum);
    Ok(out)
}

fn batch_size(batch: &WatchBatch) -> usize {
    let event = |event: &Event| {
        let (EventKind::Put(value) | EventKind::Delete { previous: value }) = &event.kind;
        9 + event.key.len() + value.len()
    };
    4 + batch.events.iter().map(event).sum::<usize>()
}

/// Takes the record at the beginning of `bytes`. `None` if what is there is not a whole record.
///
/// # Errors
/// [`StoreError::Corrupt`] for a whole record that [`encode`] did not write.
pub(super) fn take(bytes: &mut Bytes) -> Result<Option<Vec<WatchBatch>>, StoreError> {
    let Some(frame) = bytes.first_chunk::<FRAME>() else { return Ok(None) };
    let [a, b, c, d, e, f, g, h] = *frame;
    let (length, checksum) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
    let Some(body) = bytes.get(FRAME..FRAME.saturating_add(length)) else { return Ok(None) };
    // Zeros would be a record of nothing with the right checksum.
    if length < HEAD - FRAME || crc32fast::hash(body) != checksum {
        return Ok(None);
    }
    let body = bytes.slice_ref(body);
    let batches = decode(body)?;
    bytes::Buf::advance(bytes, FRAME + length);
    Ok(Some(batches))
}

fn decode(mut body: Bytes) -> Result<Vec<WatchBatch>, StoreError> {
    let first = split(&mut body, 8)?;
    let first = u64::from_le_bytes(*first.first_chunk().ok_or_else(short)?);
    let count = take_len(&mut body)?;
    let mut batches = Vec::new();
    for index in 0..count {
        let revision = first.checked_add(index as u64).ok_or_else(short)?;
        let mut events = Vec::new();
        for _ in 0..take_len(&mut body)? {
            events.push(take_event(&mut body)?);
        }
        batches.push(WatchBatch { revision, events });
    }
    if body.is_empty() && !batches.is_empty() {
        Ok(batches)
    } else {
        Err(StoreError::Corrupt("length of a log record".into()))
    }
}

fn take_event(body: &mut Bytes) -> Result<Event, StoreError> {
    let kind = split(body, 1)?;
    let key = take_len(body)?;
    let key = String::from_utf8(split(body, key)?.to_vec());
    let key = key.map_err(|_| StoreError::Corrupt("key in a log record is not UTF-8".into()))?;
    let value = take_len(body)?;
    let value = split(body, value)?;
    let kind = match kind.first() {
        Some(&PUT) => EventKind::Put(value),
        Some(&DELETE) => EventKind::Delete { previous: value },
        _ => return Err(StoreError::Corrupt("unknown event in a log record".into())),
    };
    Ok(Event { key, kind })
}

fn split(body: &mut Bytes, len: usize) -> Result<Bytes, StoreError> {
    if body.len() < len { Err(short()) } else { Ok(body.split_to(len)) }
}

fn take_len(body: &mut Bytes) -> Result<usize, StoreError> {
    let raw = split(body, 4)?;
    raw.first_chunk::<4>().map(|c| u32::from_le_bytes(*c) as usize).ok_or_else(short)
}

fn short() -> StoreError {
    StoreError::Corrupt("short log record".into())
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
        proptest::collection::vec(proptest::collection::vec(event, 0..5), 1..5).prop_map(|groups| {
            let number = |(index, events)| WatchBatch { revision: 7 + index as u64, events };
            groups.into_iter().enumerate().map(number).collect()
        })
    }

    proptest! {
        #[test]
        fn a_record_decodes_to_what_was_encoded(batches in batches(), more in any::<[u8; 3]>()) {
            let record = encode(&batches).unwrap();
            let head = peek(record.first_chunk().unwrap());
            prop_assert_eq!(head, Head { bytes: record.len() as u64, last: 6 + batches.len() as u64 });
            let mut bytes = Bytes::from([&record[..], &more[..]].concat());
            prop_assert_eq!(take(&mut bytes).unwrap(), Some(batches));
            prop_assert_eq!(&bytes[..], &more[..]);
        }

        #[test]
        fn a_record_cut_short_or_changed_is_none(batches in batches(), at in any::<prop::sample::Index>()) {
            let record = encode(&batches).unwrap();
            let at = at.index(record.len());
            prop_assert_eq!(take(&mut Bytes::copy_from_slice(&record[..at])).unwrap(), None);
            let mut changed = record.clone();
            changed[at] ^= 0x10;
            prop_assert_eq!(take(&mut changed.freeze()).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_an_error_not_a_panic(mut body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&mut Bytes::from(body.clone()));
            // With a checksum that holds.
            let mut framed = Vec::new();
            framed.put_u32_le(body.len() as u32);
            framed.put_u32_le(crc32fast::hash(&body));
            framed.append(&mut body);
            let _ = take(&mut Bytes::from(framed));
        }
    }
}
