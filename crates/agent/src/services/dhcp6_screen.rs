//! Prepares a DHCPv6 message for the codec, which trusts the lengths it reads and panics on some of them.
//!
//! A workload's message comes from outside: every option must fit its message and hold the fields that RFC 8415
//! section 21 gives it. Options this server has no use for (vendor options, prefixes, relayed messages ...) are left
//! out rather than judged: their content is free, and a client must not go without an address because of them.

use super::packet::PacketError;

/// Bytes of message type and transaction identifier before the options (RFC 8415 section 8).
const HEADER: usize = 4;
/// Option code of an identity association for addresses, the one option whose options are read.
const IA_NA: u16 = 3;
/// Bytes of IAID, T1 and T2 in an [`IA_NA`], before its options.
const IA_NA_FIXED: usize = 12;
/// Bytes of address and two lifetimes in an IA address; its options are left out.
const IA_ADDRESS_FIXED: usize = 24;

/// What is read of an option.
enum Read {
    /// All of it, if it is this long.
    Exactly(usize),
    /// All of it, if it is at least this long.
    AtLeast(usize),
    /// The first so many bytes.
    First(usize),
    /// An identity association: its fixed fields and the options in it.
    Association,
    /// Nothing: it is left out.
    Nothing,
}

/// What this server reads of option `code` (RFC 8415 section 21, RFC 3646).
fn read(code: u16) -> Read {
    match code {
        1 | 2 => Read::AtLeast(2), // client and server identifier
        IA_NA => Read::Association,
        5 => Read::First(IA_ADDRESS_FIXED), // IA address
        6 | 23 | 24 => Read::AtLeast(0),    // requested options, name servers, search list
        8 => Read::Exactly(2),              // elapsed time
        13 => Read::AtLeast(2),             // status
        14 => Read::Exactly(0),             // rapid commit
        _ => Read::Nothing,
    }
}

/// `message` with only the options that are read, each as long as it must be.
///
/// # Errors
/// [`PacketError`] naming the first option that does not fit, or is not what its code promises.
pub(super) fn screen(message: &[u8]) -> Result<Vec<u8>, PacketError> {
    let (header, options) = message
        .split_at_checked(HEADER)
        .ok_or_else(|| PacketError::malformed("dhcpv6", "shorter than its header"))?;
    let mut kept = Vec::with_capacity(message.len());
    kept.extend_from_slice(header);
    screen_options(options, &mut kept)?;
    Ok(kept)
}

fn screen_options(mut rest: &[u8], kept: &mut Vec<u8>) -> Result<(), PacketError> {
    while !rest.is_empty() {
        let (code, body, after) = split(rest)?;
        screen_option(code, body, kept)?;
        rest = after;
    }
    Ok(())
}

/// The first option's code and body, and what follows it.
fn split(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), PacketError> {
    let cut_short = || PacketError::malformed("dhcpv6", "an option is cut short");
    let (code, bytes) = bytes.split_first_chunk().ok_or_else(cut_short)?;
    let (length, bytes) = bytes.split_first_chunk().ok_or_else(cut_short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (body, after) = bytes.split_at_checked(length).ok_or_else(cut_short)?;
    Ok((u16::from_be_bytes(*code), body, after))
}

fn screen_option(code: u16, body: &[u8], kept: &mut Vec<u8>) -> Result<(), PacketError> {
    let wrong = || PacketError::malformed("dhcpv6", format!("option {code} of {} bytes", body.len()));
    match read(code) {
        Read::Exactly(length) if body.len() == length => append(code, body, kept),
        Read::AtLeast(length) if body.len() >= length => append(code, body, kept),
        Read::First(length) => append(code, body.get(..length).ok_or_else(wrong)?, kept),
        Read::Association => {
            let (fixed, options) = body.split_at_checked(IA_NA_FIXED).ok_or_else(wrong)?;
            let mut association = fixed.to_vec();
            screen_members(options, &mut association)?;
            append(code, &association, kept)
        }
        Read::Nothing => Ok(()),
        Read::Exactly(_) | Read::AtLeast(_) => Err(wrong()),
    }
}

/// The options in an association: an association in an association is not one, so this goes no deeper.
fn screen_members(mut rest: &[u8], kept: &mut Vec<u8>) -> Result<(), PacketError> {
    while !rest.is_empty() {
        let (code, body, after) = split(rest)?;
        if code != IA_NA {
            screen_option(code, body, kept)?;
        }
        rest = after;
    }
    Ok(())
}

fn append(code: u16, body: &[u8], kept: &mut Vec<u8>) -> Result<(), PacketError> {
    let length = u16::try_from(body.len()).map_err(|e| PacketError::malformed("dhcpv6", e))?;
    kept.extend_from_slice(&code.to_be_bytes());
    kept.extend_from_slice(&length.to_be_bytes());
    kept.extend_from_slice(body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::dhcp6::decode;
    use super::*;

    fn message(options: &[u8]) -> Vec<u8> {
        [&[1, 0, 0, 7], options].concat()
    }

    fn option(code: u8, length: u8) -> Vec<u8> {
        [vec![0, code, 0, length], vec![0; usize::from(length)]].concat()
    }

    #[test]
    fn options_shorter_than_their_fields_are_refused() {
        for (code, length) in [(13, 0), (13, 1), (3, 11), (5, 23), (14, 1), (8, 3), (1, 0)] {
            let bytes = message(&option(code, length));
            let error = decode(&bytes).unwrap_err().to_string();
            assert!(error.contains(&format!("option {code} of {length} bytes")), "{error}");
        }
    }

    /// Vendor class, vendor options, authentication: each of these makes the codec subtract below zero.
    #[test]
    fn options_without_use_here_do_not_reach_the_codec() {
        for (code, length) in [(16, 0), (16, 3), (17, 3), (11, 10), (9, 2), (25, 3), (56, 3)] {
            let bytes = message(&[option(code, length), option(14, 0)].concat());
            assert_eq!(screen(&bytes).unwrap(), message(&option(14, 0)));
            assert_eq!(decode(&bytes).unwrap().opts().iter().count(), 1);
            let inside = [vec![0, 3, 0, 12 + 4 + length], vec![0; 12], option(code, length)].concat();
            assert_eq!(screen(&message(&inside)).unwrap(), message(&option(3, 12)));
        }
    }

    #[test]
    fn an_association_keeps_its_addresses() {
        let address = [vec![0, 5, 0, 28], vec![7; 24], vec![0, 16, 0, 0]].concat();
        let bytes = [vec![0, 3, 0, 12 + 32], vec![0; 12], address].concat();
        let kept = screen(&message(&bytes)).unwrap();
        assert_eq!(
            kept,
            message(&[vec![0, 3, 0, 12 + 28], vec![0; 12], vec![0, 5, 0, 24], vec![7; 24]].concat())
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(screen(&[1, 0, 0]).is_err());
        assert!(screen(&message(&[0, 6, 0])).is_err());
        assert!(screen(&message(&[0, 200, 0, 3, 1, 2])).is_err());
        assert!(screen(&message(&[0, 6, 0, 4, 0, 23, 0, 24])).is_ok());
    }
}
