//! Building access control lists: entries in order, those an earlier entry covers left out.

use crate::rule::{ANY, prefix};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
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
    names: HashMap<Name, u32>,
    /// Entries so far by protocol and names.
    seen: HashMap<(u16, u32, u32), Seen>,
    overflow: bool,
}

/// The symbolic part of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Network(String),
    Group(String),
}

/// The number of "any", and of no name at all.
const ANY_NAME: u32 = 0;
/// The number of every protocol.
const ANY_PROTOCOL: u16 = 256;
/// All ports.
const ALL_PORTS: (i64, i64) = (0, u16::MAX as i64);
/// Entries of an unusual shape that later ones are compared with, for each protocol and pair of names. Beyond that,
/// entries that can never be reached may stay in the list.
const MAX_COMPARED: usize = 1024;

/// The numeric part of an entry's match.
#[derive(Debug)]
struct Shape {
    ethertype: Option<String>,
    sources: Vec<IpNet>,
    destinations: Vec<IpNet>,
    source_ports: (i64, i64),
    destination_ports: (i64, i64),
}

/// The shapes of entries that agree in protocol and names. Nearly all restrict the ports of one side and nothing else,
/// so these are kept as ranges.
#[derive(Debug, Default)]
struct Seen {
    by_source: Ranges,
    by_destination: Ranges,
    others: Vec<Shape>,
}

/// Ranges by their start, none within another one.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<i64, i64>);

impl Ranges {
    fn covers(&self, range: (i64, i64)) -> bool {
        self.0.range(..=range.0).next_back().is_some_and(|(_, end)| *end >= range.1)
    }

    fn insert(&mut self, range: (i64, i64)) {
        let inside: Vec<i64> = self
            .0
            .range(range.0..)
            .take_while(|(_, end)| **end <= range.1)
            .map(|(start, _)| *start)
            .collect();
        for start in inside {
            self.0.remove(&start);
        }
        self.0.insert(range.0, range.1);
    }
}

impl Seen {
    fn covers(&self, shape: &Shape) -> bool {
        self.by_source.covers(shape.source_ports)
            || self.by_destination.covers(shape.destination_ports)
            || self.others.iter().any(|wide| covers(wide, shape))
    }

    /// Adds a shape that is not covered.
    fn insert(&mut self, shape: Shape) {
        let plain = shape.ethertype.is_none() && shape.sources.is_empty() && shape.destinations.is_empty();
        if plain && shape.source_ports == ALL_PORTS {
            self.by_destination.insert(shape.destination_ports);
        } else if plain && shape.destination_ports == ALL_PORTS {
            self.by_source.insert(shape.source_ports);
        } else if self.others.len() < MAX_COMPARED {
            self.others.push(shape);
        }
    }
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
        let shape = Shape {
            ethertype: entry.ethertype.map(str::to_owned),
            sources: prefixes(&entry.source),
            destinations: prefixes(&entry.destination),
            source_ports: range(&entry.source_port),
            destination_ports: range(&entry.destination_port),
        };
        // Rules are checked before: what is not a number is "any".
        let protocol = entry.protocol.parse::<u8>().map_or(ANY_PROTOCOL, u16::from);
        let key = (protocol, self.name(&entry.source), self.name(&entry.destination));
        if self.covered(key, &shape) {
            return;
        }
        if self.rules.len() >= limit {
            self.overflow = true;
            return;
        }
        self.seen.entry(key).or_default().insert(shape);
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

    /// Whether an entry for the same or any protocol and names covers the shape.
    fn covered(&self, (protocol, source, destination): (u16, u32, u32), shape: &Shape) -> bool {
        let mut wider = [protocol, ANY_PROTOCOL].into_iter().flat_map(|p| {
            [source, ANY_NAME].into_iter().flat_map(move |s| [destination, ANY_NAME].map(|d| (p, s, d)))
        });
        wider.any(|key| self.seen.get(&key).is_some_and(|seen| seen.covers(shape)))
    }

    /// The number of an address's name.
    fn name(&mut self, address: &AddressType) -> u32 {
        let name = match (&address.virtual_network, &address.security_group) {
            (Some(network), _) if network != ANY => Name::Network(network.clone()),
            (None, Some(group)) if group != "-1" => Name::Group(group.clone()),
            _ => return ANY_NAME,
        };
        let next = u32::try_from(self.names.len()).map_or(u32::MAX, |n| n.saturating_add(1));
        *self.names.entry(name).or_insert(next)
    }
}

fn prefixes(address: &AddressType) -> Vec<IpNet> {
    address.subnet.iter().chain(&address.subnet_list).filter_map(prefix).collect()
}

fn range(ports: &PortType) -> (i64, i64) {
    match (ports.start_port, ports.end_port) {
        (Some(start), Some(end)) if start >= 0 => (start, end),
        _ => ALL_PORTS,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_cover_what_one_of_them_covers(list in prop::collection::vec((0i64..20, 0i64..20), 1..20)) {
            let mut ranges = Ranges::default();
            let mut plain: Vec<(i64, i64)> = Vec::new();
            for (start, length) in list {
                let range = (start, start + length);
                let covered = plain.iter().any(|wide| wide.0 <= range.0 && range.1 <= wide.1);
                prop_assert_eq!(ranges.covers(range), covered);
                if !covered {
                    ranges.insert(range);
                }
                plain.push(range);
            }
        }
    }
}
