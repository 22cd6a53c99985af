//! Network policies: rules read and checked, bad ones left out.

use super::Complaints;
use crate::edges;
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use crate::rule::{Rule, RuleKind};
use crate::{Problem, Stage};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::ObjectType;
use weft_model::types::PolicyEntriesType;

/// One network policy.
#[derive(Debug, PartialEq)]
pub(crate) struct PolicyRow {
    pub(crate) name: String,
    pub(crate) rules: Vec<Rule>,
    /// Policies its addresses name.
    pub(crate) mentions: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// The node.
pub(crate) struct Policies;

impl Node for Policies {
    type Row = PolicyRow;
    const ID: NodeId = NodeId::Policies;
    const EDGES: &'static [Edge<PolicyRow>] = edges::POLICIES;

    fn table(state: &mut State) -> &mut Table<PolicyRow> {
        &mut state.policies
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::NetworkPolicy).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<PolicyRow> {
        let object = state.objects.get((ObjectType::NetworkPolicy, key))?;
        let mut complaints = Complaints::new(&object, Stage::Policies);
        let entries: PolicyEntriesType = complaints.read("network_policy_entries").unwrap_or_default();
        let rules = read_rules(RuleKind::Policy, &entries, &mut complaints);
        let addresses = rules.iter().flat_map(|rule| rule.sources.iter().chain(&rule.destinations));
        let mentions = addresses.filter_map(|a| a.network_policy.clone()).collect();
        Some(PolicyRow { name: object.fq_name.to_string(), rules, mentions, problems: complaints.list })
    }

    fn index(state: &mut State, change: &RowChange<PolicyRow>) {
        let mentions = |row: &Option<std::sync::Arc<PolicyRow>>| row.as_ref().map(|r| r.mentions.clone());
        let (old, new) = (mentions(&change.old), mentions(&change.new));
        state.policies_naming.change(change.key, old.iter().flatten(), new.iter().flatten());
    }

    fn publish(row: &PolicyRow, out: &mut Published) {
        out.problems.extend_from_slice(&row.problems);
    }
}

/// The good rules; a problem for each bad one.
pub(super) fn read_rules(
    kind: RuleKind,
    entries: &PolicyEntriesType,
    complaints: &mut Complaints<'_>,
) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(entries.policy_rule.len());
    for (index, rule) in entries.policy_rule.iter().enumerate() {
        match Rule::new(kind, index, rule) {
            Ok(rule) => rules.push(rule),
            Err(kind) => complaints.add(Some(index), kind),
        }
    }
    rules
}
