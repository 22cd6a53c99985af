//! Names of items and nodes: what is understood is written the way it is read.
#![no_main]

use weft_xmpp::items::{RouteKey, RouteTable, parse_node};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for table in [RouteTable::Inet, RouteTable::Inet6, RouteTable::Evpn] {
        if let Ok(key) = RouteKey::parse(table, text) {
            assert_eq!(RouteKey::parse(table, &key.to_string()).ok(), Some(key));
        }
    }
    if let Some((afi, safi, rest)) = parse_node(text) {
        let written = format!("{afi}/{safi}/{rest}");
        assert_eq!(parse_node(&written), Some((afi, safi, rest)));
    }
});
