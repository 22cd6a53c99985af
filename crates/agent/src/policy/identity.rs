//! What an address is, as far as policy can tell addresses apart.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::{Family, Selector};

/// Everything about an address that a rule can ask for. Interned to a small number by the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentitySet {
    /// The virtual network, empty if unknown.
    pub network: String,
    /// Numbers of its security groups.
    pub groups: BTreeSet<u32>,
    /// Those prefixes mentioned in rules that contain it.
    pub prefixes: BTreeSet<IpNet>,
    /// IPv6 (`true`) or IPv4; `None` for an interface, which may have both.
    pub v6: Option<bool>,
}

impl IdentitySet {
    /// An identity of `family` with the prefixes of `mentioned` that contain all of `of`.
    pub fn of_prefix<'a>(
        network: &str,
        groups: impl IntoIterator<Item = u32>,
        of: IpNet,
        mentioned: impl IntoIterator<Item = &'a IpNet>,
    ) -> Self {
        Self {
            network: network.to_owned(),
            groups: groups.into_iter().collect(),
            prefixes: mentioned.into_iter().filter(|p| p.contains(&of)).copied().collect(),
            v6: Some(of.addr().is_ipv6()),
        }
    }

    /// The identity of an interface with these addresses (its primary one of each family).
    pub fn of_interface<'a>(
        network: &str,
        groups: impl IntoIterator<Item = u32>,
        addresses: &[IpAddr],
        mentioned: impl IntoIterator<Item = &'a IpNet>,
    ) -> Self {
        let primary = |v6: bool| addresses.iter().find(|a| a.is_ipv6() == v6);
        let (v4, v6) = (primary(false), primary(true));
        let inside = |p: &&IpNet| [v4, v6].iter().flatten().any(|a| p.contains(*a));
        Self {
            network: network.to_owned(),
            groups: groups.into_iter().collect(),
            prefixes: mentioned.into_iter().filter(inside).copied().collect(),
            v6: None,
        }
    }

    /// Whether `selector` means this identity, in traffic of `family`.
    pub fn matches(&self, selector: &Selector, family: Family) -> bool {
        let v6 = family == Family::Inet6;
        let network = selector.network.as_ref().is_none_or(|n| *n == self.network);
        let group = selector.security_group.is_none_or(|g| self.groups.contains(&g));
        let subnets = selector
            .subnets
            .as_ref()
            .is_none_or(|nets| nets.iter().any(|n| n.addr().is_ipv6() == v6 && self.prefixes.contains(n)));
        network && group && subnets
    }
}
