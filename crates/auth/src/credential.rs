//! What a client shows: a text, told apart by its form alone.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

/// SHA-256 of a credential: what caches and the store know it by.
pub(crate) type Hash = [u8; 32];

/// Longest credential looked at, bytes. Keystone's are below 300, JWTs with many claims a few thousand.
const MAX_LENGTH: usize = 16 * 1024;
/// How tokens of this installation begin, for people and for scanners of leaked secrets.
pub(crate) const TOKEN_PREFIX: &str = "weft_";

/// A credential as a client gave it, not yet believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A token of this installation.
    Token(&'a str),
    /// A JWT, with the issuer it claims.
    Jwt(&'a str),
    /// Anything else: Keystone's to judge.
    Opaque(&'a str),
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::Jwt(_) => "Jwt(..)",
            Self::Opaque(_) => "Opaque(..)",
        })
    }
}

impl<'a> Credential<'a> {
    /// Tells by its form what a credential is. `None`: empty, over 16 KiB, or not visible ASCII.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        if text.starts_with(TOKEN_PREFIX) {
            return Some(Self::Token(text));
        }
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() == 3 && parts.iter().all(|p| !p.is_empty() && p.bytes().all(is_base64url)) {
            return Some(Self::Jwt(text));
        }
        Some(Self::Opaque(text))
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// SHA-256 of a text.
pub(crate) fn hash(text: &str) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The issuer that a JWT claims, before anything is checked: only for finding who can check it.
pub fn jwt_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    jsonwebtoken::dangerous::insecure_decode::<Claims>(token).ok().map(|data| data.claims.iss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(Credential::parse("weft_00"), Some(Credential::Token("weft_00")));
        assert_eq!(Credential::parse("a.b.c"), Some(Credential::Jwt("a.b.c")));
        for opaque in ["gAAAAABh-_x=", "a.b", "a.b.c.d", "a..c", "a.b.c=", "a.b.c:"] {
            assert_eq!(Credential::parse(opaque), Some(Credential::Opaque(opaque)));
        }
        let long = "a".repeat(MAX_LENGTH + 1);
        for bad in ["", "a b", "t\u{e4}", "a\nb", long.as_str()] {
            assert_eq!(Credential::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        assert_eq!(format!("{:?}", Credential::Token("weft_secret")), "Token(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in ".{0,200}") {
            let _ = Credential::parse(&text);
            let _ = jwt_issuer(&text);
        }

        #[test]
        fn any_three_parts_are_judged_without_panic(text in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,9}") {
            let _ = jwt_issuer(&text);
        }
    }
}
