//! What an agent might send, played against a control node.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weft_control::node::fuzz_session(data));
