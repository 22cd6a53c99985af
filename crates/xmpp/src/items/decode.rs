//! XML to items. Liberal: every field but the route's address may be missing, unknown elements are
//! passed over, numbers may be written signed (the existing system's are signed 32-bit).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use super::id::parse_prefix;
use super::{
    DEFAULT_LOCAL_PREFERENCE, Encap, EvpnItem, LoadBalance, LoadBalanceField, MAX_LIST, MAX_NEXT_HOPS,
    Mobility, NextHop, RouteItem, RouteTable, UNSPECIFIED, UnicastItem,
};
use crate::element::Element;
use crate::error::DecodeError;

impl RouteItem {
    /// Reads an `<item>` of a table.
    ///
    /// # Errors
    /// The route's address is missing or belongs to another table, or a value has not its field's form.
    pub fn decode(table: RouteTable, item: &Element) -> Result<Self, DecodeError> {
        let entry = item.require("entry")?;
        match table {
            RouteTable::Evpn => Ok(Self::Evpn(evpn(entry)?)),
            RouteTable::Inet | RouteTable::Inet6 => {
                let route = unicast(entry)?;
                if route.prefix.addr().is_ipv4() != (table == RouteTable::Inet) {
                    return Err(DecodeError::invalid("address", &route.prefix.to_string()));
                }
                Ok(Self::Unicast(route))
            }
        }
    }
}

fn unicast(entry: &Element) -> Result<UnicastItem, DecodeError> {
    let nlri = entry.require("nlri")?;
    let address = nlri.child_text("address").ok_or_else(|| DecodeError::missing("nlri", "address"))?;
    let prefix = parse_prefix(address).ok_or_else(|| DecodeError::invalid("address", address))?.trunc();
    Ok(UnicastItem {
        prefix,
        next_hops: next_hops(entry, "next-hops")?,
        virtual_network: text(entry, "virtual-network"),
        security_groups: numbers(entry, "security-group-list", "security-group")?,
        communities: list(entry, "community-tag-list", "community-tag")?
            .into_iter()
            .map(str::to_owned)
            .collect(),
        local_preference: number(entry, "local-preference")?.unwrap_or(DEFAULT_LOCAL_PREFERENCE),
        med: number(entry, "med")?.unwrap_or(0),
        mobility: mobility(entry)?,
        load_balance: load_balance(entry)?,
        sub_protocol: entry.child("sub-protocol").map(|c| c.text.clone()).filter(|t| !t.is_empty()),
        version: number(entry, "version")?.unwrap_or(1),
    })
}

fn evpn(entry: &Element) -> Result<EvpnItem, DecodeError> {
    let nlri = entry.require("nlri")?;
    let mac = parsed(nlri, "mac")?.ok_or_else(|| DecodeError::missing("nlri", "mac"))?;
    let address = match nlri.child_text("address") {
        Some(text) => parse_prefix(text).ok_or_else(|| DecodeError::invalid("address", text))?,
        None => IpNet::V4(Ipv4Net::from(Ipv4Addr::UNSPECIFIED)),
    };
    // The existing system writes 0.0.0.0 for "no group" in every unicast route.
    let group = parsed::<IpAddr>(nlri, "group")?.filter(|g| !g.is_unspecified());
    let source = parsed(nlri, "source")?.unwrap_or(UNSPECIFIED);
    Ok(EvpnItem {
        ethernet_tag: number(nlri, "ethernet-tag")?.unwrap_or(0),
        mac,
        address,
        group,
        source: group.map(|_| source),
        flags: number(nlri, "flags")?.unwrap_or(0),
        next_hops: next_hops(entry, "next-hops")?,
        olist: next_hops(entry, "olist")?,
        leaf_olist: next_hops(entry, "leaf-olist")?,
        virtual_network: text(entry, "virtual-network"),
        security_groups: numbers(entry, "security-group-list", "security-group")?,
        local_preference: number(entry, "local-preference")?.unwrap_or(DEFAULT_LOCAL_PREFERENCE),
        med: number(entry, "med")?.unwrap_or(0),
        mobility: mobility(entry)?,
        edge_replication_not_supported: boolean(entry, "edge-replication-not-supported")?,
        assisted_replication_supported: boolean(entry, "assisted-replication-supported")?,
        replicator_address: parsed::<IpAddr>(entry, "replicator-address")?.filter(|a| !a.is_unspecified()),
        etree_leaf: boolean(entry, "etree-leaf")?,
    })
}

fn next_hops(entry: &Element, wrapper: &'static str) -> Result<Vec<NextHop>, DecodeError> {
    let Some(wrapper_element) = entry.child(wrapper) else { return Ok(Vec::new()) };
    let mut hops = Vec::new();
    for element in wrapper_element.children_named("next-hop") {
        if hops.len() >= MAX_NEXT_HOPS {
            return Err(DecodeError::TooMany { field: wrapper, limit: MAX_NEXT_HOPS });
        }
        hops.push(next_hop(element)?);
    }
    Ok(hops)
}

