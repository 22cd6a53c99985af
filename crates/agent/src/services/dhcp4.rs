//! DHCPv4 (RFC 2131): the address of an interface is configured, so the server keeps no state at all.
//!
//! DISCOVER is offered the configured address, REQUEST for it is acknowledged and for any other refused, INFORM gets
//! the options only; RELEASE and DECLINE need no answer.

use std::net::{Ipv4Addr, SocketAddr};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use ipnet::Ipv4Net;

use super::dhcp4_screen::screen;
use super::packet::{PacketError, UdpDatagram, parse_udp, udp_frame};
use super::view::{GATEWAY_MAC, LEASE_SECONDS, Lease4, PortServices};

/// The server's UDP port.
pub const SERVER_PORT: u16 = 67;
/// The client's UDP port.
pub const CLIENT_PORT: u16 = 68;
/// Longest request that is looked at, in bytes of UDP payload.
const MAX_REQUEST: usize = 1500;
/// Length of an Ethernet address in the `hlen` field.
const ETHERNET_HLEN: u8 = 6;
/// Classless static routes beyond this number are left out: the option holds 255 bytes.
const MAX_ROUTES: usize = 20;

/// Decode a client's DHCPv4 message: the options that are read here, the others left out.
///
/// # Errors
/// [`PacketError`] for a message that is too long, cut short, or not from an Ethernet client.
pub fn decode(payload: &[u8]) -> Result<Message, PacketError> {
    if payload.len() > MAX_REQUEST {
        return Err(PacketError::malformed("dhcp", "longer than an Ethernet frame"));
    }
    // Byte 2 is hlen: the codec slices the 16-byte chaddr by it without looking.
    if payload.get(2).copied() != Some(ETHERNET_HLEN) {
        return Err(PacketError::Unexpected("hardware address length"));
    }
    let readable = screen(payload)?;
    Message::decode(&mut Decoder::new(&readable)).map_err(|e| PacketError::malformed("dhcp", e))
}

/// Answer the DHCPv4 request in `frame`, received from `port`. `Ok(None)` when no answer is due.
///
/// # Errors
/// [`PacketError`] when the frame is not a DHCPv4 request or the reply does not encode.
pub fn answer(port: &PortServices, frame: &[u8]) -> Result<Option<Vec<u8>>, PacketError> {
    let datagram = parse_udp(frame)?;
    if datagram.destination.port() != SERVER_PORT {
        return Err(PacketError::Unexpected("DHCP port"));
    }
    let request = decode(datagram.payload)?;
    if request.opcode() != Opcode::BootRequest {
        return Err(PacketError::Unexpected("DHCP opcode"));
    }
    let Some(lease) = &port.lease4 else {
        return Ok(None);
    };
    let Some(kind) = reply_kind(lease, &request) else {
        return Ok(None);
    };
    let reply = build_reply(port, lease, &request, kind);
    let mut payload = Vec::with_capacity(400);
    reply.encode(&mut Encoder::new(&mut payload)).map_err(|e| PacketError::encode("dhcp", e))?;
    // BOOTP's minimum message (RFC 1542 section 2.1): some clients drop shorter ones.
    if payload.len() < 300 {
        payload.resize(300, 0);
    }
    frame_reply(lease, &request, &datagram, kind, &payload).map(Some)
}

/// What to answer, by message type and by the address the client names.
fn reply_kind(lease: &Lease4, request: &Message) -> Option<MessageType> {
    match request.opts().msg_type()? {
        MessageType::Discover => Some(MessageType::Offer),
        MessageType::Inform => Some(MessageType::Ack),
        MessageType::Request => {
            if let Some(DhcpOption::ServerIdentifier(server)) =
                request.opts().get(OptionCode::ServerIdentifier)
                && *server != lease.server
            {
                return None; // the client chose another server: silence, RFC 2131 section 4.3.2
            }
            let wanted = match request.opts().get(OptionCode::RequestedIpAddress) {
                Some(DhcpOption::RequestedIpAddress(address)) => *address,
                _ => request.ciaddr(),
            };
            Some(if wanted == lease.address { MessageType::Ack } else { MessageType::Nak })
        }
        _ => None,
    }
}

