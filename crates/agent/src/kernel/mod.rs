//! The kernel's links, addresses, neighbours and routes, as far as the agent needs them.
//!
//! Level-triggered: a notification only says that something changed; the picture is then read anew. [`Kernel`] itself
//! is plain data, so what follows from it ([`Kernel::underlay`], [`Kernel::local_ports`]) is tested without a kernel.

mod netlink;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use crate::desired::{LocalPort, Resolved, Underlay};
use crate::ports::Port;
pub use netlink::{Netlink, changes};

/// Something about the kernel's tables went wrong.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The socket could not be opened.
    #[error("opening a netlink socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The kernel refused.
    #[error("{what}: {source}")]
    Request {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        source: rtnetlink::Error,
    },
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// Its MAC, zero if it has none.
    pub mac: [u8; 6],
    /// Its MTU in bytes.
    pub mtu: u32,
    /// It is up.
    pub up: bool,
    /// A veth whose other end is in another namespace.
    pub veth: bool,
}

/// What an interface lacks, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// To be set up: a workload that is plugged in is meant to be reached.
    Up(u32),
    /// This MTU, in bytes.
    Mtu(u32, u32),
}

/// An IPv4 route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    /// Destination.
    pub prefix: Ipv4Net,
    /// Router, if it is not on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Interface.
    pub ifindex: u32,
    /// Metric; the lower is taken.
    pub metric: u32,
}

/// The picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Interfaces by name.
    pub links: BTreeMap<String, Link>,
    /// IPv4 addresses of interfaces, in the kernel's order.
    pub addresses: Vec<(u32, Ipv4Addr)>,
    /// Neighbours with a known MAC.
    pub neighbours: BTreeMap<(u32, Ipv4Addr), [u8; 6]>,
    /// Routes.
    pub routes: Vec<KernelRoute>,
}

impl Kernel {
    /// The underlay through the interface `fabric`, with ways to `remotes`. `None` while the interface or its address
    /// is not there.
    pub fn underlay<'a>(
        &self,
        fabric: &str,
        tunnel: Option<Ipv4Addr>,
        pkt0: u32,
        remotes: impl IntoIterator<Item = &'a Ipv4Addr>,
    ) -> Option<Underlay> {
        let link = self.links.get(fabric)?;
        let own = || self.addresses.iter().find(|(i, _)| *i == link.ifindex).map(|(_, a)| *a);
        Some(Underlay {
            tunnel_ip: tunnel.or_else(own)?,
            fabric_ifindex: link.ifindex,
            fabric_mac: link.mac,
            fabric_mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
            pkt0_ifindex: pkt0,
            ways: remotes.into_iter().map(|r| (*r, self.way(link.ifindex, *r))).collect(),
        })
    }

    /// The way to `remote` over `ifindex`: longest prefix, then lowest metric.
    fn way(&self, ifindex: u32, remote: Ipv4Addr) -> Resolved {
        let routes = self.routes.iter().filter(|r| r.ifindex == ifindex && r.prefix.contains(&remote));
        let best = routes.max_by_key(|r| (r.prefix.prefix_len(), std::cmp::Reverse(r.metric)));
        let gateway = best.and_then(|r| r.gateway);
        let mac = self.neighbours.get(&(ifindex, gateway.unwrap_or(remote))).copied();
        Resolved { gateway, mac }
    }

    /// Those of `ports` that are enabled and whose interface exists.
    pub fn local_ports<'a>(&self, ports: impl IntoIterator<Item = &'a Port>) -> Vec<LocalPort> {
        let served = ports.into_iter().filter(|p| p.enabled);
        served
            .filter_map(|port| {
                let link = self.links.get(&port.system_name)?;
                Some(LocalPort { interface: port.id, ifindex: link.ifindex, veth: link.veth })
            })
            .collect()
    }

    /// What the interfaces of enabled `ports` lack to serve workloads that were told `mtu`. The kernel drops silently
    /// what is longer than the receiving end's MTU, so the host's end must not be the smaller one; larger is harmless.
    pub fn link_changes<'a>(
        &self,
        ports: impl IntoIterator<Item = &'a Port>,
        mtu: impl Fn(u32) -> Option<u32>,
    ) -> Vec<LinkChange> {
        let mut changes = Vec::new();
        for port in ports.into_iter().filter(|p| p.enabled) {
            let Some(link) = self.links.get(&port.system_name) else { continue };
            let wanted = mtu(link.ifindex).filter(|wanted| *wanted > link.mtu);
            changes.extend(wanted.map(|wanted| LinkChange::Mtu(link.ifindex, wanted)));
            if !link.up {
                changes.push(LinkChange::Up(link.ifindex));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortRequest;

    fn kernel() -> Kernel {
        let link = Link { ifindex: 5, mac: [9; 6], mtu: 1500, up: true, veth: false };
        let route = |prefix: &str, gateway: Option<&str>, metric| KernelRoute {
            prefix: prefix.parse().unwrap(),
            gateway: gateway.map(|g| g.parse().unwrap()),
            ifindex: 5,
            metric,
        };
        Kernel {
            links: [("fab0".to_owned(), link)].into(),
            addresses: vec![(5, [192, 168, 0, 1].into())],
            neighbours: [((5, [192, 168, 0, 2].into()), [2; 6]), ((5, [192, 168, 0, 254].into()), [4; 6])]
                .into(),
            routes: vec![
                route("192.168.0.0/24", None, 0),
                route("0.0.0.0/0", Some("192.168.0.253"), 100),
                route("0.0.0.0/0", Some("192.168.0.254"), 10),
            ],
        }
    }

    #[test]
    fn ways_lead_directly_or_over_the_best_router() {
        let (near, far, unknown) = ([192, 168, 0, 2].into(), [10, 0, 0, 1].into(), [192, 168, 0, 3].into());
        let underlay = kernel().underlay("fab0", None, 7, &[near, far, unknown]).unwrap();
        assert_eq!(underlay.tunnel_ip, Ipv4Addr::new(192, 168, 0, 1));
        assert_eq!(underlay.ways[&near], Resolved { gateway: None, mac: Some([2; 6]) });
        let router = Some([192, 168, 0, 254].into());
        assert_eq!(underlay.ways[&far], Resolved { gateway: router, mac: Some([4; 6]) });
        assert_eq!(underlay.ways[&unknown], Resolved::default());
        assert!(kernel().underlay("none", None, 7, &[]).is_none());
    }

    #[test]
    fn the_hosts_end_is_never_smaller_than_what_workloads_may_send() {
        let port = |name: &str, enabled| Port {
            id: uuid::Uuid::nil(),
            instance: None,
            system_name: name.into(),
            enabled,
            request: PortRequest::default(),
        };
        let ports = [port("fab0", true), port("gone", true)];
        let changes = |mtu| kernel().link_changes(&ports, |_| mtu);
        assert_eq!(changes(Some(1550)), [LinkChange::Mtu(5, 1550)]);
        assert_eq!(changes(Some(1500)), []);
        assert_eq!(changes(None), []);
        assert_eq!(kernel().link_changes(&[port("fab0", false)], |_| Some(9000)), []);
        let mut down = kernel();
        down.links.get_mut("fab0").unwrap().up = false;
        assert_eq!(down.link_changes(&ports, |_| None), [LinkChange::Up(5)]);
    }
}
