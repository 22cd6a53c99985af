//! What passes the agent's TAP: headers of injected and of trapped packets, there and back.
#![no_main]

use weft_dataplane::trap::MAGIC;
use weft_dataplane::{InjectHeader, Pod, TrapHeader, TrapReason};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let inject = InjectHeader::from_bytes(data);
    assert_eq!(inject.is_some(), data.len() >= size_of::<InjectHeader>());
    if let Some(header) = inject {
        assert_eq!(header.as_bytes(), &data[..size_of::<InjectHeader>()]);
        if header.magic == MAGIC {
            let again = InjectHeader::new(header.action, u32::from_ne_bytes(header.ifindex));
            assert_eq!((again.magic, again.action, again.ifindex), (MAGIC, header.action, header.ifindex));
        }
    }
    if let Some(header) = TrapHeader::from_bytes(data) {
        assert_eq!(header.as_bytes(), &data[..size_of::<TrapHeader>()]);
        if let Some(reason) = TrapReason::from_u8(header.reason) {
            assert_eq!(reason as u8, header.reason);
        }
    }
});
