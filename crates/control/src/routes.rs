//! Route items of the agent protocol to paths of the routing tables and back.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;
use weft_model::MacAddress;
use weft_rib::{Attributes, EncapSet, LoadBalance, Path, Prefix, Table};
use weft_xmpp::MASTER_ROUTING_INSTANCE;
use weft_xmpp::items::{
    self, Encap, EvpnItem, LoadBalanceField, Mobility, NextHop, RouteItem, RouteTable, UnicastItem,
};

/// Largest label: 24 bits, as a VXLAN network identifier.
const MAX_LABEL: u32 = (1 << 24) - 1;

/// Why an announced route is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RouteError {
    /// Not exactly one next hop.
    #[error("{0} next hops instead of one")]
    NextHops(usize),
    /// An address no packet can be sent to.
    #[error("next hop {0} is no host's address")]
    Address(IpAddr),
    /// No label, outside the master routing instance.
    #[error("no label")]
    NoLabel,
    /// The label has more than 24 bits.
    #[error("label {0} is too large")]
    Label(u32),
    /// Multicast within EVPN is not carried.
    #[error("EVPN multicast routes are not supported")]
    Multicast,
}

/// What the route is for. Withdraws need no more.
///
/// # Errors
/// Of a kind that is not carried.
pub fn prefix(item: &RouteItem) -> Result<Prefix, RouteError> {
    match item {
        RouteItem::Unicast(item) => Ok(Prefix::unicast(item.prefix)),
        RouteItem::Evpn(item) if item.group.is_some() => Err(RouteError::Multicast),
        RouteItem::Evpn(item) => Ok(Prefix::Evpn {
            tag: item.ethernet_tag,
            mac: item.mac.0,
            ip: Some(item.address).filter(|address| *address != no_address()),
        }),
    }
}

/// The address of an EVPN route without one.
fn no_address() -> IpNet {
    IpNet::V4(Ipv4Net::from(Ipv4Addr::UNSPECIFIED))
}

/// A route announced by an agent.
///
/// # Errors
/// It breaks one of the protocol's rules; the agent's other routes are none the worse for it.
pub fn announced(ri: &str, item: &RouteItem) -> Result<(Prefix, Attributes), RouteError> {
    let prefix = prefix(item)?;
    let [hop] = item.next_hops() else { return Err(RouteError::NextHops(item.next_hops().len())) };
    if hop.address.is_unspecified() || hop.address.is_multicast() {
        return Err(RouteError::Address(hop.address));
    }
    if hop.label == 0 && ri != MASTER_ROUTING_INSTANCE {
        return Err(RouteError::NoLabel);
    }
    if hop.label > MAX_LABEL {
        return Err(RouteError::Label(hop.label));
    }
    let mut attributes = Attributes {
        l3_label: hop.l3_label,
        vni: hop.vni,
        router_mac: hop.mac.map(|mac| mac.0),
        tags: hop.tags.clone(),
        local_sequence: hop.local_sequence,
        ..Attributes::new(hop.address, hop.label, encap_set(&hop.encaps))
    };
    match item {
        RouteItem::Unicast(item) => from_unicast(item, &mut attributes),
        RouteItem::Evpn(item) => from_evpn(item, &mut attributes),
    }
    if attributes.med == 0 {
        attributes.med = med_of(attributes.local_pref);
    }
    Ok((prefix, attributes))
}

fn from_unicast(item: &UnicastItem, attributes: &mut Attributes) {
    attributes.local_pref = item.local_preference;
    attributes.med = item.med;
    set_mobility(item.mobility, attributes);
    attributes.security_groups.clone_from(&item.security_groups);
    attributes.communities.clone_from(&item.communities);
    attributes.load_balance = item.load_balance.as_ref().map(|lb| LoadBalance {
        fields: lb.fields.iter().map(|f| f.name().to_owned()).collect(),
        source_bias: lb.source_bias,
    });
    attributes.sub_protocol.clone_from(&item.sub_protocol);
}

fn from_evpn(item: &EvpnItem, attributes: &mut Attributes) {
    attributes.local_pref = item.local_preference;
    attributes.med = item.med;
    set_mobility(item.mobility, attributes);
    attributes.security_groups.clone_from(&item.security_groups);
}

fn set_mobility(mobility: Option<Mobility>, attributes: &mut Attributes) {
    let Mobility { seqno, sticky } = mobility.unwrap_or_default();
    (attributes.mobility_seq, attributes.sticky) = (seqno, sticky);
}

