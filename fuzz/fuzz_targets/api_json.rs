//! A JSON body of any request: refused with 400, or written and read again the same.
#![no_main]

use serde_json::Value;

/// No declared type has fractions, and the last digit of those may differ when they are read again.
fn exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(exact),
        Value::Object(fields) => fields.values().all(exact),
        _ => true,
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match weft_api::parse::json(data) {
        Ok(value) => {
            let text = serde_json::to_vec(&value).expect("what was read can be written");
            let again = weft_api::parse::json(&text).expect("what was written can be read");
            assert!(!exact(&value) || again == value);
        }
        Err(error) => assert_eq!(error.status.as_u16(), 400),
    }
});
