//! A database dump of the existing system.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(dump) = weft_store::dump::parse(data) {
        for object in &dump.objects {
            let bytes = weft_store::layout::encode(object).expect("what was read can be written");
            assert_eq!(weft_store::layout::decode(&bytes).ok().as_ref(), Some(object));
        }
    }
});