/// The MED of an announcement that states none: the better the preference, the lower.
fn med_of(local_pref: u32) -> u32 {
    match local_pref {
        100 => 200,
        200 => 100,
        other => u32::MAX - other,
    }
}

const ENCAPS: [(Encap, EncapSet); 5] = [
    (Encap::Gre, EncapSet::GRE),
    (Encap::Udp, EncapSet::UDP),
    (Encap::Vxlan, EncapSet::VXLAN),
    (Encap::Native, EncapSet::NATIVE),
    (Encap::Mpls, EncapSet::MPLS),
];

fn encap_set(encaps: &BTreeSet<Encap>) -> EncapSet {
    let listed = ENCAPS.iter().filter(|(encap, _)| encaps.contains(encap));
    listed.fold(EncapSet::EMPTY, |set, (_, bit)| set.with(*bit))
}

/// The table of the protocol a prefix travels in.
pub fn table(table: Table) -> RouteTable {
    match table {
        Table::Inet => RouteTable::Inet,
        Table::Inet6 => RouteTable::Inet6,
        Table::Evpn => RouteTable::Evpn,
    }
}

/// The id by which a route is retracted.
pub fn id(prefix: &Prefix) -> String {
    prefix.to_string()
}

/// The item that tells an agent of a route. What belongs to the route and not to a next hop (groups, preference) is that of
/// the first path. The members of a flood list stand in `olist`.
pub fn item(prefix: &Prefix, paths: &[Arc<Path>]) -> Option<RouteItem> {
    let first = paths.first()?;
    let hops: Vec<NextHop> = paths.iter().map(|path| next_hop(path)).collect();
    let attributes = &first.attributes;
    let Attributes { mobility_seq: seqno, sticky, .. } = *attributes;
    let mobility = (seqno != 0 || sticky).then_some(Mobility { seqno, sticky });
    let item = match prefix {
        Prefix::Inet(net) => RouteItem::Unicast(unicast((*net).into(), hops, first, mobility)),
        Prefix::Inet6(net) => RouteItem::Unicast(unicast((*net).into(), hops, first, mobility)),
        Prefix::Evpn { tag, mac, ip } => {
            let (next_hops, olist) = if prefix.is_flood() { (Vec::new(), hops) } else { (hops, Vec::new()) };
            RouteItem::Evpn(EvpnItem {
                next_hops,
                olist,
                virtual_network: first.origin_vn.to_string(),
                security_groups: attributes.security_groups.clone(),
                local_preference: attributes.local_pref,
                med: attributes.med,
                mobility,
                ..EvpnItem::new(*tag, MacAddress(*mac), ip.unwrap_or_else(no_address))
            })
        }
    };
    Some(item)
}

fn unicast(prefix: IpNet, next_hops: Vec<NextHop>, first: &Path, mobility: Option<Mobility>) -> UnicastItem {
    let attributes = &first.attributes;
    let load_balance = attributes.load_balance.as_ref().map(|lb| items::LoadBalance {
        fields: LoadBalanceField::ALL
            .into_iter()
            .filter(|f| lb.fields.iter().any(|n| n == f.name()))
            .collect(),
        source_bias: lb.source_bias,
    });
    UnicastItem {
        next_hops,
        virtual_network: first.origin_vn.to_string(),
        security_groups: attributes.security_groups.clone(),
        communities: attributes.communities.clone(),
        local_preference: attributes.local_pref,
        med: attributes.med,
        mobility,
        load_balance,
        sub_protocol: attributes.sub_protocol.clone(),
        ..UnicastItem::new(prefix)
    }
}

