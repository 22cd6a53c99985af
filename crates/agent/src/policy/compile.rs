//! Rules between two identities as a function of protocol and ports, and that function as table entries.
//!
//! For each protocol the destination ports fall into intervals on which the rules that can match are the same; each
//! interval is one verdict, or a short list of source-port ranges. Intervals become prefixes for the longest-prefix
//! table; the verdict of most ports becomes the protocol's wildcard, the one of most protocols the pair's.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use weft_dataplane::Direction;
use weft_dataplane::verdict::RULE_LIST_ENTRIES;

use super::evaluate::concerns;
use super::gates::Gate;
use super::identity::IdentitySet;
use crate::config::{Action, NO_MATCH_RULE, Rule};

/// An action and the rule it is due to; `None` when there is no gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decision {
    /// Whether the flow may be.
    pub allow: bool,
    /// The rule that decided.
    pub rule: Option<Uuid>,
}

/// What holds for an interval of destination ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// One decision, whatever the source port.
    Plain(Decision),
    /// It depends on the source port.
    BySource(SourceList),
}

/// Disjoint ranges of source ports with their decisions; what is in none is denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceList {
    /// First port, last port, decision; at most [`RULE_LIST_ENTRIES`].
    pub parts: Vec<(u16, u16, Decision)>,
    /// The rule that denies the rest, if there is a rest.
    pub otherwise: Option<Uuid>,
}

/// Where an entry sits, from the least to the most specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Every protocol that has no entry of its own.
    Any,
    /// A protocol's ports whose first `bits` bits are those of `port`; 0 bits for all.
    Ports {
        /// IP protocol.
        protocol: u8,
        /// The port prefix.
        port: u16,
        /// Its length, 0..=16.
        bits: u8,
    },
}

/// The entries of one (near, far, direction).
pub type Compiled = Vec<(Slot, Outcome)>;

/// Whether rules look at the ports of this protocol (TCP, UDP, SCTP).
pub fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132)
}

/// Compile the gates of `direction` between `near` and `far`.
pub fn compile(near: &IdentitySet, far: &IdentitySet, direction: Direction, gates: &[Gate]) -> Compiled {
    let relevant: Vec<Vec<&Rule>> = gates
        .iter()
        .map(|g| g.rules.iter().filter(|r| concerns(r, near, far, direction)).collect())
        .collect();
    let mut protocols: BTreeSet<u8> = relevant.iter().flatten().filter_map(|r| r.protocol).collect();
    if relevant.iter().flatten().any(|r| r.protocol.is_none() && has_port_condition(r)) {
        protocols.extend([6, 17, 132]); // a rule for any protocol that names ports: only these have any
    }
    let any = decide(&relevant, None, 0, 0);
    let mut entries = vec![(Slot::Any, Outcome::Plain(any))];
    for protocol in protocols {
        let intervals = intervals(&relevant, protocol);
        if intervals.iter().any(|(_, _, outcome)| *outcome != Outcome::Plain(any)) {
            protocol_entries(protocol, &intervals, &mut entries);
        }
    }
    entries
}

fn has_port_condition(rule: &Rule) -> bool {
    let all = crate::config::PortRange::ALL;
    rule.source_ports != all || rule.destination_ports != all
}

/// First match through every gate; `protocol` `None` is a protocol that no rule names and that has no ports.
fn decide(gates: &[Vec<&Rule>], protocol: Option<u8>, source: u16, destination: u16) -> Decision {
    let mut passed = None;
    for rules in gates {
        let hit = rules.iter().find(|r| {
            let named = r.protocol.is_none() || r.protocol == protocol;
            let ports = !protocol.is_some_and(has_ports)
                || (r.source_ports.contains(source) && r.destination_ports.contains(destination));
            named && ports
        });
        match hit {
            Some(rule) if rule.action == Action::Pass => passed = passed.or(Some(rule.uuid)),
            Some(rule) => return denied(rule.uuid),
            None => return denied(NO_MATCH_RULE),
        }
    }
    Decision { allow: true, rule: passed }
}

fn denied(rule: Uuid) -> Decision {
    Decision { allow: false, rule: Some(rule) }
}

/// Starts of the intervals that the port ranges of `rules` cut 0..=65535 into.
fn cuts<'a>(ranges: impl Iterator<Item = crate::config::PortRange> + 'a) -> Vec<u16> {
    let mut starts = BTreeSet::from([0u16]);
    for range in ranges {
        starts.insert(range.first);
        if let Some(after) = range.last.checked_add(1) {
            starts.insert(after);
        }
    }
    starts.into_iter().collect()
}

fn spans(starts: &[u16]) -> impl Iterator<Item = (u16, u16)> + '_ {
    starts.iter().enumerate().map(|(n, first)| {
        let last = starts.get(n + 1).map_or(u16::MAX, |next| next - 1);
        (*first, last)
    })
}

