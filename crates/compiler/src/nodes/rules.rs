//! The policies of each network, expanded: entries of its access control list, and the networks its pass rules name.
//!
//! A rule concerns a network if one of its sides is that network or "any"; rules between address ranges alone concern
//! every network the policy is attached to. What concerns others only is left out.

use super::Complaints;
use crate::acl::{AclBuilder, Entry, IMPLICIT_ALLOW_UUID, IMPLICIT_DENY_UUID, MAX_ENTRIES};
use crate::derived::acl;
use crate::edges;
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use crate::objects::Key;
use crate::rule::{ANY, LOCAL, Rule, RuleKind, all_ports};
use crate::{Problem, ProblemKind, Stage};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::types::{AclEntriesType, AclRuleType, ActionListType, AddressType};
use weft_model::{FqName, Object, ObjectType};

/// One network's policies, expanded.
#[derive(Debug, PartialEq)]
pub(crate) struct RulesRow {
    pub(crate) name: String,
    pub(crate) project: Option<Key>,
    /// The network's access control list. Without policies there is none: nothing but its own routes reaches it.
    list: Option<Arc<Object>>,
    /// Networks its pass rules name.
    pub(crate) names: BTreeSet<String>,
    /// Whether a pass rule names every network.
    pub(crate) any: bool,
    problems: Vec<Problem>,
}

/// The node.
pub(crate) struct Rules;

impl Node for Rules {
    type Row = RulesRow;
    const ID: NodeId = NodeId::Rules;
    const EDGES: &'static [Edge<RulesRow>] = edges::RULES;

    fn table(state: &mut State) -> &mut Table<RulesRow> {
        &mut state.rules
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualNetwork).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<RulesRow> {
        let object = state.objects.get((ObjectType::VirtualNetwork, key))?;
        let network = state.networks.get(key)?;
        let mut expansion = Expansion {
            state,
            me: object.fq_name.to_string(),
            acl: AclBuilder::default(),
            names: BTreeSet::new(),
            any: false,
            complaints: Complaints::new(&object, Stage::Rules),
        };
        for attachment in &network.attachments {
            match state.policies.get(attachment.policy) {
                Some(policy) => policy.rules.iter().for_each(|rule| expansion.rule(rule)),
                None => expansion.dangling(None, &attachment.name),
            }
        }
        let list = (!network.attachments.is_empty()).then(|| {
            let entries = AclEntriesType { dynamic: Some(false), acl_rule: expansion.tail() };
            acl((ObjectType::VirtualNetwork, key), list_name(&network.fq_name), entries)
        });
        Some(RulesRow {
            name: expansion.me,
            project: network.project,
            list,
            names: expansion.names,
            any: expansion.any,
            problems: expansion.complaints.list,
        })
    }

    fn index(state: &mut State, change: &RowChange<RulesRow>) {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        let names = |row: Option<&RulesRow>| row.map(|r| r.names.clone()).unwrap_or_default();
        state.networks_naming.change(change.key, &names(old), &names(new));
    }

    fn publish(row: &RulesRow, out: &mut Published) {
        out.objects.extend(row.list.clone());
        out.problems.extend_from_slice(&row.problems);
    }
}

/// The expansion of one network's policies.
struct Expansion<'a> {
    state: &'a State,
    me: String,
    acl: AclBuilder,
    names: BTreeSet<String>,
    any: bool,
    complaints: Complaints<'a>,
}

