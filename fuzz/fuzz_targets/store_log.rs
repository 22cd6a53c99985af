//! Records of the embedded store's log: what is understood is written the way it is read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weft_store::fuzz_log(data));
