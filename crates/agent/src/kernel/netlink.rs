//! Reading the kernel's tables over rtnetlink, and being told of changes.

use std::net::{IpAddr, Ipv4Addr};

use futures::{StreamExt, TryStreamExt};
use ipnet::Ipv4Net;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage};
use rtnetlink::{Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use tokio::sync::watch;

use super::{Kernel, KernelError, KernelRoute, Link};

/// A netlink socket in the namespace of the thread that opened it.
#[derive(Clone)]
pub struct Netlink {
    handle: Handle,
}

fn failed(what: &'static str) -> impl Fn(rtnetlink::Error) -> KernelError {
    move |source| KernelError::Request { what, source }
}

impl Netlink {
    /// Open a socket; its work is done by a task of the present runtime.
    ///
    /// # Errors
    /// [`KernelError::Socket`].
    pub fn open() -> Result<Self, KernelError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// The picture as it is now.
    ///
    /// # Errors
    /// [`KernelError::Request`] when the kernel refuses a dump.
    pub async fn read(&self) -> Result<Kernel, KernelError> {
        let mut kernel = Kernel::default();
        let links = self.handle.link().get().execute();
        let links: Vec<_> = links.try_collect().await.map_err(failed("reading interfaces"))?;
        kernel.links.extend(links.iter().filter_map(link));
        let addresses = self.handle.address().get().execute();
        let addresses: Vec<_> = addresses.try_collect().await.map_err(failed("reading addresses"))?;
        for message in addresses {
            let local = message.attributes.iter().find_map(|a| match a {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
            kernel.addresses.extend(local.map(|a| (message.header.index, a)));
        }
        let neighbours = self.handle.neighbours().get().set_address_family(AddressFamily::Inet).execute();
        let neighbours: Vec<_> = neighbours.try_collect().await.map_err(failed("reading neighbours"))?;
        kernel.neighbours.extend(neighbours.iter().filter_map(neighbour));
        let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes = self.handle.route().get(request).execute();
        let routes: Vec<_> = routes.try_collect().await.map_err(failed("reading routes"))?;
        kernel.routes.extend(routes.iter().filter_map(route));
        Ok(kernel)
    }

    /// Set an interface up.
    ///
    /// # Errors
    /// [`KernelError::Request`].
    pub async fn set_up(&self, ifindex: u32) -> Result<(), KernelError> {
        let message = LinkUnspec::new_with_index(ifindex).up().build();
        self.handle.link().set(message).execute().await.map_err(failed("setting an interface up"))
    }

    /// Set an interface's MTU, in bytes.
    ///
    /// # Errors
    /// [`KernelError::Request`].
    pub async fn set_mtu(&self, ifindex: u32, mtu: u32) -> Result<(), KernelError> {
        let message = LinkUnspec::new_with_index(ifindex).mtu(mtu).build();
        self.handle.link().set(message).execute().await.map_err(failed("setting an interface's MTU"))
    }
}

/// A value that changes whenever links, addresses, neighbours or routes do.
///
/// # Errors
/// [`KernelError::Socket`].
pub fn changes() -> Result<watch::Receiver<u64>, KernelError> {
    let groups =
        [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv4Route, MulticastGroup::Neigh];
    let (connection, _, mut messages) = rtnetlink::new_multicast_connection(&groups)?;
    tokio::spawn(connection);
    let (sender, receiver) = watch::channel(0u64);
    tokio::spawn(async move {
        while messages.next().await.is_some() {
            sender.send_modify(|n| *n = n.wrapping_add(1));
            if sender.is_closed() {
                return;
            }
        }
    });
    Ok(receiver)
}

fn link(message: &LinkMessage) -> Option<(String, Link)> {
    let mut link = Link {
        ifindex: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    let (mut name, mut veth, mut elsewhere) = (None, false, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().unwrap_or_default(),
            LinkAttribute::LinkInfo(infos) => {
                veth = infos.iter().any(|i| matches!(i, LinkInfo::Kind(InfoKind::Veth)));
            }
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            _ => {}
        }
    }
    link.veth = veth && elsewhere;
    Some((name?, link))
}

fn neighbour(message: &NeighbourMessage) -> Option<((u32, Ipv4Addr), [u8; 6])> {
    use NeighbourState as S;
    if !matches!(message.header.state, S::Reachable | S::Stale | S::Delay | S::Probe | S::Permanent) {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => address = Some(*a),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    Some(((message.header.ifindex, address?), mac?))
}

fn route(message: &RouteMessage) -> Option<KernelRoute> {
    if message.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let (mut destination, mut gateway, mut ifindex, mut metric) = (Ipv4Addr::UNSPECIFIED, None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(a)) => destination = *a,
            RouteAttribute::Gateway(RouteAddress::Inet(a)) => gateway = Some(*a),
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Priority(value) => metric = *value,
            _ => {}
        }
    }
    let prefix = Ipv4Net::new(destination, message.header.destination_prefix_length).ok()?;
    Some(KernelRoute { prefix, gateway, ifindex: ifindex?, metric })
}
