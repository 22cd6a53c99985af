//! One round: from the inputs to the desired picture.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::Serialize;
use uuid::Uuid;
use weft_dataplane::Interface as InterfaceEntry;
use weft_dataplane::tables::{INTERFACE_FABRIC, INTERFACE_PKT0};
use weft_xmpp::items::RouteItem;

use super::interfaces::Active;
use super::numbers::{NextHopKey, Numbers};
use super::policy::PolicyCache;
use super::routes::BaseRoute;
use super::{FABRIC_SLOT, LocalPort, PKT0_SLOT, Tables, Underlay};
use crate::config::View;
use crate::learned::LearnedRoutes;
use crate::policy::{Gates, IdentitySet};
use crate::services::PortServices;
use crate::services::view::GATEWAY_MAC;

/// What numbers in tables, flows and events stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Names {
    /// Routing instances by VRF.
    pub vrfs: BTreeMap<u16, String>,
    /// Rules by number.
    pub rules: BTreeMap<u32, Uuid>,
    /// Identities by number.
    pub identities: BTreeMap<u32, IdentitySet>,
    /// Interfaces by counter slot.
    pub slots: BTreeMap<u32, Uuid>,
}

/// The result of one round.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// What the forwarder should hold.
    pub tables: Tables,
    /// Routing instances to subscribe to, with the instance id.
    pub subscriptions: BTreeMap<String, u16>,
    /// Routes to publish, by routing instance and node string.
    pub published: BTreeMap<(String, String), RouteItem>,
    /// What the services answer, by ifindex.
    pub services: BTreeMap<u32, PortServices>,
    /// Other hosts that tunnels lead to.
    pub remotes: BTreeSet<Ipv4Addr>,
    /// What numbers stand for.
    pub names: Names,
    /// What could not be done, in words.
    pub problems: Vec<String>,
}

/// Computes [`Desired`]. Keeps the compiled policy between rounds.
#[derive(Debug, Default)]
pub struct DesiredBuilder {
    pub(super) cache: PolicyCache,
}

impl DesiredBuilder {
    /// One round. Numbers are taken from `numbers`, whose round begins here.
    pub fn build(
        &mut self,
        view: &View,
        ports: &[LocalPort],
        learned: &LearnedRoutes,
        underlay: &Underlay,
        numbers: &mut Numbers,
    ) -> Desired {
        numbers.begin();
        let mut round =
            Round { view, learned, underlay, numbers, out: Desired::default(), vrfs: BTreeMap::new() };
        round.out.problems.clone_from(&view.problems);
        round.infrastructure();
        let active = round.interfaces(ports);
        for one in &active {
            round.publish(one);
            round.services_of(one);
        }
        round.learned_routes();
        round.finish_vrfs();
        self.cache.refresh(view);
        round.policy(&mut self.cache);
        round.names();
        round.out
    }
}

/// A VRF while it is being put together.
#[derive(Default)]
pub(super) struct VrfDraft {
    /// Routes before identities are given.
    pub routes: BTreeMap<IpNet, BaseRoute>,
    /// Prefixes that the rules of its interfaces mention.
    pub mentioned: BTreeSet<IpNet>,
    /// Subnets of the networks on it.
    pub subnets: BTreeSet<IpNet>,
    /// Near identities with their gates.
    pub near: BTreeMap<u32, (IdentitySet, Gates)>,
    /// Far identities.
    pub far: BTreeMap<u32, IdentitySet>,
    /// No MACs are told to workloads: everything is routed.
    pub l3_only: bool,
}

/// The state of one round.
pub(super) struct Round<'a> {
    pub view: &'a View,
    pub learned: &'a LearnedRoutes,
    pub underlay: &'a Underlay,
    pub numbers: &'a mut Numbers,
    pub out: Desired,
    /// By VRF id.
    pub vrfs: BTreeMap<u16, VrfDraft>,
}

impl Round<'_> {
    /// Note that something could not be done.
    pub(super) fn problem(&mut self, what: impl std::fmt::Display) {
        self.out.problems.push(what.to_string());
    }

    /// A number, or `None` and a problem when there is none left.
    pub(super) fn take<T, E: std::fmt::Display>(&mut self, number: Result<T, E>) -> Option<T> {
        number.map_err(|e| self.problem(e)).ok()
    }

    pub(super) fn next_hop_index(&mut self, key: NextHopKey) -> Option<u32> {
        let number = self.numbers.next_hops.get(&key);
        self.take(number)
    }

    pub(super) fn identity(&mut self, set: &IdentitySet) -> u32 {
        let number = self.numbers.identities.get(set);
        self.take(number).unwrap_or(weft_dataplane::identity::UNKNOWN)
    }

    /// The interfaces that are not workloads.
    fn infrastructure(&mut self) {
        let entry = |kind, slot, mac| InterfaceEntry {
            kind,
            reserved: 0,
            vrf: 0,
            flags: 0,
            identity: 0,
            slot,
            mac,
            gateway_mac: GATEWAY_MAC,
            reserved2: 0,
        };
        let u = self.underlay;
        let table = &mut self.out.tables.interfaces;
        if u.fabric_ifindex != 0 {
            table.insert(u.fabric_ifindex, entry(INTERFACE_FABRIC, FABRIC_SLOT, u.fabric_mac));
        }
        if u.pkt0_ifindex != 0 {
            table.insert(u.pkt0_ifindex, entry(INTERFACE_PKT0, PKT0_SLOT, GATEWAY_MAC));
        }
    }

    fn interfaces(&mut self, ports: &[LocalPort]) -> Vec<Active> {
        ports.iter().filter_map(|port| self.interface(port)).collect()
    }

    fn names(&mut self) {
        let names = &mut self.out.names;
        names.vrfs = self.out.subscriptions.iter().map(|(ri, id)| (*id, ri.clone())).collect();
        names.rules = self.numbers.rules.entries().map(|(uuid, n)| (n, *uuid)).collect();
        names.identities = self.numbers.identities.entries().map(|(set, n)| (n, set.clone())).collect();
        names.slots = self.numbers.slots.entries().map(|(uuid, n)| (n, *uuid)).collect();
    }
}
