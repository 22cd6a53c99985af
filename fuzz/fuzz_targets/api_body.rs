//! The body of a create or an update; the first byte selects the object type.
#![no_main]

use weft_model::ObjectType;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&selector, body)) = data.split_first() else { return };
    let object_type = ObjectType::ALL[usize::from(selector) % ObjectType::ALL.len()];
    if let Err(error) = weft_api::parse::check(object_type, body) {
        assert!(error.status.is_client_error(), "{error}");
        assert!(error.message.len() < 4096, "{} bytes of message", error.message.len());
    }
});
