//! The hash that spreads flows over UDP source ports (and so over links and queues of the underlay).

/// First UDP source port of tunnels.
pub const SOURCE_PORT_FIRST: u16 = 49_152;
/// How many source ports there are.
pub const SOURCE_PORT_RANGE: u32 = 65_535 - 49_152;

#[inline(always)]
const fn mix(hash: u32, word: u32) -> u32 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b1)
}

#[inline(always)]
const fn finish(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Hash of the words that describe a flow.
#[inline(always)]
#[must_use]
pub fn words<const N: usize>(seed: u32, words: [u32; N]) -> u32 {
    let mut hash = seed;
    let mut i = 0;
    while i < N {
        hash = mix(hash, words[i]);
        i += 1;
    }
    finish(hash)
}

/// The source port for a hash, network order: 49152 + hash scaled to 16383.
#[inline(always)]
#[must_use]
pub const fn source_port(hash: u32) -> [u8; 2] {
    let scaled = ((hash as u64 * SOURCE_PORT_RANGE as u64) >> 32) as u16;
    (SOURCE_PORT_FIRST + scaled).to_be_bytes()
}
