//! TCP state of a session, as few bits in each direction's entry as ageing and early removal need.

/// Flag bits in the TCP header.
pub const FIN: u8 = 0x01;
/// Flag bits in the TCP header.
pub const SYN: u8 = 0x02;
/// Flag bits in the TCP header.
pub const RST: u8 = 0x04;
/// Flag bits in the TCP header.
pub const ACK: u8 = 0x10;

/// `Flow::tcp`: this direction sent SYN.
pub const STATE_SYN: u8 = 1;
/// `Flow::tcp`: this direction sent something else than SYN or RST after the other's SYN (or was picked up mid-stream).
pub const STATE_ESTABLISHED: u8 = 1 << 1;
/// `Flow::tcp`: this direction sent FIN.
pub const STATE_FIN: u8 = 1 << 2;
/// `Flow::tcp`: the other direction sent FIN.
pub const STATE_PEER_FIN: u8 = 1 << 3;
/// `Flow::tcp`: RST was seen in either direction.
pub const STATE_RST: u8 = 1 << 4;

/// What a packet does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that others must know.
    Stay,
    /// The direction's bits become these; the other direction's entry gets `peer` added.
    Change {
        /// New bits of this direction.
        own: u8,
        /// Bits to add to the other direction.
        peer: u8,
    },
    /// Both sides have closed and the last FIN is acknowledged: remove the session after this packet.
    Done,
}

/// Whether a packet with these TCP flags opens a new connection on an old session's addresses, so that it is judged
/// anew. A repeated SYN belongs to the connection it opened.
#[inline(always)]
#[must_use]
pub const fn reopens(state: u8, flags: u8, reverse: bool) -> bool {
    flags & (SYN | ACK) == SYN && (reverse || is_closing(state))
}

/// The step that a packet with these TCP flags takes in a direction with these state bits.
#[inline(always)]
#[must_use]
pub const fn step(state: u8, flags: u8) -> Step {
    if flags & (SYN | ACK) == SYN {
        return change(state, STATE_SYN, 0);
    }
    if flags & RST != 0 {
        return change(state, STATE_RST, STATE_RST);
    }
    if flags & FIN != 0 {
        return change(state, STATE_FIN | STATE_ESTABLISHED, STATE_PEER_FIN);
    }
    if flags & SYN != 0 {
        return change(state, STATE_SYN, 0);
    }
    let both = STATE_FIN | STATE_PEER_FIN;
    if state & both == both {
        return Step::Done;
    }
    change(state, STATE_ESTABLISHED, 0)
}

#[inline(always)]
const fn change(state: u8, own: u8, peer: u8) -> Step {
    if state & own == own { Step::Stay } else { Step::Change { own: state | own, peer } }
}

/// The bits of a session whose first packet has these flags: of its own direction and of the other.
#[inline(always)]
#[must_use]
pub const fn first(flags: u8) -> (u8, u8) {
    match step(0, flags) {
        Step::Change { own, peer } => (own, peer),
        _ => (0, 0),
    }
}

/// Whether either end of the session has begun to close it.
#[inline(always)]
#[must_use]
pub const fn is_closing(state: u8) -> bool {
    state & (STATE_FIN | STATE_PEER_FIN | STATE_RST) != 0
}

/// Whether a direction with these bits belongs to a closed session.
#[must_use]
pub const fn is_closed(state: u8) -> bool {
    let both = STATE_FIN | STATE_PEER_FIN;
    state & STATE_RST != 0 || state & both == both
}