fn next_hop(element: &Element) -> Result<NextHop, DecodeError> {
    let address = parsed(element, "address")?.ok_or_else(|| DecodeError::missing("next-hop", "address"))?;
    let label = number(element, "label")?.unwrap_or(0);
    Ok(NextHop {
        address,
        mac: parsed(element, "mac")?,
        label,
        l3_label: number(element, "l3-label")?.unwrap_or(0),
        vni: number(element, "vni")?.unwrap_or(0),
        encaps: encaps(element, label)?,
        virtual_network: text(element, "virtual-network"),
        tags: numbers(element, "tag-list", "tag")?,
        local_sequence: number(element, "local-sequence-number")?.unwrap_or(0),
    })
}

/// Encapsulations known here; none listed with a label means GRE. If all listed are unknown the set
/// stays empty, which makes the next hop infeasible.
fn encaps(hop: &Element, label: u32) -> Result<BTreeSet<Encap>, DecodeError> {
    let names = list(hop, "tunnel-encapsulation-list", "tunnel-encapsulation")?;
    if names.is_empty() && label != 0 {
        return Ok(BTreeSet::from([Encap::Gre]));
    }
    Ok(names.into_iter().filter_map(Encap::from_name).collect())
}

fn mobility(entry: &Element) -> Result<Option<Mobility>, DecodeError> {
    let old = number(entry, "sequence-number")?;
    let Some(element) = entry.child("mobility") else {
        return Ok(old.filter(|n| *n != 0).map(|seqno| Mobility { seqno, sticky: false }));
    };
    let seqno = match element.attribute("seqno").map(str::trim).filter(|t| !t.is_empty()) {
        Some(text) => parse_number("seqno", text)?,
        None => old.unwrap_or(0),
    };
    let sticky = element.attribute("sticky").map_or(Ok(false), |text| parse_boolean("sticky", text))?;
    Ok(Some(Mobility { seqno, sticky }))
}

fn load_balance(entry: &Element) -> Result<Option<LoadBalance>, DecodeError> {
    let Some(element) = entry.child("load-balance") else { return Ok(None) };
    let names = list(element, "load-balance-fields", "load-balance-field-list")?;
    let decision = element.child_text("load-balance-decision");
    if names.is_empty() && decision.is_none() {
        return Ok(None);
    }
    let known = |name: &str| LoadBalanceField::ALL.into_iter().find(|f| f.name() == name);
    Ok(Some(LoadBalance {
        fields: names.into_iter().filter_map(known).collect(),
        source_bias: decision == Some("source-bias"),
    }))
}

/// Texts of the wrapped list's elements, the empty ones left out.
fn list<'a>(parent: &'a Element, wrapper: &'static str, name: &'a str) -> Result<Vec<&'a str>, DecodeError> {
    let Some(wrapper_element) = parent.child(wrapper) else { return Ok(Vec::new()) };
    let mut values = Vec::new();
    for element in wrapper_element.children_named(name) {
        if values.len() >= MAX_LIST {
            return Err(DecodeError::TooMany { field: wrapper, limit: MAX_LIST });
        }
        let value = element.text.trim();
        if !value.is_empty() {
            values.push(value);
        }
    }
    Ok(values)
}

fn numbers(parent: &Element, wrapper: &'static str, name: &'static str) -> Result<Vec<u32>, DecodeError> {
    list(parent, wrapper, name)?.into_iter().map(|text| parse_number(name, text)).collect()
}

fn number(parent: &Element, name: &'static str) -> Result<Option<u32>, DecodeError> {
    parent.child_text(name).map(|text| parse_number(name, text)).transpose()
}

/// A 32-bit number, unsigned or the same bits written signed.
pub(crate) fn parse_number(field: &str, text: &str) -> Result<u32, DecodeError> {
    let invalid = || DecodeError::invalid(field, text);
    let value: i64 = text.parse().map_err(|_| invalid())?;
    match u32::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => i32::try_from(value).map(i32::cast_unsigned).map_err(|_| invalid()),
    }
}

fn boolean(parent: &Element, name: &'static str) -> Result<bool, DecodeError> {
    parent.child_text(name).map_or(Ok(false), |text| parse_boolean(name, text))
}

/// `true`, `false`, `1` or `0`.
pub(crate) fn parse_boolean(field: &str, text: &str) -> Result<bool, DecodeError> {
    match text.trim() {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" => Ok(false),
        other => Err(DecodeError::invalid(field, other)),
    }
}

fn parsed<T: FromStr>(parent: &Element, name: &'static str) -> Result<Option<T>, DecodeError> {
    parent.child_text(name).map(|text| text.parse().map_err(|_| DecodeError::invalid(name, text))).transpose()
}

fn text(parent: &Element, name: &str) -> String {
    parent.child(name).map(|c| c.text.clone()).unwrap_or_default()
}
