//! The difference between two states of the tables.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::Serialize;
use weft_dataplane::tables::INTERFACE_WORKLOAD;
use weft_dataplane::{BridgeEntry, Interface, Label, NextHop, Route, RuleList, Verdict, VerdictKey, Vni};

use crate::desired::Tables;

/// What to write and what to delete in one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes<K, V> {
    /// Entries that are missing or different.
    pub put: Vec<(K, V)>,
    /// Keys that should not be.
    pub delete: Vec<K>,
}

impl<K, V> Default for Changes<K, V> {
    fn default() -> Self {
        Self { put: Vec::new(), delete: Vec::new() }
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> Changes<K, V> {
    /// With `known`, only what is in it is deleted.
    fn between(actual: &BTreeMap<K, V>, desired: &BTreeMap<K, V>, known: Option<&BTreeMap<K, V>>) -> Self {
        let put = desired.iter().filter(|(k, v)| actual.get(k) != Some(v));
        let gone =
            actual.keys().filter(|k| known.is_none_or(|t| t.contains_key(*k)) && !desired.contains_key(k));
        Self { put: put.map(|(k, v)| (k.clone(), v.clone())).collect(), delete: gone.cloned().collect() }
    }

    fn len(&self) -> usize {
        self.put.len() + self.delete.len()
    }
}

/// Which entries that should not be there are removed.
#[derive(Clone, Copy, Debug)]
pub enum Surplus<'a> {
    /// All.
    All,
    /// Those in these tables: what was once desired and no longer is. What was there before the agent started stays,
    /// because configuration and routes are not complete yet and may still name it.
    Known(&'a Tables),
}

/// How many entries a plan touches, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary(pub BTreeMap<&'static str, (usize, usize)>);

/// Everything to do.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "fields as in Tables")]
pub struct Plan {
    pub interfaces: Changes<u32, Interface>,
    pub next_hops: Changes<u32, NextHop>,
    pub routes: Changes<(u16, IpNet), Route>,
    pub bridge: Changes<(u16, [u8; 6]), BridgeEntry>,
    pub labels: Changes<u32, Label>,
    pub vnis: Changes<u32, Vni>,
    pub verdicts: Changes<VerdictKey, Verdict>,
    pub rule_lists: Changes<u32, RuleList>,
    /// VRFs whose flows must be judged again.
    pub bump: BTreeSet<u16>,
}

impl Plan {
    /// What leads from `actual` to `desired`, removing what `surplus` says.
    pub fn between(actual: &Tables, desired: &Tables, surplus: Surplus<'_>) -> Self {
        let known = match surplus {
            Surplus::All => None,
            Surplus::Known(tables) => Some(tables),
        };
        macro_rules! changes {
            ($($table:ident),*) => {
                Self {
                    $($table: Changes::between(&actual.$table, &desired.$table, known.map(|t| &t.$table)),)*
                    bump: BTreeSet::new(),
                }
            };
        }
        let mut plan = changes!(interfaces, next_hops, routes, bridge, labels, vnis, verdicts, rule_lists);
        if let Some(known) = known {
            plan.delete_outdated_policy(actual, desired, known);
        }
        // The most specific verdict first: a general one must not speak for what a specific one is about to decide.
        plan.verdicts.put.sort_by_key(|(key, _)| std::cmp::Reverse(key.prefix_len));
        plan.find_bumps(actual, desired);
        plan
    }

    /// Between two ends that are both known, policy is complete: what it no longer says must not stand, however old.
    fn delete_outdated_policy(&mut self, actual: &Tables, desired: &Tables, known: &Tables) {
        let pair = |key: &VerdictKey| (key.near, key.far, key.direction);
        let pairs: BTreeSet<_> = desired.verdicts.keys().map(pair).collect();
        let surplus = actual.verdicts.keys().filter(|k| !desired.verdicts.contains_key(k));
        let outdated = surplus.filter(|k| pairs.contains(&pair(k)) || known.verdicts.contains_key(k));
        self.verdicts.delete = outdated.copied().collect();
    }

    fn find_bumps(&mut self, actual: &Tables, desired: &Tables) {
        let mut bump = BTreeSet::new();
        bump.extend(self.routes.put.iter().map(|((vrf, _), _)| *vrf));
        bump.extend(self.routes.delete.iter().map(|(vrf, _)| *vrf));
        bump.extend(self.bridge.put.iter().map(|((vrf, _), _)| *vrf));
        bump.extend(self.bridge.delete.iter().map(|(vrf, _)| *vrf));
        // A changed interface judges its flows anew; a new one has none.
        for (ifindex, entry) in &self.interfaces.put {
            if let Some(old) = actual.interfaces.get(ifindex) {
                bump.extend([old.vrf, entry.vrf]);
            }
        }
        bump.extend(self.interfaces.delete.iter().filter_map(|i| actual.interfaces.get(i)).map(|e| e.vrf));
        // Policy is looked up by the near identity: the VRFs of the interfaces that have it.
        let mut judged: BTreeSet<u32> = BTreeSet::new();
        judged.extend(self.verdicts.put.iter().map(|(k, _)| u32::from_be_bytes(k.near)));
        judged.extend(self.verdicts.delete.iter().map(|k| u32::from_be_bytes(k.near)));
        let lists: BTreeSet<u32> = self.rule_lists.put.iter().map(|(n, _)| *n).collect();
        let listed = desired.verdicts.iter().filter(|(_, v)| v.list != 0 && lists.contains(&v.list));
        judged.extend(listed.map(|(k, _)| u32::from_be_bytes(k.near)));
        for entry in desired.interfaces.values().chain(actual.interfaces.values()) {
            if entry.kind == INTERFACE_WORKLOAD && judged.contains(&entry.identity) {
                bump.insert(entry.vrf);
            }
        }
        bump.remove(&0);
        self.bump = bump;
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries to write and delete.
    pub fn len(&self) -> usize {
        self.summary().0.values().map(|(put, delete)| put + delete).sum()
    }

    /// Entries to write and delete, for the tables that have any.
    pub fn summary(&self) -> Summary {
        let counts = [
            ("interfaces", self.interfaces.put.len(), self.interfaces.len()),
            ("next_hops", self.next_hops.put.len(), self.next_hops.len()),
            ("routes", self.routes.put.len(), self.routes.len()),
            ("bridge", self.bridge.put.len(), self.bridge.len()),
            ("labels", self.labels.put.len(), self.labels.len()),
            ("vnis", self.vnis.put.len(), self.vnis.len()),
            ("verdicts", self.verdicts.put.len(), self.verdicts.len()),
            ("rule_lists", self.rule_lists.put.len(), self.rule_lists.len()),
        ];
        let touched = counts.into_iter().filter(|(_, _, all)| *all > 0);
        Summary(touched.map(|(name, put, all)| (name, (put, all - put))).collect())
    }
}
