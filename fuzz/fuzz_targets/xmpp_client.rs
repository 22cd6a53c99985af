//! What a control node sends on an established stream: it ends with at most one reason.
#![no_main]

use weft_xmpp::fsm::Output;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let outputs = weft_xmpp::fsm::fuzz_client(data);
    let closed = outputs.iter().filter(|o| matches!(o, Output::Closed { .. })).count();
    assert!(closed <= 1 && (closed == 0 || matches!(outputs.last(), Some(Output::Closed { .. }))));
});
