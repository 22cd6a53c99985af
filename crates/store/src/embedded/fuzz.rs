//! The decoder of the log's records, for the fuzz target `store_log`.

use bytes::{BufMut, Bytes, BytesMut};

use super::record;

/// Decodes arbitrary bytes as the log's records, as they are and with a length and a checksum that hold: for fuzzing. What is
/// understood is written the way it is read.
///
/// # Panics
/// If that does not hold.
pub fn fuzz_log(bytes: &[u8]) {
    records(&Bytes::copy_from_slice(bytes));
    let mut framed = BytesMut::with_capacity(bytes.len() + 8);
    framed.put_u32_le(bytes.len() as u32);
    framed.put_u32_le(crc32fast::hash(bytes));
    framed.put_slice(bytes);
    records(&framed.freeze());
}

fn records(bytes: &Bytes) {
    let (mut rest, mut at) = (bytes.clone(), 0);
    while let Ok(Some(batches)) = record::take(&mut rest) {
        let end = bytes.len() - rest.len();
        let read = &bytes[at..end];
        assert!(record::encode(&batches).is_ok_and(|written| written == read), "written in another way");
        let last = batches.last().map_or(0, |batch| batch.revision);
        let head = read.first_chunk().map(record::peek);
        let holds = |head: record::Head| head.bytes == read.len() as u64 && head.last == last;
        // No store reaches the largest number there is.
        assert!(last == u64::MAX || head.is_some_and(holds), "its first bytes tell something else");
        at = end;
    }
}
