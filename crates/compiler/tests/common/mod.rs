//! Helpers of the compiler's tests: making objects, and an agent that replays what it is sent.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_compiler::{Delta, Intent, RiChange};
use weft_model::{Change, FqName, Object, ObjectType, Reference, defaults};
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};

/// A uuid that depends on type, number and variant only.
pub(crate) fn uuid(object_type: ObjectType, number: usize, variant: usize) -> Uuid {
    let index = ObjectType::ALL.iter().position(|t| *t == object_type).unwrap();
    Uuid::from_u128(((index as u128 + 1) << 96) | ((number as u128 + 1) << 8) | variant as u128)
}

/// An object under construction.
pub(crate) struct Make(pub(crate) Object);

impl Make {
    pub(crate) fn new(object_type: ObjectType, id: Uuid, name: &str) -> Self {
        let mut object = Object::new(object_type, id, FqName::from(name));
        object.props.insert("display_name".into(), object.fq_name.last().into());
        Self(object)
    }

    pub(crate) fn parent(mut self, object_type: ObjectType, id: Uuid) -> Self {
        self.0.parent = Some((object_type, id));
        self
    }

    pub(crate) fn prop(mut self, name: &str, value: Value) -> Self {
        self.0.props.insert(name.into(), value);
        self
    }

    pub(crate) fn refer(mut self, to: ObjectType, id: Uuid, name: &str, attr: Option<Value>) -> Self {
        let reference = Reference { uuid: id, fq_name: FqName::from(name), attr };
        self.0.refs.entry(to).or_default().push(reference);
        self
    }

    pub(crate) fn put(self) -> Change {
        Change::Put(Arc::new(self.0))
    }
}

/// The object of a put.
pub(crate) fn object_of(change: &Change) -> &Arc<Object> {
    match change {
        Change::Put(object) => object,
        Change::Delete { .. } => panic!("a delete has no object"),
    }
}

/// The delete of a put object.
pub(crate) fn delete(change: &Change) -> Change {
    let object = object_of(change);
    Change::Delete { object_type: object.object_type, uuid: object.uuid, fq_name: object.fq_name.clone() }
}

/// What an agent holds after all it was sent.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Replica {
    pub(crate) nodes: BTreeMap<(String, String), ConfigNode>,
    pub(crate) links: BTreeSet<ConfigLink>,
}

impl Replica {
    /// Takes one batch in, checking that it is in order and says nothing needlessly.
    pub(crate) fn replay(&mut self, ops: &[ConfigOp]) {
        for op in ops {
            match op {
                ConfigOp::Update(ConfigElement::Node(node)) => {
                    let key = (node.node_type.clone(), node.name.clone());
                    assert!(self.nodes.get(&key) != Some(node), "needless update of {key:?}");
                    self.nodes.insert(key, node.clone());
                }
                ConfigOp::Update(ConfigElement::Link(link)) => {
                    assert!(self.nodes.contains_key(&link.left), "link before its left end: {link:?}");
                    assert!(self.nodes.contains_key(&link.right), "link before its right end: {link:?}");
                    assert!(self.links.insert(link.clone()), "link sent twice: {link:?}");
                }
                ConfigOp::Delete(ConfigElement::Node(node)) => {
                    let key = (node.node_type.clone(), node.name.clone());
                    assert!(self.nodes.remove(&key).is_some(), "delete of an unknown node {key:?}");
                }
                ConfigOp::Delete(ConfigElement::Link(link)) => {
                    assert!(self.links.remove(link), "delete of an unknown link {link:?}");
                }
            }
        }
        for link in &self.links {
            assert!(
                self.nodes.contains_key(&link.left) && self.nodes.contains_key(&link.right),
                "loose {link:?}"
            );
        }
    }

    pub(crate) fn names(&self, node_type: &str) -> Vec<&str> {
        self.nodes.keys().filter(|(t, _)| t == node_type).map(|(_, name)| name.as_str()).collect()
    }
}

