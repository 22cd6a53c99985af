//! JSON of an object, as a REST client or the store might hold it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = serde_json::from_slice(data) {
        let _ = weft_model::Object::from_json(&value);
    }
});
