//! The forwarder's tables as ordered maps.

use std::collections::BTreeMap;

use ipnet::IpNet;
use weft_dataplane::{BridgeEntry, Interface, Label, NextHop, Route, RuleList, Verdict, VerdictKey, Vni};

/// All tables that the agent writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// By ifindex.
    pub interfaces: BTreeMap<u32, Interface>,
    /// By index; 0 is never here.
    pub next_hops: BTreeMap<u32, NextHop>,
    /// By VRF and prefix.
    pub routes: BTreeMap<(u16, IpNet), Route>,
    /// By VRF and MAC.
    pub bridge: BTreeMap<(u16, [u8; 6]), BridgeEntry>,
    /// By label.
    pub labels: BTreeMap<u32, Label>,
    /// By VNI.
    pub vnis: BTreeMap<u32, Vni>,
    /// By key.
    pub verdicts: BTreeMap<VerdictKey, Verdict>,
    /// By index.
    pub rule_lists: BTreeMap<u32, RuleList>,
}

impl Tables {
    /// Entries in all tables.
    pub fn len(&self) -> usize {
        self.interfaces.len()
            + self.next_hops.len()
            + self.routes.len()
            + self.bridge.len()
            + self.labels.len()
            + self.vnis.len()
            + self.verdicts.len()
            + self.rule_lists.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
