//! Frames that workloads send to the agent: every service that answers them, as it runs.
#![no_main]

use std::net::{Ipv4Addr, Ipv6Addr};

use weft_agent::services::icmp::{self, Problem};
use weft_agent::services::{Lease4, Lease6, PortServices, dhcp4, dhcp6, packet, ra};

fn port() -> PortServices {
    let (gateway, server) = (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 1, 0, 2));
    let gateway6: Ipv6Addr = "fd00:1::1".parse().expect("an address");
    PortServices {
        interface: uuid::Uuid::nil(),
        ifindex: 7,
        mac: [2, 0, 0, 0, 0, 7],
        network: "default-domain:acme:web".into(),
        hostname: Some("web1".into()),
        mtu: 1500,
        lease4: Some(Lease4 {
            address: Ipv4Addr::new(10, 1, 0, 11),
            prefix_len: 24,
            gateway: Some(gateway),
            server,
            dns: vec![server],
            domain: Some("web.local".into()),
            host_routes: Vec::new(),
            options: Vec::new(),
        }),
        lease6: Some(Lease6 {
            address: "fd00:1::11".parse().expect("an address"),
            subnet: "fd00:1::/64".parse().expect("a prefix"),
            gateway: Some(gateway6),
            dns: vec![gateway6],
            domain: None,
        }),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let port = port();
    let _ = dhcp4::answer(&port, data);
    let _ = dhcp6::answer(&port, data);
    let _ = dhcp4::decode(data);
    let _ = dhcp6::decode(data);
    let _ = packet::parse_udp(data);
    let _ = ra::parse_solicitation(data);
    for mtu in [68, 576, 1280, 1400] {
        let _ = icmp::fragment(data, mtu);
        let _ = icmp::error_for(&port, data, Problem::TooBig { mtu });
    }
    let _ = icmp::error_for(&port, data, Problem::TimeExceeded);
});
