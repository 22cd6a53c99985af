//! A frame from a workload: Ethernet, then ARP, IPv4 or IPv6. What is found must lie inside the packet.
#![no_main]

use weft_dataplane::packet::{
    ETH_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, IPV4_LEN, IPV6_LEN, Packet, protocol,
};
use weft_dataplane::parse::{META_FRAGMENT, META_ICMP_ERROR, META_LATER, Meta, ipv4, ipv6};
use weft_dataplane::reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(header) = data.load::<ETH_LEN>(0) else { return };
    let ethernet = Ethernet::from_bytes(&header);
    assert_eq!(ethernet.to_bytes(), header);
    match ethernet.ethertype {
        ETHERTYPE_ARP => arp(data),
        ETHERTYPE_IPV4 => {
            let Ok((meta, key)) = ipv4(data, ETH_LEN, 7) else { return };
            assert_eq!((key.zone, usize::from(meta.header_len) % 4), (7, 0));
            holds(&meta, data, IPV4_LEN);
        }
        ETHERTYPE_IPV6 => {
            let Ok((meta, key)) = ipv6(data, ETH_LEN, 7) else { return };
            assert_eq!(key.zone, 7);
            holds(&meta, data, IPV6_LEN);
            solicitation(&meta, data);
        }
        _ => {}
    }
});

fn holds(meta: &Meta, data: &[u8], least: usize) {
    let length = meta.length as usize;
    assert!(usize::from(meta.header_len) >= least && ETH_LEN + length <= data.len());
    assert!(usize::from(meta.segment_header_len) <= length && meta.segment_header_len >= meta.header_len);
    if meta.flags & META_LATER != 0 {
        assert!(meta.flags & META_FRAGMENT != 0 && meta.flags & META_ICMP_ERROR == 0);
        assert_eq!((meta.tcp_flags, meta.icmp_type), (0, 0));
    }
}

fn arp(data: &[u8]) {
    let Some(frame) = data.load::<{ reply::ARP_FRAME }>(0) else { return };
    let Some(request) = reply::arp_request(&frame) else { return };
    let answer = reply::arp_reply(&frame, [2, 0, 0, 0, 0, 9]);
    let answered = reply::arp_request(&answer);
    assert!(answered.is_some_and(|a| !a.asks && a.sender == request.target && a.target == request.sender));
}

/// The answer is a valid packet to whoever asked.
fn solicitation(meta: &Meta, data: &[u8]) {
    let plain = meta.header_len as usize == IPV6_LEN && meta.protocol == protocol::ICMPV6;
    if !plain || meta.icmp_type != reply::NEIGHBOUR_SOLICITATION {
        return;
    }
    let Some(frame) = data.load::<{ reply::SOLICITATION_FRAME }>(0) else { return };
    let mut answer = reply::advertisement(&frame, [2, 0, 0, 0, 0, 9], true);
    for _ in 0..2 {
        let Ok((meta, key)) = ipv6(&answer[..], ETH_LEN, 0) else { panic!("the answer cannot be parsed") };
        assert_eq!((meta.icmp_type, meta.ttl), (reply::NEIGHBOUR_ADVERTISEMENT, 255));
        assert_eq!(key.src, reply::solicitation_target(&frame));
        reply::to_all_nodes(&mut answer);
    }
}
