//! Who may reach whom, computed from the objects that the controller holds at this moment.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_client::{Api, ClientError, api};
use weft_model::ObjectType;

use super::rules::{End, group_fits, list, policy_fits};
use crate::file::plan::{Family, ProbeSpec};
use crate::state::WorkloadState;

/// The parts of the configuration that decide.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Policies of a network in the order of their sequence.
    networks: BTreeMap<String, Vec<String>>,
    policies: BTreeMap<String, Vec<Value>>,
    groups: BTreeMap<String, Vec<Value>>,
    /// Groups of a port by its uuid.
    ports: BTreeMap<String, Vec<String>>,
}

impl Oracle {
    /// Reads the configuration.
    pub(super) async fn load(client: &Api) -> Result<Self, ClientError> {
        let mut oracle = Self::default();
        for object in client.list(ObjectType::VirtualNetwork, true).await? {
            let mut attached: Vec<(Vec<i64>, String)> =
                list(&object, "network_policy_refs").iter().map(sequenced).collect();
            attached.sort();
            oracle.networks.insert(name_of(&object), attached.into_iter().map(|(_, name)| name).collect());
        }
        for object in client.list(ObjectType::NetworkPolicy, true).await? {
            let rules = list(&object["network_policy_entries"], "policy_rule").to_vec();
            oracle.policies.insert(name_of(&object), rules);
        }
        for object in client.list(ObjectType::SecurityGroup, true).await? {
            let rules = list(&object["security_group_entries"], "policy_rule").to_vec();
            oracle.groups.insert(name_of(&object), rules);
        }
        for object in client.list(ObjectType::VirtualMachineInterface, true).await? {
            let groups = list(&object, "security_group_refs").iter().map(target).collect();
            oracle.ports.insert(object["uuid"].as_str().unwrap_or_default().to_owned(), groups);
        }
        Ok(oracle)
    }

    /// Whether a workload may reach another. None when either has no address of that family.
    pub(super) fn allows(
        &self,
        from: &WorkloadState,
        to: &WorkloadState,
        probe: ProbeSpec,
        family: Family,
    ) -> Option<bool> {
        let (from, to) = (self.end(from, family)?, self.end(to, family)?);
        Some(self.network_allows(&from, &to, probe) && self.groups_allow(&from, &to, probe))
    }

    fn end(&self, workload: &WorkloadState, family: Family) -> Option<End> {
        let groups = workload.port.as_ref().and_then(|p| self.ports.get(p)).cloned().unwrap_or_default();
        Some(End { address: workload.address_of(family)?, network: workload.network.clone(), groups })
    }

    /// Both networks must let the connection through. Different networks must also be joined at all, by a pass rule on each side;
    /// the address must not be hidden by the asker's own network having it too.
    fn network_allows(&self, from: &End, to: &End, probe: ProbeSpec) -> bool {
        if from.network == to.network {
            return self.list_allows(&from.network, from, to, probe);
        }
        self.joined(&from.network, &to.network)
            && self.joined(&to.network, &from.network)
            && self.list_allows(&from.network, from, to, probe)
            && self.list_allows(&to.network, from, to, probe)
    }

    fn rules(&self, network: &str) -> impl Iterator<Item = &Value> {
        let attached = self.networks.get(network).into_iter().flatten();
        attached.filter_map(|name| self.policies.get(name)).flatten()
    }

    /// The first fitting rule decides; without one, a network lets its own workloads through and nobody else.
    fn list_allows(&self, network: &str, from: &End, to: &End, probe: ProbeSpec) -> bool {
        match self.rules(network).find(|rule| policy_fits(rule, network, from, to, probe)) {
            Some(rule) => rule["action_list"]["simple_action"] == "pass",
            None => from.network == to.network,
        }
    }

    /// Whether a network has a pass rule that names another.
    fn joined(&self, network: &str, other: &str) -> bool {
        self.rules(network).filter(|r| r["action_list"]["simple_action"] == "pass").any(|rule| {
            let names = |key| list(rule, key).iter().filter_map(|a| a["virtual_network"].as_str());
            let has = |key, wanted: &str| {
                names(key).any(|n| n == "any" || n == wanted || (n == "local" && wanted == network))
            };
            (has("src_addresses", network) && has("dst_addresses", other))
                || (has("src_addresses", other) && has("dst_addresses", network))
        })
    }

    /// The sender's groups must let the connection out and the receiver's let it in; a port without groups lets everything through.
    fn groups_allow(&self, from: &End, to: &End, probe: ProbeSpec) -> bool {
        let passes = |near: &End, far: &End, ingress: bool| {
            let rules = near
                .groups
                .iter()
                .flat_map(|g| self.groups.get(g).into_iter().flatten().map(move |r| (g, r)));
            near.groups.is_empty()
                || rules.into_iter().any(|(group, rule)| group_fits(rule, group, ingress, far, probe))
        };
        passes(from, to, false) && passes(to, from, true)
    }
}

fn name_of(object: &Value) -> String {
    api::fq_name_of(object).join(":")
}

fn target(reference: &Value) -> String {
    list(reference, "to").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(":")
}

fn sequenced(reference: &Value) -> (Vec<i64>, String) {
    let number = |key: &str| reference["attr"]["sequence"][key].as_i64().unwrap_or(0);
    (vec![number("major"), number("minor")], target(reference))
}
