//! What a server streams to `weft watch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut parser, mut mirror) = (weft_client::watch::Parser::default(), weft_client::watch::Mirror::default());
    for event in parser.feed(data).unwrap_or_default() {
        let _ = mirror.take(&event);
    }
});
