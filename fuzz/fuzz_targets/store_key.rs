//! Keys of the store: what is understood is written the way it is read.
#![no_main]

use weft_store::layout;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(key) = std::str::from_utf8(data) else { return };
    if let Some((object_type, uuid)) = layout::parse_object_key(key) {
        let written = layout::object_key(object_type, uuid);
        assert_eq!(layout::parse_object_key(&written), Some((object_type, uuid)));
    }
    if let Some(member) = layout::parse_member_key(key) {
        assert_eq!(layout::parse_member_key(&layout::child_key(member, member)), Some(member));
        assert_eq!(layout::parse_member_key(&layout::back_ref_key(member, member)), Some(member));
    }
});
