//! Prepares a DHCPv4 message for the codec, which asserts the lengths of some options and panics.
//!
//! As for DHCPv6: of a workload's options only those that this server reads go on, each as long as it must be. The others
//! are left out, so that no client goes without an address because of an option that nobody here looks at.

use super::packet::PacketError;

/// Bytes before the options: BOOTP's fixed fields and the magic cookie (RFC 2131 section 2).
const HEADER: usize = 240;
/// Option codes of one byte without length: padding, end (RFC 2132 section 3).
const PAD: u8 = 0;
const END: u8 = 255;

/// Whether option `code` is read here, and its content may have this length (RFC 2132 sections 9.1 to 9.14).
fn fits(code: u8, length: usize) -> Option<bool> {
    match code {
        50 | 54 => Some(length == 4), // requested address, server identifier
        53 => Some(length == 1),      // message type
        61 => Some(length >= 2),      // client identifier
        _ => None,
    }
}

/// `message` with only the options that are read. Whatever follows the end option is left out too.
///
/// # Errors
/// [`PacketError`] naming the first option that does not fit, or is not what its code promises.
pub(super) fn screen(message: &[u8]) -> Result<Vec<u8>, PacketError> {
    let (header, mut rest) = message
        .split_at_checked(HEADER)
        .ok_or_else(|| PacketError::malformed("dhcp", "shorter than its header"))?;
    let mut kept = Vec::with_capacity(message.len());
    kept.extend_from_slice(header);
    let cut_short = || PacketError::malformed("dhcp", "an option is cut short");
    while let Some((code, after)) = rest.split_first() {
        rest = after;
        match *code {
            PAD => continue,
            END => break,
            _ => {}
        }
        let (length, after) = rest.split_first().ok_or_else(cut_short)?;
        let (body, after) = after.split_at_checked(usize::from(*length)).ok_or_else(cut_short)?;
        rest = after;
        match fits(*code, body.len()) {
            Some(true) => {
                kept.extend_from_slice(&[*code, *length]);
                kept.extend_from_slice(body);
            }
            Some(false) => {
                let wrong = format!("option {code} of {length} bytes");
                return Err(PacketError::malformed("dhcp", wrong));
            }
            None => {}
        }
    }
    kept.push(END);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: &[u8]) -> Vec<u8> {
        [&[1; HEADER], options].concat()
    }

    #[test]
    fn only_what_is_read_goes_on() {
        // Option 153 of a wrong length makes the codec panic.
        let bytes = message(&[53, 1, 1, 0, 153, 0, 12, 1, b'x', 50, 4, 10, 0, 0, 1, 255, 9, 9]);
        assert_eq!(screen(&bytes).unwrap(), message(&[53, 1, 1, 50, 4, 10, 0, 0, 1, 255]));
        assert_eq!(screen(&message(&[])).unwrap(), message(&[255]));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for (code, length) in [(50, 3), (53, 0), (53, 2), (54, 5), (61, 1)] {
            let option = [vec![code, length], vec![0; usize::from(length)]].concat();
            let error = screen(&message(&option)).unwrap_err().to_string();
            assert!(error.contains(&format!("option {code} of {length} bytes")), "{error}");
        }
        for cut in [&[53][..], &[53, 1], &[200, 9, 1]] {
            assert!(screen(&message(cut)).unwrap_err().to_string().contains("cut short"));
        }
        assert!(screen(&[1; HEADER - 1]).is_err());
    }
}
