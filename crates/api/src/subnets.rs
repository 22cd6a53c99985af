//! Arithmetic of subnets: gateway and service addresses, allocation pools, what may be handed out. Pure.

use crate::alloc::{Pool, Ranges};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;
use weft_model::types::{AllocationPoolType, IpamSubnetType};

/// A subnet of a network or of a flat ipam, ready to hand out addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) uuid: Uuid,
    pub(crate) net: IpNet,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) service: Option<IpAddr>,
    ranges: Ranges,
    from_start: bool,
}

impl Subnet {
    /// Reads a stored specification. `None` if it has no prefix (a flat subnet's reference).
    pub(crate) fn read(spec: &IpamSubnetType) -> Option<Self> {
        let net = net_of(spec)?;
        let ranges = pool_ranges(net, &spec.allocation_pools).ok()?;
        Some(Self {
            uuid: Uuid::parse_str(spec.subnet_uuid.as_deref()?).ok()?,
            net,
            gateway: usable(spec.default_gateway.as_deref()),
            service: usable(spec.dns_server_address.as_deref()),
            ranges,
            from_start: spec.addr_from_start.unwrap_or(false),
        })
    }

    /// Addresses taken by the subnet itself, with their use.
    pub(crate) fn reserved(&self) -> impl Iterator<Item = (IpAddr, &'static str)> {
        let service = self.service.filter(|s| Some(*s) != self.gateway).map(|s| (s, "service"));
        let own = self.gateway.map(|g| (g, "gateway")).into_iter().chain(service);
        own.filter(|(address, _)| self.net.contains(address))
    }

    /// The pool of its addresses.
    pub(crate) fn pool(&self) -> Pool {
        Pool {
            name: pool_name(self.uuid),
            ranges: self.ranges.clone(),
            descending: !self.from_start,
            hexadecimal: true,
        }
    }

    /// Whether a client may ask for this address.
    pub(crate) fn may_request(&self, address: IpAddr) -> bool {
        let (first, last) = hosts(self.net);
        let id = to_number(address);
        self.net.contains(&address) && id >= first && id <= last
    }

    /// An id of the pool as an address.
    pub(crate) fn address(&self, id: u128) -> IpAddr {
        to_address(id, self.net)
    }

    /// Whether it is IPv6.
    pub(crate) fn is_v6(&self) -> bool {
        matches!(self.net, IpNet::V6(_))
    }
}

/// Name of the pool of a subnet's addresses.
pub(crate) fn pool_name(subnet: Uuid) -> String {
    format!("ip/{}", subnet.as_hyphenated())
}

/// The prefix of a specification.
pub(crate) fn net_of(spec: &IpamSubnetType) -> Option<IpNet> {
    let subnet = spec.subnet.as_ref()?;
    let address: IpAddr = subnet.ip_prefix.as_deref()?.parse().ok()?;
    let length = u8::try_from(subnet.ip_prefix_len?).ok()?;
    Some(IpNet::new(address, length).ok()?.trunc())
}

/// Completes what a client left open (uuid, gateway and service address) and checks the rest. `old` is the stored form of
/// the same prefix, whose answers are kept.
pub(crate) fn complete(spec: &mut IpamSubnetType, old: Option<&IpamSubnetType>) -> Result<Subnet, String> {
    let net = net_of(spec).ok_or("subnet has no valid ip_prefix and ip_prefix_len")?;
    if let Some(old) = old {
        inherit(spec, old);
    }
    match &spec.subnet_uuid {
        Some(text) => {
            let uuid = Uuid::parse_str(text).map_err(|_| format!("subnet_uuid {text:?} is not a uuid"))?;
            spec.subnet_uuid = Some(uuid.to_string());
        }
        None => spec.subnet_uuid = Some(Uuid::new_v4().to_string()),
    }
    pool_ranges(net, &spec.allocation_pools)?;
    let from_start = spec.addr_from_start.unwrap_or(false);
    let mut candidates = well_known(net, from_start);
    let gateway = given(spec.default_gateway.as_deref(), net, "default_gateway")?;
    spec.default_gateway = Some(match gateway {
        Some(address) => address.to_string(),
        None => candidates.next().unwrap_or_else(|| unspecified(net)).to_string(),
    });
    let taken = usable(spec.default_gateway.as_deref());
    let service = given(spec.dns_server_address.as_deref(), net, "dns_server_address")?;
    // With a gateway of its own choice the client still finds the service address in its usual place.
    let mut free =
        well_known(net, from_start).skip(1).chain(well_known(net, from_start)).filter(|a| Some(*a) != taken);
    spec.dns_server_address = Some(match service {
        Some(address) => address.to_string(),
        None => free.next().unwrap_or_else(|| unspecified(net)).to_string(),
    });
    Subnet::read(spec).ok_or_else(|| format!("subnet {net} is incomplete"))
}