fn next_hop(path: &Path) -> NextHop {
    let attributes = &path.attributes;
    let encaps = ENCAPS.iter().filter(|(_, bit)| attributes.encaps.contains(*bit)).map(|(encap, _)| *encap);
    NextHop {
        mac: attributes.router_mac.map(MacAddress),
        label: attributes.label,
        l3_label: attributes.l3_label,
        vni: attributes.vni,
        encaps: encaps.collect(),
        virtual_network: path.origin_vn.to_string(),
        tags: attributes.tags.clone(),
        local_sequence: attributes.local_sequence,
        ..NextHop::new(attributes.next_hop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_rib::RouteDistinguisher;
    use weft_xmpp::items::RouteKey;

    fn hop(label: u32) -> NextHop {
        NextHop {
            label,
            encaps: BTreeSet::from([Encap::Udp, Encap::Vxlan]),
            tags: vec![0x0001_0002],
            ..NextHop::new("192.0.2.1".parse().unwrap())
        }
    }

    fn unicast_item(label: u32) -> UnicastItem {
        UnicastItem {
            next_hops: vec![hop(label)],
            security_groups: vec![8_000_001],
            communities: vec!["no-reoriginate".into()],
            mobility: Some(Mobility { seqno: 3, sticky: true }),
            sub_protocol: Some("interface".into()),
            ..UnicastItem::new("10.0.0.3/32".parse().unwrap())
        }
    }

    fn path(attributes: Attributes) -> Arc<Path> {
        let rd = RouteDistinguisher::new(attributes.next_hop, 1);
        Arc::new(Path { attributes, origin_vn: "d:p:red".into(), rd })
    }

    #[test]
    fn unicast_survives_both_ways() {
        let sent = RouteItem::Unicast(unicast_item(17));
        let (prefix, attributes) = announced("d:p:red:red", &sent).unwrap();
        assert_eq!(attributes.med, 200, "derived from the preference");
        let RouteItem::Unicast(got) = item(&prefix, &[path(attributes)]).unwrap() else { unreachable!() };
        let mut expected = unicast_item(17);
        expected.virtual_network = "d:p:red".into();
        expected.next_hops[0].virtual_network = "d:p:red".into();
        expected.med = 200;
        assert_eq!(got, expected);
    }

    #[test]
    fn ids_are_those_of_the_protocol() {
        for text in ["10.0.0.0/24", "fd00::3/128"] {
            let prefix = Prefix::unicast(text.parse().unwrap());
            assert_eq!(id(&prefix), text);
        }
        for tag in [0, 5001] {
            let evpn = EvpnItem {
                next_hops: vec![hop(5001)],
                ..EvpnItem::new(tag, MacAddress([2, 0, 0, 0, 0, 1]), "10.0.0.3/32".parse().unwrap())
            };
            let (prefix, _) = announced("ri", &RouteItem::Evpn(evpn.clone())).unwrap();
            assert_eq!(id(&prefix), RouteItem::Evpn(evpn.clone()).id());
            assert!(RouteKey::parse(RouteTable::Evpn, &id(&prefix)).is_ok());
            let bare = EvpnItem { address: no_address(), ..evpn };
            let prefix = super::prefix(&RouteItem::Evpn(bare.clone())).unwrap();
            assert_eq!(id(&prefix), RouteItem::Evpn(bare).id());
        }
    }

    #[test]
    fn flood_lists_go_into_olist() {
        let flood =
            EvpnItem { next_hops: vec![hop(20)], ..EvpnItem::new(0, MacAddress([0xff; 6]), no_address()) };
        let (prefix, attributes) = announced("ri", &RouteItem::Evpn(flood)).unwrap();
        let RouteItem::Evpn(got) = item(&prefix, &[path(attributes.clone()), path(attributes)]).unwrap()
        else {
            unreachable!()
        };
        assert_eq!((got.next_hops.len(), got.olist.len()), (0, 2));
    }

    #[test]
    fn rules_for_announcements() {
        let with =
            |hops: Vec<NextHop>| RouteItem::Unicast(UnicastItem { next_hops: hops, ..unicast_item(1) });
        assert_eq!(announced("ri", &with(vec![])), Err(RouteError::NextHops(0)));
        assert_eq!(announced("ri", &with(vec![hop(1), hop(2)])), Err(RouteError::NextHops(2)));
        assert_eq!(announced("ri", &with(vec![hop(0)])), Err(RouteError::NoLabel));
        assert!(announced(MASTER_ROUTING_INSTANCE, &with(vec![hop(0)])).is_ok());
        assert_eq!(announced("ri", &with(vec![hop(1 << 24)])), Err(RouteError::Label(1 << 24)));
        let nowhere = NextHop { label: 5, ..NextHop::new("0.0.0.0".parse().unwrap()) };
        assert!(matches!(announced("ri", &with(vec![nowhere])), Err(RouteError::Address(_))));
        let unknown = NextHop { encaps: BTreeSet::new(), ..hop(5) };
        assert!(!announced("ri", &with(vec![unknown])).unwrap().1.feasible());
        let multicast = EvpnItem {
            group: Some("224.1.1.1".parse().unwrap()),
            ..EvpnItem::new(0, MacAddress([0xff; 6]), no_address())
        };
        assert_eq!(prefix(&RouteItem::Evpn(multicast)), Err(RouteError::Multicast));
    }
}