impl Expansion<'_> {
    fn rule(&mut self, rule: &Rule) {
        let sources = self.addresses(rule, &rule.sources);
        let destinations = self.addresses(rule, &rule.destinations);
        for source in &sources {
            for destination in &destinations {
                if self.acl.overflowed() {
                    return;
                }
                if !self.concerns_me(source, destination) {
                    continue;
                }
                if rule.is_pass() {
                    self.connect(source, destination);
                }
                self.pair(rule, source, destination);
            }
        }
    }

    fn pair(&mut self, rule: &Rule, source: &AddressType, destination: &AddressType) {
        for source_port in &rule.source_ports {
            for destination_port in &rule.destination_ports {
                let entry = Entry {
                    protocol: &rule.protocol,
                    ethertype: rule.ethertype.as_deref(),
                    source: source.clone(),
                    source_port: source_port.clone(),
                    destination: destination.clone(),
                    destination_port: destination_port.clone(),
                    action: rule.action.clone(),
                    uuid: rule.uuid.as_deref(),
                };
                let reverse = rule.bidirectional.then(|| entry.reversed());
                self.acl.push(entry);
                if let Some(reverse) = reverse {
                    self.acl.push(reverse);
                }
            }
        }
    }

    /// Addresses with "local" and network policies replaced by networks.
    fn addresses(&mut self, rule: &Rule, list: &[AddressType]) -> Vec<AddressType> {
        let mut out = Vec::with_capacity(list.len());
        for address in list {
            let with = |network: String| AddressType {
                virtual_network: Some(network),
                network_policy: None,
                ..address.clone()
            };
            match (&address.virtual_network, &address.network_policy) {
                (Some(network), _) if network == LOCAL => out.push(with(self.me.clone())),
                (None, Some(policy)) => match self.networks_of(policy) {
                    Some(networks) => out.extend(networks.into_iter().map(with)),
                    None => self.dangling(Some(rule.index), policy),
                },
                _ => out.push(address.clone()),
            }
        }
        out
    }

    /// Names of the networks a policy is attached to, sorted; `None` if there is no such policy.
    fn networks_of(&self, policy: &str) -> Option<BTreeSet<String>> {
        let uuid = self.state.objects.lookup(ObjectType::NetworkPolicy, &FqName::from(policy))?;
        let networks = self.state.attached_to.get(&uuid);
        Some(networks.filter_map(|n| self.state.networks.get(n)).map(|n| n.fq_name.to_string()).collect())
    }

    fn concerns_me(&self, source: &AddressType, destination: &AddressType) -> bool {
        let mine = |a: &AddressType| a.virtual_network.as_ref().is_some_and(|n| *n == self.me || n == ANY);
        let ranges_only = source.virtual_network.is_none() && destination.virtual_network.is_none();
        ranges_only || mine(source) || mine(destination)
    }

    /// Notes the network at the other side of a pass rule.
    fn connect(&mut self, source: &AddressType, destination: &AddressType) {
        let (Some(source), Some(destination)) = (&source.virtual_network, &destination.virtual_network)
        else {
            return;
        };
        let other = match (source, destination) {
            (source, other) if *source == self.me => other,
            (other, destination) if *destination == self.me => other,
            (source, other) if source == ANY => other,
            (other, _) => other,
        };
        if other == ANY {
            self.any = true;
        } else if *other != self.me {
            self.names.insert(other.clone());
        }
    }

    /// Closes the list: the network may talk to itself, everything else is refused. As the last entry refuses all, the
    /// existing system's entries that refuse each named pair are not needed.
    fn tail(&mut self) -> Vec<AclRuleType> {
        let network = |name: &str| AddressType { virtual_network: Some(name.into()), ..Default::default() };
        let implicit = |name: &str, action: &str, uuid: &'static str| Entry {
            protocol: ANY,
            ethertype: None,
            source: network(name),
            source_port: all_ports(RuleKind::Policy),
            destination: network(name),
            destination_port: all_ports(RuleKind::Policy),
            action: ActionListType { simple_action: Some(action.into()), ..Default::default() },
            uuid: Some(uuid),
        };
        self.acl.push_tail(implicit(&self.me, "pass", IMPLICIT_ALLOW_UUID));
        self.acl.push_tail(implicit(ANY, "deny", IMPLICIT_DENY_UUID));
        if self.acl.overflowed() {
            self.complaints.add(None, ProblemKind::TooManyRules(MAX_ENTRIES));
        }
        std::mem::take(&mut self.acl).finish()
    }

    fn dangling(&mut self, rule: Option<usize>, name: &str) {
        self.complaints.add(rule, ProblemKind::Dangling { to: ObjectType::NetworkPolicy, name: name.into() });
    }
}

/// `<network>:<network's own name>`; a network called like the lists of security groups gets another name, so that the
/// names of the two kinds of lists never meet.
fn list_name(network: &FqName) -> FqName {
    let last = network.last();
    if super::groups::LISTS.contains(&last) {
        network.child(format!("{last}-network"))
    } else {
        network.child(last)
    }
}