/// Keeps what was decided before unless the client says otherwise.
fn inherit(spec: &mut IpamSubnetType, old: &IpamSubnetType) {
    if spec.subnet_uuid.is_none() {
        spec.subnet_uuid.clone_from(&old.subnet_uuid);
    }
    if spec.default_gateway.is_none() {
        spec.default_gateway.clone_from(&old.default_gateway);
    }
    if spec.dns_server_address.is_none() {
        spec.dns_server_address.clone_from(&old.dns_server_address);
    }
}

/// An address the client chose: inside the subnet, or the unspecified address for "none".
fn given(text: Option<&str>, net: IpNet, what: &str) -> Result<Option<IpAddr>, String> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    let address: IpAddr = text.parse().map_err(|_| format!("{what} {text:?} is not an IP address"))?;
    if address.is_unspecified() || net.contains(&address) {
        return Ok(Some(address));
    }
    Err(format!("{what} {address} is not in subnet {net}"))
}

fn usable(text: Option<&str>) -> Option<IpAddr> {
    text?.parse().ok().filter(|a: &IpAddr| !a.is_unspecified())
}

fn unspecified(net: IpNet) -> IpAddr {
    match net {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Where gateway and service address are by default, in this order: the last two hosts, or the first two.
fn well_known(net: IpNet, from_start: bool) -> impl Iterator<Item = IpAddr> {
    let (first, last) = hosts(net);
    // A subnet of one or two addresses has nothing to spare.
    let room = last - first >= 1 && net.max_prefix_len() - net.prefix_len() >= 2;
    let (a, b) = if from_start { (first, first + u128::from(room)) } else { (last, last - u128::from(room)) };
    room.then_some([a, b]).into_iter().flatten().map(move |id| to_address(id, net))
}

/// First and last host: without network and broadcast address, unless there are only one or two addresses.
fn hosts(net: IpNet) -> (u128, u128) {
    let (network, broadcast) = (to_number(net.network()), to_number(net.broadcast()));
    if broadcast - network < 3 { (network, broadcast) } else { (network + 1, broadcast - 1) }
}

/// The ranges of the allocation pools (all hosts when there are none), ascending.
fn pool_ranges(net: IpNet, pools: &[AllocationPoolType]) -> Result<Ranges, String> {
    let (first, last) = hosts(net);
    let mut ranges = Vec::new();
    for pool in pools {
        let end = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            let address: IpAddr =
                text.parse().map_err(|_| format!("allocation pool: {text:?} is not an IP address"))?;
            if net.contains(&address) {
                Ok(to_number(address))
            } else {
                Err(format!("allocation pool: {address} is not in subnet {net}"))
            }
        };
        let range = (end(&pool.start)?, end(&pool.end)?);
        if range.0 > range.1 {
            return Err(format!("allocation pool: start {:?} is after end {:?}", pool.start, pool.end));
        }
        if !pool.vrouter_specific_pool.unwrap_or(false) {
            ranges.push(range);
        }
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| matches!(pair, [a, b] if b.0 <= a.1)) {
        return Err(format!("allocation pools of subnet {net} overlap"));
    }
    if ranges.is_empty() {
        ranges.push((first, last));
    }
    let clipped = ranges.into_iter().map(|(a, b)| (a.max(first), b.min(last))).filter(|(a, b)| a <= b);
    Ok(clipped.collect())
}

/// An address as a number.
pub(crate) fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn to_address(id: u128, net: IpNet) -> IpAddr {
    match net {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(id).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(id)),
    }
}

