//! A stream in chunks: the first byte says how long they are. Chunking must not change what is understood.
#![no_main]

use weft_xmpp::parser::{Limits, Parser, parse_all};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&chunk, data)) = data.split_first() else { return };
    let whole = parse_all(data, Limits::default());
    let mut parser = Parser::new(Limits::default());
    let (mut events, mut error) = (Vec::new(), None);
    for piece in data.chunks(usize::from(chunk).max(1)) {
        parser.push(piece);
        loop {
            match parser.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
        }
        if error.is_some() {
            break;
        }
    }
    assert_eq!(events, whole.0);
    assert_eq!(error.is_some(), whole.1.is_some());
});
