//! DHCPv6 (RFC 8415), stateless on our side as DHCPv4: one configured address per interface.

use std::net::{Ipv6Addr, SocketAddr};

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, OptionCode, Status, StatusCode,
    UnknownOption,
};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};

use super::dhcp6_screen::screen;
use super::packet::{PacketError, parse_udp, udp_frame};
use super::view::{GATEWAY_LINK_LOCAL, GATEWAY_MAC, LEASE_SECONDS, Lease6, PortServices};

/// The server's UDP port.
pub const SERVER_PORT: u16 = 547;
/// The client's UDP port.
pub const CLIENT_PORT: u16 = 546;
/// Longest request that is looked at, in bytes of UDP payload.
const MAX_REQUEST: usize = 1500;
/// Identity associations answered in one reply.
const MAX_ASSOCIATIONS: usize = 4;
/// DHCPv6 option code of the domain search list.
const OPTION_DOMAIN_SEARCH: u16 = 24;

/// The server's DUID: type 3 (link layer), hardware type Ethernet, the gateway's MAC.
pub fn server_duid() -> Vec<u8> {
    let mut duid = vec![0, 3, 0, 1];
    duid.extend_from_slice(&GATEWAY_MAC);
    duid
}

/// Decode a client's DHCPv6 message: the options that are read here, the others left out.
///
/// # Errors
/// [`PacketError`] for a message that is too long or cut short, or has an option that cannot be what it says.
pub fn decode(payload: &[u8]) -> Result<Message, PacketError> {
    if payload.len() > MAX_REQUEST {
        return Err(PacketError::malformed("dhcpv6", "longer than an Ethernet frame"));
    }
    let readable = screen(payload)?;
    Message::decode(&mut Decoder::new(&readable)).map_err(|e| PacketError::malformed("dhcpv6", e))
}

/// Answer the DHCPv6 request in `frame`, received from `port`. `Ok(None)` when no answer is due.
///
/// # Errors
/// [`PacketError`] when the frame is not a DHCPv6 request or the reply does not encode.
pub fn answer(port: &PortServices, frame: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
    let datagram = parse_udp(frame)?;
    if datagram.destination.port() != SERVER_PORT {
        return Err(PacketError::Unexpected("DHCPv6 port"));
    }
    let request = decode(datagram.payload)?;
    let Some(lease) = &port.lease6 else {
        return Ok(None);
    };
    let Some(reply) = reply_to(lease, &request)? else {
        return Ok(None);
    };
    let mut payload = Vec::with_capacity(200);
    reply.encode(&mut Encoder::new(&mut payload)).map_err(|e| PacketError::encode("dhcpv6", e))?;
    udp_frame(
        GATEWAY_MAC,
        datagram.source_mac,
        SocketAddr::from((GATEWAY_LINK_LOCAL, SERVER_PORT)),
        SocketAddr::new(datagram.source.ip(), CLIENT_PORT),
        &payload,
    )
    .map(Some)
}

fn reply_to(lease: &Lease6, request: &Message) -> Result<Option<Message>, PacketError> {
    use MessageType as M;
    let Some(client) = request.opts().get(OptionCode::ClientId) else {
        // Only an information-request may come without a client identifier (RFC 8415 section 16).
        return Ok(
            (request.msg_type() == M::InformationRequest).then(|| bare_reply(lease, request, M::Reply))
        );
    };
    let kind = match request.msg_type() {
        M::Solicit if has(request, OptionCode::RapidCommit) => M::Reply,
        M::Solicit => M::Advertise,
        M::Request | M::Renew | M::Release | M::Decline if !names_us(request) => return Ok(None),
        M::Request | M::Renew | M::Rebind | M::Confirm | M::InformationRequest | M::Release | M::Decline => {
            M::Reply
        }
        _ => return Err(PacketError::Unexpected("DHCPv6 message type")),
    };
    let mut reply = bare_reply(lease, request, kind);
    reply.opts_mut().insert(client.clone());
    match request.msg_type() {
        M::Solicit | M::Request | M::Renew | M::Rebind => {
            if request.msg_type() == M::Solicit && kind == M::Reply {
                reply.opts_mut().insert(DhcpOption::RapidCommit);
            }
            add_associations(&mut reply, lease, request);
        }
        M::Confirm => {
            let on_link = claimed(request).iter().all(|a| lease.subnet.contains(a));
            let status = if on_link { Status::Success } else { Status::NotOnLink };
            reply.opts_mut().insert(status_option(status));
        }
        M::Release | M::Decline => reply.opts_mut().insert(status_option(Status::Success)),
        _ => {}
    }
    Ok(Some(reply))
}

