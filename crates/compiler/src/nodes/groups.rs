//! Access control lists of security groups: one for packets to the members, one for packets from them.

use super::Complaints;
use super::policies::read_rules;
use crate::acl::{AclBuilder, Entry, MAX_ENTRIES};
use crate::derived::acl;
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use crate::rule::{ANY, LOCAL, Rule, RuleKind};
use crate::{Problem, ProblemKind, Stage};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::types::{AclEntriesType, AddressType, PolicyEntriesType};
use weft_model::{FqName, Object, ObjectType};

/// Names of the two lists, ingress first.
pub(super) const LISTS: [&str; 2] = ["ingress-access-control-list", "egress-access-control-list"];
/// The id that stands for every security group.
const ANY_ID: &str = "-1";

/// The lists of one security group. Both exist always: a group without rules lets nothing pass.
#[derive(Debug, PartialEq)]
pub(crate) struct GroupRow {
    lists: [Arc<Object>; 2],
    /// Security groups its rules name.
    mentions: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// The node.
pub(crate) struct Groups;

impl Node for Groups {
    type Row = GroupRow;
    const ID: NodeId = NodeId::Groups;
    const EDGES: &'static [Edge<GroupRow>] = &[];

    fn table(state: &mut State) -> &mut Table<GroupRow> {
        &mut state.groups
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::SecurityGroup).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<GroupRow> {
        let object = state.objects.get((ObjectType::SecurityGroup, key))?;
        let mut complaints = Complaints::new(&object, Stage::SecurityGroups);
        if id(&object).is_none() {
            complaints.add(None, ProblemKind::MissingNumber("security_group_id"));
        }
        let entries: PolicyEntriesType = complaints.read("security_group_entries").unwrap_or_default();
        let rules = read_rules(RuleKind::Group, &entries, &mut complaints);
        let addresses = rules.iter().flat_map(|rule| rule.sources.iter().chain(&rule.destinations));
        let names = addresses.filter_map(|a| a.security_group.clone());
        let mentions = names.filter(|name| name != LOCAL && name != ANY).collect();
        let mut lists = Lists { state, builders: Default::default(), complaints };
        rules.iter().for_each(|rule| lists.rule(rule));
        if lists.builders.iter().any(AclBuilder::overflowed) {
            lists.complaints.add(None, ProblemKind::TooManyRules(MAX_ENTRIES));
        }
        let [ingress, egress] = lists.builders.map(AclBuilder::finish);
        let list = |name: &str, acl_rule| {
            let entries = AclEntriesType { dynamic: Some(false), acl_rule };
            acl((ObjectType::SecurityGroup, key), object.fq_name.child(name), entries)
        };
        let lists_done = [list(LISTS[0], ingress), list(LISTS[1], egress)];
        Some(GroupRow { lists: lists_done, mentions, problems: lists.complaints.list })
    }

    fn index(state: &mut State, change: &RowChange<GroupRow>) {
        let mentions =
            |row: &Option<Arc<GroupRow>>| row.as_ref().map(|r| r.mentions.clone()).unwrap_or_default();
        state.groups_naming.change(change.key, &mentions(&change.old), &mentions(&change.new));
    }

    fn publish(row: &GroupRow, out: &mut Published) {
        out.objects.extend(row.lists.iter().cloned());
        out.problems.extend_from_slice(&row.problems);
    }
}

/// The lists in the making.
struct Lists<'a> {
    state: &'a State,
    builders: [AclBuilder; 2],
    complaints: Complaints<'a>,
}

impl Lists<'_> {
    fn rule(&mut self, rule: &Rule) {
        for source in &rule.sources {
            for destination in &rule.destinations {
                let is_local = |a: &AddressType| a.security_group.as_deref() == Some(LOCAL);
                let side = match (is_local(source), is_local(destination)) {
                    (_, true) => 0,
                    (true, false) => 1,
                    (false, false) => {
                        self.complaints.add(Some(rule.index), ProblemKind::NoLocalSide);
                        continue;
                    }
                };
                let (Some(source), Some(destination)) =
                    (self.resolve(rule, source), self.resolve(rule, destination))
                else {
                    continue;
                };
                self.entries(side, rule, &source, &destination);
            }
        }
    }

    fn entries(&mut self, side: usize, rule: &Rule, source: &AddressType, destination: &AddressType) {
        let Some(builder) = self.builders.get_mut(side) else { return };
        for source_port in &rule.source_ports {
            for destination_port in &rule.destination_ports {
                builder.push(Entry {
                    protocol: &rule.protocol,
                    ethertype: rule.ethertype.as_deref(),
                    source: source.clone(),
                    source_port: source_port.clone(),
                    destination: destination.clone(),
                    destination_port: destination_port.clone(),
                    action: rule.action.clone(),
                    uuid: rule.uuid.as_deref(),
                });
                if builder.overflowed() {
                    return;
                }
            }
        }
    }

    /// The address with the group's id for its name; the local side needs none. `None` if there is no such group.
    fn resolve(&mut self, rule: &Rule, address: &AddressType) -> Option<AddressType> {
        let group = match address.security_group.as_deref() {
            None | Some(LOCAL) => None,
            Some(ANY) => Some(ANY_ID.to_owned()),
            Some(name) => {
                let object = self.state.objects.named(ObjectType::SecurityGroup, &FqName::from(name));
                let id = object.and_then(|o| id(&o));
                if id.is_none() {
                    let missing = ProblemKind::Dangling { to: ObjectType::SecurityGroup, name: name.into() };
                    self.complaints.add(Some(rule.index), missing);
                }
                Some(id?.to_string())
            }
        };
        Some(AddressType { security_group: group, ..address.clone() })
    }
}

/// The number packets are matched by.
fn id(group: &Object) -> Option<u64> {
    group.props.get("security_group_id")?.as_u64()
}
