//! Building access control lists: entries in order, those an earlier entry covers left out.

use crate::rule::{ANY, prefix};
use ipnet::IpNet;
use std::collections::HashMap;
use weft_model::types::{AclRuleType, ActionListType, AddressType, MatchConditionType, PortType};

/// Most entries of one list that come from rules.
pub(crate) const MAX_ENTRIES: usize = 32_768;
/// The entry that lets a network talk to itself.
pub(crate) const IMPLICIT_ALLOW_UUID: &str = "00000000-0000-0000-0000-100000000001";
/// The entry that refuses everything else.
pub(crate) const IMPLICIT_DENY_UUID: &str = "00000000-0000-0000-0000-100000000002";

/// One entry to be.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) ethertype: Option<&'a str>,
    pub(crate) source: AddressType,
    pub(crate) source_port: PortType,
    pub(crate) destination: AddressType,
    pub(crate) destination_port: PortType,
    pub(crate) action: ActionListType,
    pub(crate) uuid: Option<&'a str>,
}

impl Entry<'_> {
    /// The same for packets the other way.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            source: self.destination.clone(),
            source_port: self.destination_port.clone(),
            destination: self.source.clone(),
            destination_port: self.source_port.clone(),
            ..self.clone()
        }
    }
}

/// A list in the making. Lists are matched first to last and every entry is final, so an entry that matches only packets
/// an earlier one matches can never be reached, whatever its action.
#[derive(Debug, Default)]
pub(crate) struct AclBuilder {
    rules: Vec<AclRuleType>,
    shapes: HashMap<(String, Name, Name), Vec<Shape>>,
    overflow: bool,
}

/// The symbolic part of an address; `Any` also stands for "no name given".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Any,
    Network(String),
    Group(String),
}

/// The numeric part of an entry's match.
#[derive(Debug)]
struct Shape {
    ethertype: Option<String>,
    sources: Vec<IpNet>,
    destinations: Vec<IpNet>,
    source_ports: (i64, i64),
    destination_ports: (i64, i64),
}

impl AclBuilder {
    /// Appends an entry unless it is covered or the list is full.
    pub(crate) fn push(&mut self, entry: Entry<'_>) {
        self.append(entry, MAX_ENTRIES);
    }

    /// Appends one of the entries that close a list; they fit always.
    pub(crate) fn push_tail(&mut self, entry: Entry<'_>) {
        self.append(entry, usize::MAX);
    }

    fn append(&mut self, entry: Entry<'_>, limit: usize) {
        let (source, sources) = split(&entry.source);
        let (destination, destinations) = split(&entry.destination);
        let shape = Shape {
            ethertype: entry.ethertype.map(str::to_owned),
            sources,
            destinations,
            source_ports: range(&entry.source_port),
            destination_ports: range(&entry.destination_port),
        };
        if self.covered(entry.protocol, &source, &destination, &shape) {
            return;
        }
        if self.rules.len() >= limit {
            self.overflow = true;
            return;
        }
        self.shapes.entry((entry.protocol.to_owned(), source, destination)).or_default().push(shape);
        self.rules.push(AclRuleType {
            match_condition: Some(MatchConditionType {
                protocol: Some(entry.protocol.to_owned()),
                src_address: Some(entry.source),
                src_port: Some(entry.source_port),
                dst_address: Some(entry.destination),
                dst_port: Some(entry.destination_port),
                ethertype: entry.ethertype.map(str::to_owned),
            }),
            action_list: Some(entry.action),
            rule_uuid: entry.uuid.map(str::to_owned),
            direction: Some(">".into()),
        });
    }

    /// Whether entries were left out for want of room.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflow
    }

    pub(crate) fn finish(self) -> Vec<AclRuleType> {
        self.rules
    }

    fn covered(&self, protocol: &str, source: &Name, destination: &Name, shape: &Shape) -> bool {
        let either = |name: &Name| if *name == Name::Any { vec![Name::Any] } else { vec![Name::Any, name.clone()] };
        let protocols = if protocol == ANY { vec![ANY] } else { vec![ANY, protocol] };
        for protocol in protocols {
            for source in either(source) {
                for destination in either(destination) {
                    let key = (protocol.to_owned(), source.clone(), destination);
                    if self.shapes.get(&key).is_some_and(|list| list.iter().any(|wide| covers(wide, shape))) {
                        return true;
                    }
                }
            }
        }
        false
    }
}

fn split(address: &AddressType) -> (Name, Vec<IpNet>) {
    let name = match (&address.virtual_network, &address.security_group) {
        (Some(network), _) if network != ANY => Name::Network(network.clone()),
        (None, Some(group)) if group != "-1" => Name::Group(group.clone()),
        _ => Name::Any,
    };
    (name, address.subnet.iter().chain(&address.subnet_list).filter_map(prefix).collect())
}

fn range(ports: &PortType) -> (i64, i64) {
    match (ports.start_port, ports.end_port) {
        (Some(start), Some(end)) if start >= 0 => (start, end),
        _ => (0, i64::from(u16::MAX)),
    }
}

fn covers(wide: &Shape, narrow: &Shape) -> bool {
    let within = |wide: (i64, i64), narrow: (i64, i64)| wide.0 <= narrow.0 && narrow.1 <= wide.1;
    within(wide.source_ports, narrow.source_ports)
        && within(wide.destination_ports, narrow.destination_ports)
        && (wide.ethertype.is_none() || wide.ethertype == narrow.ethertype)
        && contains(&wide.sources, &narrow.sources)
        && contains(&wide.destinations, &narrow.destinations)
}

/// Whether every prefix of `narrow` lies in one of `wide`; no prefixes at all means every address.
fn contains(wide: &[IpNet], narrow: &[IpNet]) -> bool {
    let inside = |net: &IpNet| wide.iter().any(|w| w.contains(net));
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(inside))
}
