//! What a client sends as its token, and what a JWT claims before anything of it is checked.
#![no_main]

use weft_auth::{Credential, jwt_issuer};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let credential = Credential::parse(text);
    assert!(credential.is_none() || text.bytes().all(|byte| byte.is_ascii_graphic()));
    // It may be logged: it must not show the credential.
    if let Some(credential) = &credential
        && text.len() > 16
    {
        assert!(!format!("{credential:?}").contains(text));
    }
    if let Some(Credential::Jwt(token)) = credential {
        let _ = jwt_issuer(token);
    }
    let _ = jwt_issuer(text);
});
