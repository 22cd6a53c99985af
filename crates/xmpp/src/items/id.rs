//! What identifies a route: item ids of route messages and node strings of publishes.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_model::MacAddress;

use super::{RouteItem, RouteTable};
use crate::error::DecodeError;

/// Identity of a route within a table of a routing instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKey {
    /// IPv4 or IPv6 prefix, host bits zero.
    Unicast(IpNet),
    /// EVPN route.
    Evpn {
        /// Ethernet tag.
        ethernet_tag: u32,
        /// MAC address.
        mac: MacAddress,
        /// IP address and length, `0.0.0.0/32` if none.
        address: IpNet,
        /// Group and source of a multicast route.
        multicast: Option<(IpAddr, IpAddr)>,
    },
}

impl fmt::Display for RouteKey {
    /// The item id: a prefix, or `[<tag>-]<mac>,<ip>/<plen>[,<group>,<source>]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unicast(prefix) => write!(f, "{prefix}"),
            Self::Evpn { ethernet_tag, mac, address, multicast } => {
                if *ethernet_tag != 0 {
                    write!(f, "{ethernet_tag}-")?;
                }
                write!(f, "{mac},{address}")?;
                match multicast {
                    Some((group, source)) => write!(f, ",{group},{source}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl RouteKey {
    /// Reads an item id of a route message (an item's or a retract's).
    ///
    /// # Errors
    /// The id does not have the table's form.
    pub fn parse(table: RouteTable, id: &str) -> Result<Self, DecodeError> {
        let invalid = || DecodeError::invalid("id", id);
        let key = match table {
            RouteTable::Inet | RouteTable::Inet6 => {
                let prefix = parse_prefix(id).ok_or_else(invalid)?.trunc();
                if prefix.addr().is_ipv4() != (table == RouteTable::Inet) {
                    return Err(invalid());
                }
                Self::Unicast(prefix)
            }
            RouteTable::Evpn => parse_evpn(id).ok_or_else(invalid)?,
        };
        Ok(key)
    }
}

fn parse_evpn(id: &str) -> Option<RouteKey> {
    let mut parts = id.split(',');
    let (tag_mac, address) = (parts.next()?, parts.next()?);
    // Without a tag the first part has no hyphen: MAC addresses are written with colons.
    let (ethernet_tag, mac) = match tag_mac.split_once('-') {
        Some((tag, mac)) => (tag.parse().ok()?, mac),
        None => (0, tag_mac),
    };
    let multicast = match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => None,
        (Some(group), Some(source), None) => Some((group.parse().ok()?, source.parse().ok()?)),
        _ => return None,
    };
    let multicast = multicast.filter(|(group, _): &(IpAddr, IpAddr)| !group.is_unspecified());
    Some(RouteKey::Evpn { ethernet_tag, mac: mac.parse().ok()?, address: parse_prefix(address)?, multicast })
}

/// A prefix; an address alone is its host prefix.
pub(super) fn parse_prefix(text: &str) -> Option<IpNet> {
    if text.contains('/') { text.parse().ok() } else { text.parse::<IpAddr>().ok().map(IpNet::from) }
}

/// The node string of a publish. An EVPN one carries neither routing instance nor ethernet tag.
pub(super) fn publish_node(item: &RouteItem, ri: &str) -> String {
    let table = item.table();
    let (afi, safi) = (table.afi(), table.safi());
    match item.key() {
        RouteKey::Unicast(prefix) => format!("{afi}/{safi}/{ri}/{prefix}"),
        RouteKey::Evpn { mac, address, multicast, .. } => {
            format!("{afi}/{safi}/{}", RouteKey::Evpn { ethernet_tag: 0, mac, address, multicast })
        }
    }
}

/// Splits `<afi>/<safi>/<rest>`.
#[must_use]
pub fn parse_node(node: &str) -> Option<(u16, u8, &str)> {
    let mut parts = node.splitn(3, '/');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_of_the_protocol() {
        for (table, id) in [
            (RouteTable::Inet, "10.1.1.3/32"),
            (RouteTable::Inet6, "fd00::/64"),
            (RouteTable::Evpn, "02:00:00:00:00:01,10.1.1.3/32"),
            (RouteTable::Evpn, "5001-02:00:00:00:00:01,0.0.0.0/32"),
            (RouteTable::Evpn, "ff:ff:ff:ff:ff:ff,0.0.0.0/32,224.1.1.1,0.0.0.0"),
        ] {
            assert_eq!(RouteKey::parse(table, id).unwrap().to_string(), id);
        }
        assert_eq!(RouteKey::parse(RouteTable::Inet, "10.1.1.3").unwrap().to_string(), "10.1.1.3/32");
        for bad in ["", "10.1.1.3/33", "fd00::/64", "x"] {
            assert!(RouteKey::parse(RouteTable::Inet, bad).is_err(), "{bad}");
        }
        for bad in
            ["", "02:00:00:00:00:01", "02:00:00:00:00:01,", "x-02:00:00:00:00:01,1.1.1.1/32", "a,b,c,d,e"]
        {
            assert!(RouteKey::parse(RouteTable::Evpn, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn node_strings() {
        assert_eq!(parse_node("1/1/a:b:c/d/10.0.0.0/8"), Some((1, 1, "a:b:c/d/10.0.0.0/8")));
        assert_eq!(parse_node("25/242/x"), Some((25, 242, "x")));
        assert_eq!(parse_node("1/1"), None);
        assert_eq!(parse_node("1/300/x"), None);
    }
}
