//! A JSON body of any request: refused with 400, or written and read again the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match weft_api::parse::json(data) {
        Ok(value) => {
            let text = serde_json::to_vec(&value).expect("what was read can be written");
            assert_eq!(weft_api::parse::json(&text), Ok(value));
        }
        Err(error) => assert_eq!(error.status.as_u16(), 400),
    }
});
