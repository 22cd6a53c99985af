//! The payload of a probe: a mark, the probe's identifier, a sequence number, padding.

/// Bytes of mark, identifier and sequence number.
pub(crate) const LENGTH: usize = 24;
const MARK: &[u8; 8] = b"WEFTPRB1";

/// One request or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) sequence: u64,
}

impl Record {
    /// As bytes, padded with zeros to `size`.
    pub(crate) fn encode(self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size.max(LENGTH));
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&self.id.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.resize(size.max(LENGTH), 0);
        bytes
    }

    /// From the beginning of a payload; none when it is somebody else's.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MARK)?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        Some(Self { id: u64::from_be_bytes(*id), sequence: u64::from_be_bytes(*sequence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire() {
        let record = Record { id: 7, sequence: u64::MAX };
        let bytes = record.encode(100);
        assert_eq!((bytes.len(), Record::decode(&bytes)), (100, Some(record)));
        assert!((0..LENGTH).all(|n| Record::decode(&bytes[..n]).is_none()));
        assert_eq!(Record::decode(&[0; 64]), None);
    }
}
