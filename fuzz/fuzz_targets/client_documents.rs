//! Objects in a file for `weft apply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = weft_client::documents::parse(text, "objects.yaml");
    }
});
