//! Verdicts for every pair of identities that can meet on this host.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;
use weft_dataplane::verdict::{ACTION_ALLOW, ACTION_DENY, ACTION_LIST, RULE_LIST_ENTRIES};
use weft_dataplane::{Direction, PortRule, RuleList, Verdict, VerdictKey};

use super::build::Round;
use crate::config::{Acl, SecurityGroup, View};
use crate::policy::compile::{Decision, Slot};
use crate::policy::{Compiled, Gates, IdentitySet, Outcome, SourceList, compile};

/// Compiled pairs, kept while no access list changes.
#[derive(Debug, Default)]
pub(super) struct PolicyCache {
    acls: BTreeMap<String, Vec<Acl>>,
    groups: BTreeMap<String, SecurityGroup>,
    compiled: HashMap<(u32, u32, bool), Entry>,
}

/// The identities are kept beside the result: a number may have been given to another set since.
#[derive(Debug)]
struct Entry {
    near: IdentitySet,
    far: IdentitySet,
    result: Arc<Compiled>,
}

impl PolicyCache {
    /// Forget everything if an access list or a security group of `view` changed.
    pub(super) fn refresh(&mut self, view: &View) {
        let same_acls = self.acls.len() == view.networks.len()
            && view.networks.iter().all(|(name, n)| self.acls.get(name) == Some(&n.acls));
        if same_acls && self.groups == view.security_groups {
            return;
        }
        self.acls = view.networks.iter().map(|(name, n)| (name.clone(), n.acls.clone())).collect();
        self.groups.clone_from(&view.security_groups);
        self.compiled.clear();
    }

    fn get(
        &mut self,
        near: (u32, &IdentitySet),
        far: (u32, &IdentitySet),
        direction: Direction,
        gates: &Gates,
    ) -> Arc<Compiled> {
        let key = (near.0, far.0, direction == Direction::Egress);
        if let Some(entry) = self.compiled.get(&key)
            && entry.near == *near.1
            && entry.far == *far.1
        {
            return entry.result.clone();
        }
        let result = Arc::new(compile(near.1, far.1, direction, gates.of_direction(direction)));
        let entry = Entry { near: near.1.clone(), far: far.1.clone(), result: result.clone() };
        self.compiled.insert(key, entry);
        result
    }
}

impl Round<'_> {
    pub(super) fn policy(&mut self, cache: &mut PolicyCache) {
        let drafts = std::mem::take(&mut self.vrfs);
        for draft in drafts.values() {
            for (near, (near_set, gates)) in &draft.near {
                for (far, far_set) in &draft.far {
                    for direction in [Direction::Egress, Direction::Ingress] {
                        let compiled = cache.get((*near, near_set), (*far, far_set), direction, gates);
                        self.verdicts(*near, *far, direction, &compiled);
                    }
                }
            }
        }
        self.vrfs = drafts;
    }

    fn verdicts(&mut self, near: u32, far: u32, direction: Direction, compiled: &Compiled) {
        for (slot, outcome) in compiled {
            let key = match *slot {
                Slot::Any => VerdictKey::pair(near, far, direction),
                Slot::Ports { protocol, bits: 0, .. } => VerdictKey::protocol(near, far, direction, protocol),
                Slot::Ports { protocol, port, bits } => {
                    VerdictKey::ports(near, far, direction, protocol, port, bits)
                }
            };
            let verdict = match outcome {
                Outcome::Plain(decision) => {
                    Verdict { action: action(decision), rule: self.rule(decision), list: 0 }
                }
                Outcome::BySource(list) => self.by_source(list),
            };
            self.out.tables.verdicts.insert(key, verdict);
        }
    }

    fn rule(&mut self, decision: &Decision) -> u32 {
        self.rule_number(decision.rule)
    }

    fn rule_number(&mut self, rule: Option<Uuid>) -> u32 {
        let Some(uuid) = rule else { return 0 };
        let number = self.numbers.rules.get(&uuid);
        self.take(number).unwrap_or(0)
    }

    /// A rule list. When none is left the flow is denied: a rule that cannot be programmed must not open anything.
    fn by_source(&mut self, list: &SourceList) -> Verdict {
        let rule = self.rule_number(list.otherwise);
        let parts = &list.parts;
        let key = parts.iter().map(|(a, b, d)| (*a, *b, d.allow, d.rule)).collect();
        let number = self.numbers.rule_lists.get(&key);
        let Some(index) = self.take(number) else {
            return Verdict { action: ACTION_DENY, rule: 0, list: 0 };
        };
        let empty = PortRule { source_low: 0, source_high: 0, action: 0, reserved: 0, rule: 0 };
        let mut rules = [empty; RULE_LIST_ENTRIES];
        for (entry, (low, high, decision)) in rules.iter_mut().zip(parts) {
            *entry = PortRule {
                source_low: *low,
                source_high: *high,
                action: action(decision) as u16,
                reserved: 0,
                rule: self.rule(decision),
            };
        }
        let count = parts.len().min(RULE_LIST_ENTRIES) as u32;
        self.out.tables.rule_lists.insert(index, RuleList { count, reserved: 0, rules });
        Verdict { action: ACTION_LIST, rule, list: index }
    }
}

fn action(decision: &Decision) -> u32 {
    if decision.allow { ACTION_ALLOW } else { ACTION_DENY }
}
