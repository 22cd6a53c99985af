//! Golden packets and refusals of the DHCPv4 server.

use super::*;
use crate::services::view::RawOption;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn port() -> PortServices {
    PortServices {
        interface: uuid::Uuid::nil(),
        ifindex: 7,
        mac: MAC,
        network: "d:p:red".into(),
        hostname: Some("web".into()),
        mtu: 1450,
        lease4: Some(Lease4 {
            address: [10, 1, 1, 3].into(),
            prefix_len: 24,
            gateway: Some([10, 1, 1, 1].into()),
            server: [10, 1, 1, 2].into(),
            dns: vec![[10, 1, 1, 2].into()],
            domain: Some("acme.test".into()),
            host_routes: vec![("192.168.0.0/16".parse().unwrap(), [10, 1, 1, 9].into())],
            options: vec![RawOption { code: 42, data: vec![10, 1, 1, 4] }],
        }),
        lease6: None,
    }
}

fn request_frame(message: &Message) -> Vec<u8> {
    let mut payload = Vec::new();
    message.encode(&mut Encoder::new(&mut payload)).unwrap();
    let from = SocketAddr::from((message.ciaddr(), CLIENT_PORT));
    udp_frame(MAC, [0xff; 6], from, "255.255.255.255:67".parse().unwrap(), &payload).unwrap()
}

fn ask(message: &Message) -> Option<(SocketAddr, Message)> {
    let frame = answer(&port(), &request_frame(message)).unwrap()?;
    let datagram = parse_udp(&frame).unwrap();
    Some((datagram.destination, Message::decode(&mut Decoder::new(datagram.payload)).unwrap()))
}

#[test]
fn discover_is_offered_everything() {
    let (to, offer) = ask(&client_message(MessageType::Discover, MAC, 0x1234, None)).unwrap();
    assert_eq!(to, "10.1.1.3:68".parse().unwrap());
    assert_eq!(offer.opts().msg_type(), Some(MessageType::Offer));
    assert_eq!((offer.xid(), offer.yiaddr()), (0x1234, Ipv4Addr::new(10, 1, 1, 3)));
    let get = |code| offer.opts().get(code).cloned();
    assert_eq!(get(OptionCode::SubnetMask), Some(DhcpOption::SubnetMask([255, 255, 255, 0].into())));
    assert_eq!(get(OptionCode::Router), Some(DhcpOption::Router(vec![[10, 1, 1, 1].into()])));
    assert_eq!(get(OptionCode::InterfaceMtu), Some(DhcpOption::InterfaceMtu(1450)));
    assert_eq!(get(OptionCode::DomainName), Some(DhcpOption::DomainName("acme.test".into())));
    assert_eq!(get(OptionCode::NtpServers), Some(DhcpOption::NtpServers(vec![[10, 1, 1, 4].into()])));
    assert_eq!(
        get(OptionCode::ClasslessStaticRoute),
        Some(DhcpOption::ClasslessStaticRoute(vec![
            ("192.168.0.0/16".parse().unwrap(), [10, 1, 1, 9].into()),
            ("0.0.0.0/0".parse().unwrap(), [10, 1, 1, 1].into()),
        ]))
    );
}

#[test]
fn golden_head_of_an_ack() {
    let frame = answer(
        &port(),
        &request_frame(&client_message(MessageType::Request, MAC, 0x0102_0304, Some([10, 1, 1, 3].into()))),
    )
    .unwrap()
    .unwrap();
    // Ethernet: to the client, from the gateway.
    assert_eq!(frame[..14], [2, 0, 0, 0, 0, 9, 0, 0, 0x5e, 0, 1, 0, 8, 0]);
    assert_eq!(frame[26..34], [10, 1, 1, 2, 10, 1, 1, 3]);
    assert_eq!(frame[34..38], [0, 67, 0, 68]);
    // BOOTP: reply, Ethernet, 6, 0 hops, xid.
    assert_eq!(frame[42..50], [2, 1, 6, 0, 1, 2, 3, 4]);
    assert_eq!(frame[58..62], [10, 1, 1, 3]);
    assert_eq!(frame[278..282], [0x63, 0x82, 0x53, 0x63]);
}

#[test]
fn wrong_address_is_refused_by_broadcast() {
    let wrong = client_message(MessageType::Request, MAC, 1, Some([10, 9, 9, 9].into()));
    let (to, nak) = ask(&wrong).unwrap();
    assert_eq!(to, "255.255.255.255:68".parse().unwrap());
    assert_eq!(nak.opts().msg_type(), Some(MessageType::Nak));
    assert_eq!(nak.yiaddr(), Ipv4Addr::UNSPECIFIED);
}

#[test]
fn renewal_inform_and_release() {
    let mut renew = client_message(MessageType::Request, MAC, 2, None);
    renew.set_ciaddr([10, 1, 1, 3]);
    assert_eq!(ask(&renew).unwrap().1.opts().msg_type(), Some(MessageType::Ack));

    let mut inform = client_message(MessageType::Inform, MAC, 3, None);
    inform.set_ciaddr([10, 1, 1, 3]);
    let (_, ack) = ask(&inform).unwrap();
    assert_eq!(ack.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert!(ack.opts().get(OptionCode::AddressLeaseTime).is_none());

    assert!(ask(&client_message(MessageType::Release, MAC, 4, None)).is_none());
}

#[test]
fn another_servers_offer_taken_is_met_with_silence() {
    let mut request = client_message(MessageType::Request, MAC, 5, Some([10, 1, 1, 3].into()));
    request.opts_mut().insert(DhcpOption::ServerIdentifier([10, 1, 1, 77].into()));
    assert!(ask(&request).is_none());
}

#[test]
fn hostile_lengths_do_not_panic() {
    let good = request_frame(&client_message(MessageType::Discover, MAC, 6, None));
    let mut long_hlen = good.clone();
    long_hlen[44] = 200;
    assert!(answer(&port(), &long_hlen).is_err());
    for n in 0..good.len() {
        let _ = answer(&port(), &good[..n]);
    }
}
