//! A stored object's bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(object) = weft_store::layout::decode(data) {
        let bytes = weft_store::layout::encode(&object).expect("what was read can be written");
        assert_eq!(weft_store::layout::decode(&bytes).ok().as_ref(), Some(&object));
    }
});