fn build_reply(port: &PortServices, lease: &Lease4, request: &Message, kind: MessageType) -> Message {
    let inform = request.opts().has_msg_type(MessageType::Inform);
    let mut reply = Message::new_with_id(
        request.xid(),
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        request.giaddr(),
        request.chaddr(),
    );
    reply.set_opcode(Opcode::BootReply).set_flags(request.flags());
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(lease.server));
    if let Some(DhcpOption::ClientIdentifier(id)) = request.opts().get(OptionCode::ClientIdentifier) {
        options.insert(DhcpOption::ClientIdentifier(id.clone())); // RFC 6842
    }
    if kind == MessageType::Nak {
        options.insert(DhcpOption::Message("address not configured on this interface".into()));
        return reply;
    }
    add_lease_options(&mut reply, port, lease, inform);
    if inform {
        reply.set_ciaddr(request.ciaddr());
    } else {
        reply.set_yiaddr(lease.address).set_siaddr(lease.server);
    }
    reply
}

fn add_lease_options(reply: &mut Message, port: &PortServices, lease: &Lease4, inform: bool) {
    let subnet = Ipv4Net::new(lease.address, lease.prefix_len).unwrap_or_else(|_| lease.address.into());
    let options = reply.opts_mut();
    // Configured options first, so that what the agent itself knows always wins.
    for raw in &lease.options {
        options.insert(DhcpOption::Unknown(UnknownOption::new(
            raw.code.into(),
            raw.data.iter().copied().take(255).collect(),
        )));
    }
    if !inform {
        options.insert(DhcpOption::AddressLeaseTime(LEASE_SECONDS));
        options.insert(DhcpOption::Renewal(LEASE_SECONDS / 2));
        options.insert(DhcpOption::Rebinding(LEASE_SECONDS / 8 * 7));
    }
    options.insert(DhcpOption::SubnetMask(subnet.netmask()));
    options.insert(DhcpOption::BroadcastAddr(subnet.broadcast()));
    if let Some(gateway) = lease.gateway {
        options.insert(DhcpOption::Router(vec![gateway]));
    }
    if !lease.dns.is_empty() {
        options.insert(DhcpOption::DomainNameServer(lease.dns.clone()));
    }
    if let Some(domain) = &lease.domain {
        options.insert(DhcpOption::DomainName(domain.clone()));
    }
    if let Some(name) = &port.hostname {
        options.insert(DhcpOption::Hostname(name.clone()));
    }
    options.insert(DhcpOption::InterfaceMtu(port.mtu));
    let routes = classless_routes(lease);
    if !routes.is_empty() {
        options.insert(DhcpOption::ClasslessStaticRoute(routes));
    }
}

/// Option 121. A client that takes it ignores option 3 (RFC 3442), so the default route goes in too.
fn classless_routes(lease: &Lease4) -> Vec<(Ipv4Net, Ipv4Addr)> {
    if lease.host_routes.is_empty() {
        return Vec::new();
    }
    let mut routes: Vec<_> = lease.host_routes.iter().copied().take(MAX_ROUTES).collect();
    if let Some(gateway) = lease.gateway
        && !routes.iter().any(|(net, _)| net.prefix_len() == 0)
    {
        routes.push((Ipv4Net::default(), gateway));
    }
    routes
}

/// Address the reply as RFC 2131 section 4.1 says: to `ciaddr` if the client has one, else by its broadcast flag.
fn frame_reply(
    lease: &Lease4,
    request: &Message,
    datagram: &UdpDatagram<'_>,
    kind: MessageType,
    payload: &[u8],
) -> Result<Vec<u8>, PacketError> {
    let broadcast = request.flags().broadcast() || kind == MessageType::Nak;
    let address = if !request.ciaddr().is_unspecified() && kind != MessageType::Nak {
        request.ciaddr()
    } else if broadcast {
        Ipv4Addr::BROADCAST
    } else {
        lease.address
    };
    let mac = if address.is_broadcast() { [0xff; 6] } else { datagram.source_mac };
    udp_frame(
        GATEWAY_MAC,
        mac,
        SocketAddr::from((lease.server, SERVER_PORT)),
        SocketAddr::from((address, CLIENT_PORT)),
        payload,
    )
}

/// A DHCP client's message of `kind`, for tests and for probing an interface's configuration.
pub fn client_message(kind: MessageType, mac: [u8; 6], xid: u32, requested: Option<Ipv4Addr>) -> Message {
    let any = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(xid, any, any, any, any, &mac);
    message.set_flags(Flags::default());
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    if let Some(address) = requested {
        message.opts_mut().insert(DhcpOption::RequestedIpAddress(address));
    }
    message
}

#[cfg(test)]
mod tests;
