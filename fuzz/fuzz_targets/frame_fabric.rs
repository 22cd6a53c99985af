//! A frame from the underlay: outer headers, MPLS or VXLAN, and the packet inside.
#![no_main]

use weft_dataplane::outer::{self, TunnelKind};
use weft_dataplane::packet::{ETH_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Packet};
use weft_dataplane::parse;

const OWN: [u8; 4] = [192, 0, 2, 1];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(tunnel) = outer::classify(data, OWN, outer::MPLS_PORT, outer::VXLAN_PORT) else { return };
    let least = match tunnel.kind {
        TunnelKind::Host => return,
        TunnelKind::Mpls => 46,
        TunnelKind::Vxlan => 50,
    };
    assert!(tunnel.inner >= least && tunnel.inner <= data.len() && data.load(30) == Some(OWN));
    // Either may be behind a label: an IP packet or a frame.
    if tunnel.kind == TunnelKind::Mpls {
        assert!(tunnel.id < 1 << 20);
        packet(data, tunnel.inner, [0, 0]);
    }
    if let Some(header) = data.load::<ETH_LEN>(tunnel.inner) {
        packet(data, tunnel.inner + ETH_LEN, Ethernet::from_bytes(&header).ethertype);
    }
});

fn packet(data: &[u8], l3: usize, ethertype: [u8; 2]) {
    let first = data.get(l3).map_or(0, |byte| byte >> 4);
    let length = match (ethertype, first) {
        (ETHERTYPE_IPV4, _) | ([0, 0], 4) => parse::ipv4(data, l3, 1).map(|(meta, _)| meta.length),
        (ETHERTYPE_IPV6, _) | ([0, 0], 6) => parse::ipv6(data, l3, 1).map(|(meta, _)| meta.length),
        _ => return,
    };
    assert!(length.is_ok_and(|length| l3 + length as usize <= data.len()) || length.is_err());
}
