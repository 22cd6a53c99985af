//! One whole stanza.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = weft_xmpp::stanza::decode_bytes(data);
});
