//! Everything the agent allots a number to. Saved to the state file, so that a restart changes nothing in the tables.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weft_dataplane::Limits;

use super::Tables;
use crate::alloc::{Allocator, Saved};
use crate::policy::IdentitySet;

/// Labels below this are reserved (RFC 3032 section 2.1).
const FIRST_LABEL: u32 = 16;
/// Slots below this are not for workloads.
const FIRST_SLOT: u32 = 8;

/// What a local MPLS label leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LabelKey {
    /// IP packets for an interface.
    L3(Uuid),
    /// Ethernet frames for an interface.
    L2(Uuid),
}

/// What a next hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NextHopKey {
    /// The vRouter itself.
    Receive,
    /// A local interface.
    Interface(Uuid),
    /// MPLS over UDP carrying IP.
    MplsL3(Ipv4Addr, u32),
    /// MPLS over UDP carrying Ethernet.
    MplsL2(Ipv4Addr, u32),
    /// VXLAN.
    Vxlan(Ipv4Addr, u32),
}

/// A source-port rule list by content: (first, last, allow, rule).
pub type RuleListKey = Vec<(u16, u16, bool, Option<Uuid>)>;

/// The allocators.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// VRF ids of routing instances; also the instance-id of subscriptions.
    pub vrfs: Allocator<String>,
    /// MPLS labels.
    pub labels: Allocator<LabelKey>,
    /// Next-hop indices.
    pub next_hops: Allocator<NextHopKey>,
    /// Counter slots of interfaces.
    pub slots: Allocator<Uuid>,
    /// Identities.
    pub identities: Allocator<IdentitySet>,
    /// Rule numbers.
    pub rules: Allocator<Uuid>,
    /// Rule lists.
    pub rule_lists: Allocator<RuleListKey>,
}

/// [`Numbers`] in the state file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields as in Numbers")]
pub struct SavedNumbers {
    pub vrfs: Saved<String>,
    pub labels: Saved<LabelKey>,
    pub next_hops: Saved<NextHopKey>,
    pub slots: Saved<Uuid>,
    pub identities: Saved<IdentitySet>,
    pub rules: Saved<Uuid>,
    pub rule_lists: Saved<RuleListKey>,
}

impl Numbers {
    /// Allocators for tables of these sizes, with the numbers of a previous run.
    pub fn new(limits: &Limits, saved: SavedNumbers) -> Self {
        let mut numbers = Self {
            vrfs: Allocator::new("VRF", 1, limits.vrfs.min(1 << 16)),
            labels: Allocator::new("MPLS label", FIRST_LABEL, limits.labels),
            next_hops: Allocator::new("next hop", 1, limits.next_hops),
            slots: Allocator::new("counter slot", FIRST_SLOT, limits.slots),
            identities: Allocator::new("identity", 1, u32::MAX),
            rules: Allocator::new("rule number", 1, u32::MAX),
            rule_lists: Allocator::new("rule list", 1, limits.rule_lists),
        };
        numbers.vrfs.restore(saved.vrfs.0);
        numbers.labels.restore(saved.labels.0);
        numbers.next_hops.restore(saved.next_hops.0);
        numbers.slots.restore(saved.slots.0);
        numbers.identities.restore(saved.identities.0);
        numbers.rules.restore(saved.rules.0);
        numbers.rule_lists.restore(saved.rule_lists.0);
        numbers
    }

    /// Keep numbers found in the forwarder's tables from being given to something else, until those entries are gone.
    pub fn reserve(&mut self, tables: &Tables) {
        tables.labels.keys().for_each(|n| self.labels.reserve(*n));
        tables.next_hops.keys().for_each(|n| self.next_hops.reserve(*n));
        tables.rule_lists.keys().for_each(|n| self.rule_lists.reserve(*n));
        for interface in tables.interfaces.values() {
            self.vrfs.reserve(interface.vrf.into());
            self.slots.reserve(interface.slot);
            self.identities.reserve(interface.identity);
        }
        for ((vrf, _), route) in &tables.routes {
            self.vrfs.reserve((*vrf).into());
            self.identities.reserve(route.identity);
        }
        for (key, verdict) in &tables.verdicts {
            self.identities.reserve(u32::from_be_bytes(key.near));
            self.identities.reserve(u32::from_be_bytes(key.far));
            self.rules.reserve(verdict.rule);
        }
    }

    /// Begin a round of [`super::DesiredBuilder::build`].
    pub fn begin(&mut self) {
        self.vrfs.begin();
        self.labels.begin();
        self.next_hops.begin();
        self.slots.begin();
        self.identities.begin();
        self.rules.begin();
        self.rule_lists.begin();
    }

    /// Give back what the last round did not use. Returns the counter slots given back.
    pub fn release_unused(&mut self) -> Vec<u32> {
        self.vrfs.release_unused();
        self.labels.release_unused();
        self.next_hops.release_unused();
        self.identities.release_unused();
        self.rules.release_unused();
        self.rule_lists.release_unused();
        self.slots.release_unused()
    }

    /// Whether anything changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        let changed = [
            self.vrfs.take_changed(),
            self.labels.take_changed(),
            self.next_hops.take_changed(),
            self.slots.take_changed(),
            self.identities.take_changed(),
            self.rules.take_changed(),
            self.rule_lists.take_changed(),
        ];
        changed.contains(&true)
    }

    /// The contents for the state file.
    pub fn save(&self) -> SavedNumbers {
        SavedNumbers {
            vrfs: (&self.vrfs).into(),
            labels: (&self.labels).into(),
            next_hops: (&self.next_hops).into(),
            slots: (&self.slots).into(),
            identities: (&self.identities).into(),
            rules: (&self.rules).into(),
            rule_lists: (&self.rule_lists).into(),
        }
    }
}
