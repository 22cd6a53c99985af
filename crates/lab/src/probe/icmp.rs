//! ICMP echo over raw sockets: the packets, and a socket for each family.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto, setsockopt,
    socket, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::record::Record;
use crate::file::plan::Family;

/// Receive buffer: seconds of a fast stream.
pub(crate) const RECEIVE_BUFFER: usize = 8 << 20;
/// ICMP header of an echo.
const HEADER: usize = 8;

/// An echo that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Request(Record),
    Reply(Record),
}

/// A raw ICMP socket. Make it inside the namespace, then [`Socket::register`] it with the runtime.
#[derive(Debug)]
pub(crate) struct Socket {
    family: Family,
    fd: AsyncFd<OwnedFd>,
}

/// Opens a raw socket in the namespace of the calling thread.
pub(crate) fn open(family: Family) -> io::Result<OwnedFd> {
    let (domain, protocol) = match family {
        Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let fd = socket(domain, SockType::Raw, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    Ok(fd)
}

impl Socket {
    pub(crate) fn register(family: Family, fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { family, fd: crate::sys::register(fd)? })
    }

    /// Sends an echo request.
    pub(crate) async fn send(&self, to: IpAddr, record: Record, size: usize) -> io::Result<()> {
        let packet = request(self.family, record, size);
        let address = SockaddrStorage::from(SocketAddr::new(to, 0));
        self.fd
            .async_io(Interest::WRITABLE, |fd| {
                Ok(sendto(fd.as_raw_fd(), &packet, &address, MsgFlags::empty())?)
            })
            .await
            .map(drop)
    }

    /// The next echo of ours.
    pub(crate) async fn receive(&self) -> io::Result<Echo> {
        let mut buffer = vec![0; 65_536];
        loop {
            let read = |fd: &OwnedFd| Ok(recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?);
            let length = self.fd.async_io(Interest::READABLE, read).await?;
            if let Some(echo) = buffer.get(..length).and_then(|packet| parse(self.family, packet)) {
                return Ok(echo);
            }
        }
    }
}

fn request(family: Family, record: Record, size: usize) -> Vec<u8> {
    let kind = if family == Family::V4 { 8 } else { 128 };
    let [.., id_high, id_low] = record.id.to_be_bytes();
    let [.., high, low] = record.sequence.to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, id_high, id_low, high, low];
    packet.extend(record.encode(size));
    if family == Family::V4 {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

fn parse(family: Family, packet: &[u8]) -> Option<Echo> {
    let icmp = match family {
        Family::V4 => packet.get(usize::from(packet.first()? & 0x0f) * 4..)?,
        Family::V6 => packet,
    };
    let record = Record::decode(icmp.get(HEADER..)?)?;
    match (family, icmp.first()?) {
        (Family::V4, 8) | (Family::V6, 128) => Some(Echo::Request(record)),
        (Family::V4, 0) | (Family::V6, 129) => Some(Echo::Reply(record)),
        _ => None,
    }
}

/// Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w.get(1).copied().unwrap_or(0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_valid_and_understood() {
        let record = Record { id: 0x1_0203, sequence: 9 };
        let packet = request(Family::V4, record, 57);
        assert_eq!(checksum(&packet), 0, "a packet with its checksum sums to zero");
        let mut with_header = vec![0x45; 20];
        with_header.extend(&packet);
        assert_eq!(parse(Family::V4, &with_header), Some(Echo::Request(record)));
        assert_eq!(parse(Family::V6, &request(Family::V6, record, 24)), Some(Echo::Request(record)));
        assert!((0..with_header.len()).all(|n| parse(Family::V4, &with_header[..n]).is_none_or(|_| n >= 52)));
    }
}
