//! Bodies of the agent's port REST interface.
#![no_main]

use weft_agent::engine::{Machine, MachineRequest};
use weft_agent::ports::{Port, PortRequest};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<PortRequest>(data) {
        let _ = Port::check(request);
    }
    if let Ok(request) = serde_json::from_slice::<MachineRequest>(data) {
        let _ = Machine::check(request);
    }
});