fn has(request: &Message, code: OptionCode) -> bool {
    request.opts().get(code).is_some()
}

fn names_us(request: &Message) -> bool {
    matches!(request.opts().get(OptionCode::ServerId), Some(DhcpOption::ServerId(id)) if *id == server_duid())
}

fn bare_reply(lease: &Lease6, request: &Message, kind: MessageType) -> Message {
    let mut reply = Message::new_with_id(kind, request.xid());
    let options = reply.opts_mut();
    options.insert(DhcpOption::ServerId(server_duid()));
    if !lease.dns.is_empty() {
        options.insert(DhcpOption::DomainNameServers(lease.dns.clone()));
    }
    if let Some(encoded) = lease.domain.as_deref().and_then(encode_name) {
        options.insert(DhcpOption::Unknown(UnknownOption::new(OPTION_DOMAIN_SEARCH.into(), encoded)));
    }
    reply
}

/// A domain name in DNS wire form; `None` if a label does not fit.
pub fn encode_name(name: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.trim_end_matches('.').split('.') {
        let len = u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n))?;
        out.push(len);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    (out.len() <= 255).then_some(out)
}

fn associations(request: &Message) -> impl Iterator<Item = &IANA> {
    request
        .opts()
        .iter()
        .filter_map(|option| match option {
            DhcpOption::IANA(ia) => Some(ia),
            _ => None,
        })
        .take(MAX_ASSOCIATIONS)
}

fn addresses(ia: &IANA) -> impl Iterator<Item = Ipv6Addr> {
    ia.opts.iter().filter_map(|option| match option {
        DhcpOption::IAAddr(a) => Some(a.addr),
        _ => None,
    })
}

fn claimed(request: &Message) -> Vec<Ipv6Addr> {
    associations(request).flat_map(addresses).collect()
}

/// The first association gets the interface's address; further ones get "no addresses".
fn add_associations(reply: &mut Message, lease: &Lease6, request: &Message) {
    for (n, ia) in associations(request).enumerate() {
        let mut opts = DhcpOptions::new();
        if n == 0 {
            opts.insert(address_option(lease.address, LEASE_SECONDS));
            for other in addresses(ia).filter(|a| *a != lease.address).take(MAX_ASSOCIATIONS) {
                opts.insert(address_option(other, 0)); // not (any longer) valid here
            }
        } else {
            opts.insert(status_option(Status::NoAddrsAvail));
        }
        reply.opts_mut().insert(DhcpOption::IANA(IANA {
            id: ia.id,
            t1: LEASE_SECONDS / 2,
            t2: LEASE_SECONDS / 5 * 4,
            opts,
        }));
    }
}

fn address_option(addr: Ipv6Addr, seconds: u32) -> DhcpOption {
    DhcpOption::IAAddr(IAAddr {
        addr,
        preferred_life: seconds,
        valid_life: seconds,
        opts: DhcpOptions::new(),
    })
}

