//! The nodes of the graph, one file each.

mod connections;
mod groups;
mod instances;
mod interfaces;
mod networks;
mod policies;
mod rules;
mod targets;

pub(crate) use connections::{Connections, ConnectionsRow};
pub(crate) use groups::{GroupRow, Groups};
pub(crate) use instances::{InstanceRow, Instances, master};
pub(crate) use interfaces::{InterfaceRow, Interfaces};
pub(crate) use networks::{NetworkRow, Networks};
pub(crate) use policies::{Policies, PolicyRow};
pub(crate) use rules::{Rules, RulesRow};
pub(crate) use targets::{TargetRow, Targets};

use crate::{Problem, ProblemKind, Stage};
use weft_model::Object;

/// Collects the problems of one object.
struct Complaints<'a> {
    object: &'a Object,
    stage: Stage,
    list: Vec<Problem>,
}

impl<'a> Complaints<'a> {
    fn new(object: &'a Object, stage: Stage) -> Self {
        Self { object, stage, list: Vec::new() }
    }

    fn add(&mut self, rule: Option<usize>, kind: ProblemKind) {
        let Object { object_type, uuid, ref fq_name, .. } = *self.object;
        let problem = Problem { object_type, uuid, fq_name: fq_name.clone(), stage: self.stage, rule, kind };
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Reads a property; one that cannot be read counts as absent.
    fn read<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.object.property(name) {
            Ok(value) => value,
            Err(e) => {
                self.add(None, ProblemKind::Malformed { property: name.into(), reason: e.to_string() });
                None
            }
        }
    }
}
