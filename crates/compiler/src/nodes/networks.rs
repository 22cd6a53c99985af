//! Virtual networks: identifiers, route targets, and the policies attached, in their order.

use super::Complaints;
use crate::derived::{instance_name, reference};
use crate::edges::{self, autonomous_system, vxlan_configured};
use crate::engine::{Edge, Node, NodeId, Published, RowChange, State, Table};
use crate::objects::Key;
use crate::{DerivedRefs, Problem, ProblemKind, Stage};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use weft_model::types::{RouteTargetList, VirtualNetworkPolicyType, VirtualNetworkType};
use weft_model::{FqName, Object, ObjectType, RouteTarget, defaults};

/// Which way a route target works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    Import,
    Export,
}

/// A policy attached to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) policy: Uuid,
    pub(crate) name: String,
}

/// One network.
#[derive(Debug, PartialEq)]
pub(crate) struct NetworkRow {
    pub(crate) fq_name: FqName,
    pub(crate) project: Option<Key>,
    pub(crate) network_id: u32,
    pub(crate) vxlan_id: u32,
    /// Its own and the configured route targets.
    pub(crate) targets: BTreeMap<RouteTarget, Direction>,
    /// By sequence, then by name; policies in force only at times are not among them.
    pub(crate) attachments: Vec<Attachment>,
    /// What interfaces in it refer to: its routing instance.
    pub(crate) instance: DerivedRefs,
    problems: Vec<Problem>,
}

impl NetworkRow {
    pub(crate) fn export(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.targets.iter().filter(|(_, d)| **d != Direction::Import).map(|(t, _)| *t)
    }

    pub(crate) fn import(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.targets.iter().filter(|(_, d)| **d != Direction::Export).map(|(t, _)| *t)
    }
}

/// The node.
pub(crate) struct Networks;

impl Node for Networks {
    type Row = NetworkRow;
    const ID: NodeId = NodeId::Networks;
    const EDGES: &'static [Edge<NetworkRow>] = edges::NETWORKS;

    fn table(state: &mut State) -> &mut Table<NetworkRow> {
        &mut state.networks
    }

    fn keys(state: &State) -> Vec<Uuid> {
        state.objects.of_type(ObjectType::VirtualNetwork).collect()
    }

    fn compute(state: &State, key: Uuid) -> Option<NetworkRow> {
        let object = state.objects.get((ObjectType::VirtualNetwork, key))?;
        let mut complaints = Complaints::new(&object, Stage::Networks);
        let properties: VirtualNetworkType =
            complaints.read("virtual_network_properties").unwrap_or_default();
        let network_id = network_id(&properties, &mut complaints);
        let configured =
            properties.vxlan_network_identifier.and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        Some(NetworkRow {
            fq_name: object.fq_name.clone(),
            project: object.parent,
            network_id,
            vxlan_id: if vxlan_configured(state) { configured } else { network_id },
            targets: targets(state, &mut complaints),
            attachments: attachments(&object, &mut complaints),
            instance: instance(&object.fq_name),
            problems: complaints.list,
        })
    }

    fn index(state: &mut State, change: &RowChange<NetworkRow>) {
        let policies = |row: &Option<std::sync::Arc<NetworkRow>>| -> BTreeSet<Uuid> {
            row.iter().flat_map(|r| &r.attachments).map(|a| a.policy).collect()
        };
        state.attached_to.change(change.key, &policies(&change.old), &policies(&change.new));
    }

    fn publish(row: &NetworkRow, out: &mut Published) {
        out.problems.extend_from_slice(&row.problems);
    }
}

fn instance(network: &FqName) -> DerivedRefs {
    let attr = json!({"direction": "both"});
    let reference = reference(ObjectType::RoutingInstance, instance_name(network), Some(attr));
    DerivedRefs::from([(ObjectType::RoutingInstance, reference)])
}

fn network_id(properties: &VirtualNetworkType, complaints: &mut Complaints<'_>) -> u32 {
    let id: Option<i64> = complaints.read("virtual_network_network_id");
    let id = id.or(properties.network_id).and_then(|id| u32::try_from(id).ok());
    if id.is_none() {
        complaints.add(None, ProblemKind::MissingNumber("virtual_network_network_id"));
    }
    id.unwrap_or(0)
}

fn targets(state: &State, complaints: &mut Complaints<'_>) -> BTreeMap<RouteTarget, Direction> {
    let mut targets = BTreeMap::new();
    let number: Option<u32> = complaints.read(defaults::ROUTE_TARGET_NUMBER_PROPERTY);
    match number.and_then(|number| RouteTarget::automatic(autonomous_system(state), number)) {
        Some(target) => {
            targets.insert(target, Direction::Both);
        }
        None if is_infrastructure(&complaints.object.fq_name) => {}
        None => complaints.add(None, ProblemKind::MissingNumber(defaults::ROUTE_TARGET_NUMBER_PROPERTY)),
    }
    let lists = [
        ("route_target_list", Direction::Both),
        ("import_route_target_list", Direction::Import),
        ("export_route_target_list", Direction::Export),
    ];
    for (property, direction) in lists {
        let list: RouteTargetList = complaints.read(property).unwrap_or_default();
        for text in list.route_target {
            match text.parse::<RouteTarget>() {
                Ok(target) => add(&mut targets, target, direction),
                Err(_) => complaints.add(None, ProblemKind::RouteTarget(text.chars().take(64).collect())),
            }
        }
    }
    targets
}

/// A target in the import and in the export list works both ways.
fn add(targets: &mut BTreeMap<RouteTarget, Direction>, target: RouteTarget, direction: Direction) {
    let known = targets.entry(target).or_insert(direction);
    if *known != direction {
        *known = Direction::Both;
    }
}

/// Networks of the system itself work without a route target.
fn is_infrastructure(name: &FqName) -> bool {
    [defaults::IP_FABRIC, defaults::LINK_LOCAL, defaults::DCI_NETWORK]
        .iter()
        .any(|own| *name == defaults::in_default_project(own))
}

fn attachments(object: &Object, complaints: &mut Complaints<'_>) -> Vec<Attachment> {
    let mut list = Vec::new();
    for reference in object.refs_to(ObjectType::NetworkPolicy) {
        let attribute: VirtualNetworkPolicyType = match reference.attribute() {
            Ok(attribute) => attribute,
            Err(e) => {
                let property = format!("reference to {}", reference.fq_name);
                complaints.add(None, ProblemKind::Malformed { property, reason: e.to_string() });
                continue;
            }
        };
        if attribute.timer.is_some() {
            complaints.add(None, ProblemKind::Unsupported("a policy in force at times only"));
            continue;
        }
        // Without a sequence it comes last.
        let sequence = attribute
            .sequence
            .map_or((i64::MAX, i64::MAX), |s| (s.major.unwrap_or(i64::MAX), s.minor.unwrap_or(i64::MAX)));
        let name = reference.fq_name.to_string();
        list.push((sequence, Attachment { policy: reference.uuid, name }));
    }
    list.sort_by(|a, b| (a.0, &a.1.name, a.1.policy).cmp(&(b.0, &b.1.name, b.1.policy)));
    list.into_iter().map(|(_, attachment)| attachment).collect()
}