fn status_option(status: Status) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn port() -> PortServices {
        PortServices {
            interface: uuid::Uuid::nil(),
            ifindex: 7,
            mac: CLIENT,
            network: "d:p:red".into(),
            hostname: None,
            mtu: 1450,
            lease4: None,
            lease6: Some(Lease6 {
                address: "fd00:1::3".parse().unwrap(),
                subnet: "fd00:1::/64".parse().unwrap(),
                gateway: Some("fd00:1::1".parse().unwrap()),
                dns: vec!["fd00:1::2".parse().unwrap()],
                domain: Some("acme.test".into()),
            }),
        }
    }

    fn request(kind: MessageType, addr: Option<&str>, server: bool) -> Message {
        let mut m = Message::new_with_id(kind, [1, 2, 3]);
        m.opts_mut().insert(DhcpOption::ClientId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 9]));
        if server {
            m.opts_mut().insert(DhcpOption::ServerId(server_duid()));
        }
        let mut opts = DhcpOptions::new();
        if let Some(a) = addr {
            opts.insert(address_option(a.parse().unwrap(), 10));
        }
        let ia = IANA { id: 5, t1: 0, t2: 0, opts };
        m.opts_mut().insert(DhcpOption::IANA(ia));
        m
    }

    fn ask(m: &Message) -> Option<Message> {
        let mut payload = Vec::new();
        m.encode(&mut Encoder::new(&mut payload)).unwrap();
        let from = "[fe80::9]:546".parse().unwrap();
        let frame = udp_frame(CLIENT, [0x33; 6], from, "[ff02::1:2]:547".parse().unwrap(), &payload).unwrap();
        let reply = answer(&port(), &frame).unwrap()?;
        let datagram = parse_udp(&reply).unwrap();
        assert_eq!(datagram.destination, from);
        Some(decode(datagram.payload).unwrap())
    }

    fn offered(m: &Message) -> Vec<(Ipv6Addr, u32)> {
        associations(m)
            .flat_map(|ia| ia.opts.iter())
            .filter_map(|o| match o {
                DhcpOption::IAAddr(a) => Some((a.addr, a.valid_life)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn solicit_request_and_rapid_commit() {
        let ours: Ipv6Addr = "fd00:1::3".parse().unwrap();
        let adv = ask(&request(MessageType::Solicit, None, false)).unwrap();
        assert_eq!(adv.msg_type(), MessageType::Advertise);
        assert_eq!(offered(&adv), vec![(ours, LEASE_SECONDS)]);
        assert_eq!(adv.xid(), [1, 2, 3]);

        let reply = ask(&request(MessageType::Request, Some("fd00:1::3"), true)).unwrap();
        assert_eq!(reply.msg_type(), MessageType::Reply);
        assert!(has(&reply, OptionCode::DomainNameServers));

        let mut rapid = request(MessageType::Solicit, None, false);
        rapid.opts_mut().insert(DhcpOption::RapidCommit);
        let reply = ask(&rapid).unwrap();
        assert_eq!(reply.msg_type(), MessageType::Reply);
        assert!(has(&reply, OptionCode::RapidCommit));
    }

    #[test]
    fn renewing_another_address_expires_it() {
        let got = offered(&ask(&request(MessageType::Renew, Some("fd00:9::9"), true)).unwrap());
        assert_eq!(got.len(), 2);
        assert!(got.contains(&("fd00:1::3".parse().unwrap(), LEASE_SECONDS)));
        assert!(got.contains(&("fd00:9::9".parse().unwrap(), 0)));
    }

    #[test]
    fn confirm_and_foreign_server() {
        let status = |m: &Message| match m.opts().get(OptionCode::StatusCode) {
            Some(DhcpOption::StatusCode(s)) => Some(s.status),
            _ => None,
        };
        let yes = ask(&request(MessageType::Confirm, Some("fd00:1::3"), false)).unwrap();
        assert_eq!(status(&yes), Some(Status::Success));
        let no = ask(&request(MessageType::Confirm, Some("fd00:2::3"), false)).unwrap();
        assert_eq!(status(&no), Some(Status::NotOnLink));
        assert!(ask(&request(MessageType::Request, None, false)).is_none());
    }

    #[test]
    fn truncations_do_not_panic() {
        let mut payload = Vec::new();
        request(MessageType::Solicit, Some("fd00:1::3"), true)
            .encode(&mut Encoder::new(&mut payload))
            .unwrap();
        for n in 0..payload.len() {
            let _ = decode(&payload[..n]);
        }
        assert_eq!(encode_name("a.b"), Some(vec![1, b'a', 1, b'b', 0]));
        assert_eq!(encode_name("a..b"), None);
    }
}