/// Destination-port intervals of `protocol`, neighbours with the same outcome joined.
fn intervals(gates: &[Vec<&Rule>], protocol: u8) -> Vec<(u16, u16, Outcome)> {
    if !has_ports(protocol) {
        let decision = decide(gates, Some(protocol), 0, 0);
        return vec![(0, u16::MAX, Outcome::Plain(decision))];
    }
    let named: Vec<&Rule> =
        gates.iter().flatten().filter(|r| r.protocol.is_none_or(|p| p == protocol)).copied().collect();
    let destinations = cuts(named.iter().map(|r| r.destination_ports));
    let mut out: Vec<(u16, u16, Outcome)> = Vec::new();
    for (first, last) in spans(&destinations) {
        let outcome = by_source(gates, &named, protocol, first);
        match out.last_mut() {
            Some(previous) if previous.2 == outcome => previous.1 = last,
            _ => out.push((first, last, outcome)),
        }
    }
    out
}

/// The outcome at one destination port.
fn by_source(gates: &[Vec<&Rule>], named: &[&Rule], protocol: u8, destination: u16) -> Outcome {
    let here = named.iter().filter(|r| r.destination_ports.contains(destination));
    let starts = cuts(here.map(|r| r.source_ports));
    let mut parts: Vec<(u16, u16, Decision)> = Vec::new();
    for (first, last) in spans(&starts) {
        let decision = decide(gates, Some(protocol), first, destination);
        match parts.last_mut() {
            Some(previous) if previous.2 == decision => previous.1 = last,
            _ => parts.push((first, last, decision)),
        }
    }
    match parts.as_slice() {
        [(_, _, only)] => Outcome::Plain(*only),
        _ => Outcome::BySource(shorten(parts)),
    }
}

/// The most frequent denial becomes what holds otherwise. A list that is still longer than the forwarder's first loses
/// the distinction between rules that do the same; what then does not fit is denied, never passed.
fn shorten(mut parts: Vec<(u16, u16, Decision)>) -> SourceList {
    let mut denials: BTreeMap<Option<Uuid>, usize> = BTreeMap::new();
    for (_, _, decision) in parts.iter().filter(|(_, _, d)| !d.allow) {
        *denials.entry(decision.rule).or_default() += 1;
    }
    let otherwise = denials.into_iter().max_by_key(|(_, n)| *n).and_then(|(rule, _)| rule);
    parts.retain(|(_, _, d)| d.allow || d.rule != otherwise);
    if parts.len() > RULE_LIST_ENTRIES {
        parts.retain(|(_, _, d)| d.allow);
    }
    let mut joined: Vec<(u16, u16, Decision)> = Vec::with_capacity(parts.len());
    for part in parts {
        match joined.last_mut() {
            Some(last) if joined_fits(last, &part) => last.1 = part.1,
            _ => joined.push(part),
        }
    }
    joined.truncate(RULE_LIST_ENTRIES);
    SourceList { parts: joined, otherwise }
}

/// Whether `next` begins where `last` ends and decides the same for the same reason.
fn joined_fits(last: &(u16, u16, Decision), next: &(u16, u16, Decision)) -> bool {
    last.1.checked_add(1) == Some(next.0) && last.2 == next.2
}

/// Entries of one protocol: the outcome that would cost most prefixes is the wildcard.
fn protocol_entries(protocol: u8, intervals: &[(u16, u16, Outcome)], entries: &mut Compiled) {
    let mut cost: BTreeMap<&Outcome, usize> = BTreeMap::new();
    for (first, last, outcome) in intervals {
        *cost.entry(outcome).or_default() += prefixes(*first, *last).len();
    }
    let wildcard = cost.iter().max_by_key(|(_, n)| **n).map(|(outcome, _)| (*outcome).clone());
    let Some(wildcard) = wildcard else { return };
    for (first, last, outcome) in intervals {
        if *outcome == wildcard {
            continue;
        }
        for (port, bits) in prefixes(*first, *last) {
            entries.push((Slot::Ports { protocol, port, bits }, outcome.clone()));
        }
    }
    entries.push((Slot::Ports { protocol, port: 0, bits: 0 }, wildcard));
}

/// The fewest prefixes that cover `first..=last` exactly, as (port, bits).
pub fn prefixes(first: u16, last: u16) -> Vec<(u16, u8)> {
    let mut out = Vec::new();
    let (mut at, end) = (u32::from(first), u32::from(last) + 1);
    while at < end {
        let align = if at == 0 { 16 } else { at.trailing_zeros().min(16) };
        let fit = (end - at).ilog2();
        let size = align.min(fit);
        out.push((at as u16, (16 - size) as u8));
        at += 1 << size;
    }
    out
}

#[cfg(test)]
mod tests;
