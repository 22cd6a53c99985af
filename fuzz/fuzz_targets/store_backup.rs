//! A backup file, also one whose check sum fits.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = weft_store::backup::read(data, |_, _| Ok(()));
});