/// Applies a delta to an intent; problems are not part of deltas.
pub(crate) fn replay_delta(intent: &mut Intent, delta: &Delta) {
    for change in &delta.routing_instances {
        match change {
            RiChange::Put(ri) => {
                intent.routing_instances.insert(ri.fq_name.clone(), ri.clone());
            }
            RiChange::Delete(name) => {
                assert!(intent.routing_instances.remove(name).is_some(), "delete of unknown {name}");
            }
        }
    }
    for change in &delta.derived {
        match change {
            Change::Put(object) => {
                intent.derived.insert((object.object_type, object.uuid), Arc::clone(object));
            }
            Change::Delete { object_type, uuid, .. } => {
                assert!(intent.derived.remove(&(*object_type, *uuid)).is_some(), "delete of unknown {uuid}");
            }
        }
    }
    for (key, refs) in &delta.derived_refs {
        if refs.is_empty() {
            intent.derived_refs.remove(key);
        } else {
            intent.derived_refs.insert(*key, refs.clone());
        }
    }
}

pub(crate) fn project_name(number: usize) -> String {
    format!("default-domain:tenant{number}")
}

pub(crate) fn project_id(number: usize) -> Uuid {
    uuid(ObjectType::Project, number, 0)
}

pub(crate) fn project(number: usize) -> Change {
    Make::new(ObjectType::Project, project_id(number), &project_name(number)).put()
}

/// A network `net<number>` of a project.
pub(crate) fn network(project: usize, number: usize) -> Make {
    let name = format!("{}:net{number}", project_name(project));
    Make::new(ObjectType::VirtualNetwork, uuid(ObjectType::VirtualNetwork, number, 0), &name)
        .parent(ObjectType::Project, project_id(project))
        .prop("virtual_network_network_id", json!(number + 1))
        .prop(defaults::ROUTE_TARGET_NUMBER_PROPERTY, json!(8_000_000 + number))
}

pub(crate) fn attach(network: Make, policy: &Change, major: i64) -> Make {
    let policy = object_of(policy);
    let attr = json!({"sequence": {"major": major, "minor": 0}});
    network.refer(ObjectType::NetworkPolicy, policy.uuid, &policy.fq_name.to_string(), Some(attr))
}

pub(crate) fn policy(project: usize, number: usize, rules: Value) -> Change {
    let name = format!("{}:policy{number}", project_name(project));
    Make::new(ObjectType::NetworkPolicy, uuid(ObjectType::NetworkPolicy, number, 0), &name)
        .parent(ObjectType::Project, project_id(project))
        .prop("network_policy_entries", json!({"policy_rule": rules}))
        .put()
}

pub(crate) fn refer_to(make: Make, target: &Change) -> Make {
    let target = object_of(target);
    make.refer(target.object_type, target.uuid, &target.fq_name.to_string(), None)
}

pub(crate) fn global_config(asn: i64) -> Change {
    let id = uuid(ObjectType::GlobalSystemConfig, 0, 0);
    Make::new(ObjectType::GlobalSystemConfig, id, defaults::GLOBAL_SYSTEM_CONFIG)
        .prop("autonomous_system", json!(asn))
        .put()
}

pub(crate) fn machine(number: usize) -> Change {
    let id = uuid(ObjectType::VirtualMachine, number, 0);
    Make::new(ObjectType::VirtualMachine, id, &id.to_string()).put()
}

pub(crate) fn router_name(number: usize) -> String {
    format!("{}:host{number}", defaults::GLOBAL_SYSTEM_CONFIG)
}

pub(crate) fn router(number: usize) -> Make {
    Make::new(ObjectType::VirtualRouter, uuid(ObjectType::VirtualRouter, number, 0), &router_name(number))
        .parent(ObjectType::GlobalSystemConfig, uuid(ObjectType::GlobalSystemConfig, 0, 0))
}

pub(crate) fn interface(project: usize, number: usize) -> Make {
    let name = format!("{}:port{number}", project_name(project));
    let id = uuid(ObjectType::VirtualMachineInterface, number, 0);
    Make::new(ObjectType::VirtualMachineInterface, id, &name).parent(ObjectType::Project, project_id(project))
}

pub(crate) fn address(number: usize, ip: &str) -> Make {
    let id = uuid(ObjectType::InstanceIp, number, 0);
    Make::new(ObjectType::InstanceIp, id, &format!("ip{number}")).prop("instance_ip_address", json!(ip))
}

pub(crate) fn group(project: usize, number: usize, rules: Value) -> Change {
    let name = format!("{}:group{number}", project_name(project));
    Make::new(ObjectType::SecurityGroup, uuid(ObjectType::SecurityGroup, number, 0), &name)
        .parent(ObjectType::Project, project_id(project))
        .prop("security_group_id", json!(8_000_000 + number))
        .prop("security_group_entries", json!({"policy_rule": rules}))
        .put()
}