/// The first two subnets that overlap.
pub(crate) fn overlap(subnets: &[Subnet]) -> Option<(IpNet, IpNet)> {
    let mut sorted: Vec<IpNet> = subnets.iter().map(|s| s.net).collect();
    sorted.sort_unstable_by_key(|net| (net.network(), net.prefix_len()));
    sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a.contains(&b.network()) => Some((*a, *b)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weft_model::types::SubnetType;

    fn spec(prefix: &str, from_start: Option<bool>) -> IpamSubnetType {
        let net: IpNet = prefix.parse().unwrap();
        let subnet = SubnetType {
            ip_prefix: Some(net.addr().to_string()),
            ip_prefix_len: Some(i64::from(net.prefix_len())),
        };
        IpamSubnetType { subnet: Some(subnet), addr_from_start: from_start, ..Default::default() }
    }

    #[test]
    fn gateway_and_service_are_the_last_hosts_or_the_first() {
        let mut end = spec("10.1.1.0/24", None);
        complete(&mut end, None).unwrap();
        assert_eq!(end.default_gateway.as_deref(), Some("10.1.1.254"));
        assert_eq!(end.dns_server_address.as_deref(), Some("10.1.1.253"));
        let mut start = spec("fd00::/64", Some(true));
        complete(&mut start, None).unwrap();
        assert_eq!(start.default_gateway.as_deref(), Some("fd00::1"));
        assert_eq!(start.dns_server_address.as_deref(), Some("fd00::2"));
    }

    #[test]
    fn a_chosen_gateway_leaves_the_service_address_in_its_place() {
        let mut chosen = spec("10.1.1.0/24", None);
        chosen.default_gateway = Some("10.1.1.1".into());
        complete(&mut chosen, None).unwrap();
        assert_eq!(chosen.dns_server_address.as_deref(), Some("10.1.1.253"));
        chosen.dns_server_address = None;
        chosen.default_gateway = Some("10.1.1.253".into());
        complete(&mut chosen, None).unwrap();
        assert_eq!(chosen.dns_server_address.as_deref(), Some("10.1.1.254"));
    }

    #[test]
    fn small_subnets_and_bad_pools() {
        let mut point = spec("10.0.0.0/31", None);
        assert_eq!(complete(&mut point, None).unwrap().gateway, None);
        let mut outside = spec("10.0.0.0/24", None);
        outside.default_gateway = Some("10.0.1.1".into());
        assert!(complete(&mut outside, None).unwrap_err().contains("default_gateway 10.0.1.1"));
        let pool = |a: &str, b: &str| AllocationPoolType {
            start: Some(a.into()),
            end: Some(b.into()),
            vrouter_specific_pool: None,
        };
        let mut pools = spec("10.0.0.0/24", None);
        pools.allocation_pools = vec![pool("10.0.0.9", "10.0.0.20"), pool("10.0.0.20", "10.0.0.30")];
        assert!(complete(&mut pools, None).unwrap_err().contains("overlap"));
        pools.allocation_pools = vec![pool("10.0.0.9", "10.0.0.5")];
        assert!(complete(&mut pools, None).is_err());
    }

    proptest! {
        #[test]
        fn any_prefix_is_completed_without_panic(bits: u128, length in 0u8..=128, v4: bool, from_start: bool) {
            let net = if v4 {
                IpNet::new(IpAddr::V4(Ipv4Addr::from_bits(bits as u32)), length % 33).unwrap()
            } else {
                IpNet::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), length).unwrap()
            };
            let mut spec = spec(&net.trunc().to_string(), Some(from_start));
            let subnet = complete(&mut spec, None).unwrap();
            for (address, _) in subnet.reserved() {
                prop_assert!(subnet.net.contains(&address));
            }
            prop_assert_eq!(complete(&mut spec.clone(), Some(&spec)).unwrap(), subnet);
        }
    }
}
