//! The tables, as maps that are searched from end to end.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{
    BridgeEntry, Config, DropReason, Interface, Label, NextHop, Pod, Route, RuleList, Verdict, VerdictKey,
    Vni,
};

use crate::{Datapath, ForwarderError};

/// Everything that is programmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// The configuration record.
    pub config: Config,
    /// Interfaces by ifindex.
    pub interfaces: BTreeMap<u32, Interface>,
    /// Next hops that are not discard; `generation` is zero.
    pub next_hops: BTreeMap<u32, NextHop>,
    /// How often each next hop changed.
    pub next_hop_changes: BTreeMap<u32, u32>,
    /// Routes by VRF and prefix.
    pub routes: BTreeMap<(u16, IpNet), Route>,
    /// Bridge entries by VRF and MAC.
    pub bridge: BTreeMap<(u16, [u8; 6]), BridgeEntry>,
    /// Labels that are allotted.
    pub labels: BTreeMap<u32, Label>,
    /// VXLAN identifiers.
    pub vnis: BTreeMap<u32, Vni>,
    /// Verdicts.
    pub verdicts: BTreeMap<VerdictKey, Verdict>,
    /// Rule lists with at least one entry.
    pub rule_lists: BTreeMap<u32, RuleList>,
    /// How often each VRF was bumped.
    pub bumps: BTreeMap<u16, u32>,
    /// Next hop indices are below this.
    pub next_hop_limit: u32,
    /// Rule list indices are below this.
    pub rule_list_limit: u32,
}

impl Default for Tables {
    fn default() -> Self {
        let limits = weft_dataplane::Limits::default();
        Tables {
            config: Config::zeroed(),
            interfaces: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            next_hop_changes: BTreeMap::new(),
            routes: BTreeMap::new(),
            bridge: BTreeMap::new(),
            labels: BTreeMap::new(),
            vnis: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            rule_lists: BTreeMap::new(),
            bumps: BTreeMap::new(),
            next_hop_limit: limits.next_hops,
            rule_list_limit: limits.rule_lists,
        }
    }
}

impl Tables {
    /// What a forwarder's tables hold now.
    ///
    /// # Errors
    /// A table could not be read.
    pub fn read(datapath: &dyn Datapath) -> Result<Tables, ForwarderError> {
        Ok(Tables {
            config: datapath.config()?.unwrap_or_else(Config::zeroed),
            interfaces: datapath.interfaces()?.into_iter().collect(),
            next_hops: datapath.next_hops()?.into_iter().collect(),
            routes: datapath
                .routes()?
                .into_iter()
                .map(|(vrf, prefix, route)| ((vrf, prefix), route))
                .collect(),
            bridge: datapath.bridge()?.into_iter().map(|(vrf, mac, entry)| ((vrf, mac), entry)).collect(),
            labels: datapath.labels()?.into_iter().collect(),
            vnis: datapath.vnis()?.into_iter().collect(),
            verdicts: datapath.verdicts()?.into_iter().collect(),
            rule_lists: datapath.rule_lists()?.into_iter().collect(),
            ..Tables::default()
        })
    }

    /// Writes a next hop; `None` makes it discard.
    pub fn set_next_hop(&mut self, index: u32, next_hop: Option<NextHop>) {
        let next_hop = next_hop.map(|hop| NextHop { generation: 0, ..hop }).filter(|hop| hop.kind != 0);
        let old = match next_hop {
            Some(new) => self.next_hops.insert(index, new),
            None => self.next_hops.remove(&index),
        };
        if old != next_hop {
            *self.next_hop_changes.entry(index).or_default() += 1;
        }
    }

    /// Makes the flows of a VRF be judged again.
    pub fn bump(&mut self, vrf: u16) {
        *self.bumps.entry(vrf).or_default() += 1;
    }

    /// The most specific route to an address.
    #[must_use]
    pub fn route(&self, vrf: u16, address: IpAddr) -> Option<&Route> {
        let mut best: Option<(u8, &Route)> = None;
        for ((of, prefix), route) in &self.routes {
            let better = best.is_none_or(|(length, _)| prefix.prefix_len() > length);
            if *of == vrf && prefix.contains(&address) && better {
                best = Some((prefix.prefix_len(), route));
            }
        }
        best.map(|(_, route)| route)
    }

    /// The next hop at an index: discard if there is none.
    ///
    /// # Errors
    /// `Internal` beyond the table.
    pub fn next_hop(&self, index: u32) -> Result<NextHop, DropReason> {
        if index >= self.next_hop_limit {
            return Err(DropReason::Internal);
        }
        Ok(self.next_hops.get(&index).copied().unwrap_or_else(NextHop::zeroed))
    }

    /// The most specific verdict that covers a question.
    #[must_use]
    pub fn verdict(&self, near: u32, far: u32, direction: u8, protocol: u8, port: u16) -> Option<&Verdict> {
        let mut best: Option<(u32, &Verdict)> = None;
        for (key, verdict) in &self.verdicts {
            let pair = u32::from_be_bytes(key.near) == near && u32::from_be_bytes(key.far) == far;
            let with_protocol = key.prefix_len >= 80;
            let port_bits = key.prefix_len.saturating_sub(80);
            let same_port = port_bits == 0 || {
                let shift = 16 - port_bits.min(16);
                u32::from(u16::from_be_bytes(key.port)) >> shift == u32::from(port) >> shift
            };
            let covers = pair
                && key.direction == direction
                && (!with_protocol || (key.protocol == protocol && same_port));
            if covers && best.is_none_or(|(length, _)| key.prefix_len > length) {
                best = Some((key.prefix_len, verdict));
            }
        }
        best.map(|(_, verdict)| verdict)
    }

    /// How often the VRFs and the next hop that a flow rests on have changed.
    pub(crate) fn stamp(&self, vrfs: [u16; 2]) -> [u32; 2] {
        vrfs.map(|vrf| self.bumps.get(&vrf).copied().unwrap_or(0))
    }

    pub(crate) fn changes_of(&self, next_hop: u32) -> u32 {
        self.next_hop_changes.get(&next_hop).copied().unwrap_or(0)
    }
}
