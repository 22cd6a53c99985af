//! Carrying a plan out, and comparing what the forwarder really holds with what it should.

use std::collections::BTreeSet;

use serde::Serialize;
use weft_dataplane::tables::INTERFACE_WORKLOAD;
use weft_forwarder::{Datapath, FlowFilter, ForwarderError};

use super::plan::{Plan, Summary, Surplus};
use crate::desired::Tables;

/// Errors shown at most in one report.
const MAX_ERRORS: usize = 20;

/// What reconciling has done since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Entries written.
    pub written: u64,
    /// Entries deleted.
    pub deleted: u64,
    /// Operations that failed; the auditor tries them again.
    pub failed: u64,
    /// Audits done.
    pub audits: u64,
    /// Differences that audits found and repaired.
    pub repaired: u64,
}

/// What the last audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Entries compared.
    pub entries: usize,
    /// Differences by table: (missing or different, surplus).
    pub differences: Summary,
    /// Differences in words, the first few.
    pub examples: Vec<String>,
    /// What could not be repaired.
    pub errors: Vec<String>,
}

/// Reads everything the forwarder holds.
///
/// # Errors
/// The first table that cannot be read.
pub fn read_tables(datapath: &dyn Datapath) -> Result<Tables, ForwarderError> {
    Ok(Tables {
        interfaces: datapath.interfaces()?.into_iter().collect(),
        next_hops: datapath.next_hops()?.into_iter().collect(),
        routes: datapath.routes()?.into_iter().map(|(vrf, net, r)| ((vrf, net), r)).collect(),
        bridge: datapath.bridge()?.into_iter().map(|(vrf, mac, e)| ((vrf, mac), e)).collect(),
        labels: datapath.labels()?.into_iter().collect(),
        vnis: datapath.vnis()?.into_iter().collect(),
        verdicts: datapath.verdicts()?.into_iter().collect(),
        rule_lists: datapath.rule_lists()?.into_iter().collect(),
    })
}

/// Keeps the forwarder's tables as they should be.
#[derive(Debug, Default)]
pub struct Reconciler {
    /// What the forwarder holds, as far as we know.
    shadow: Tables,
    /// What was last desired, while not everything surplus is deleted.
    previous: Tables,
    /// Counts.
    pub totals: Totals,
    /// The last audit.
    pub last_audit: AuditReport,
}

impl Reconciler {
    /// Start from what the forwarder holds.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn adopt(datapath: &dyn Datapath) -> Result<Self, ForwarderError> {
        Ok(Self { shadow: read_tables(datapath)?, ..Self::default() })
    }

    /// What the forwarder holds, as far as we know.
    pub fn shadow(&self) -> &Tables {
        &self.shadow
    }

    /// Bring the tables to `desired`; with `delete` also remove all that is surplus, else only
    /// what was desired before. Returns what failed.
    pub fn reconcile(&mut self, datapath: &dyn Datapath, desired: &Tables, delete: bool) -> Vec<String> {
        let surplus = if delete { Surplus::All } else { Surplus::Known(&self.previous) };
        let plan = Plan::between(&self.shadow, desired, surplus);
        self.previous = if delete { Tables::default() } else { desired.clone() };
        if plan.is_empty() {
            return Vec::new();
        }
        self.execute(datapath, &plan)
    }

    /// Compare the forwarder's real tables with `desired` and repair.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn audit(
        &mut self,
        datapath: &dyn Datapath,
        desired: &Tables,
        delete: bool,
    ) -> Result<(), ForwarderError> {
        let actual = read_tables(datapath)?;
        let surplus = if delete { Surplus::All } else { Surplus::Known(&self.previous) };
        let plan = Plan::between(&actual, desired, surplus);
        let entries = actual.len();
        self.shadow = actual;
        self.totals.audits += 1;
        self.totals.repaired += plan.len() as u64;
        let mut report = AuditReport {
            entries,
            differences: plan.summary(),
            examples: examples(&plan),
            errors: Vec::new(),
        };
        if !plan.is_empty() {
            report.errors = self.execute(datapath, &plan);
        }
        // Programs: every workload interface that should be served has one.
        self.audit_programs(datapath, desired, &mut report)?;
        self.last_audit = report;
        Ok(())
    }

    /// Stop serving `ifindex` at once.
    pub fn remove_interface(&mut self, datapath: &dyn Datapath, ifindex: u32) {
        let mut run =
            Run { datapath, shadow: &mut self.shadow, totals: &mut self.totals, errors: Vec::new() };
        run.delete_interface(ifindex);
    }

    fn audit_programs(
        &mut self,
        datapath: &dyn Datapath,
        desired: &Tables,
        report: &mut AuditReport,
    ) -> Result<(), ForwarderError> {
        let attached: BTreeSet<u32> = datapath.attached_workloads()?.into_iter().collect();
        let workloads = desired.interfaces.iter().filter(|(_, e)| e.kind == INTERFACE_WORKLOAD);
        for (ifindex, _) in workloads.filter(|(i, _)| !attached.contains(i)) {
            self.totals.repaired += 1;
            report.examples.push(format!("interface {ifindex}: the program was not attached"));
            if let Err(error) = datapath.attach_workload(*ifindex) {
                self.totals.failed += 1;
                report.errors.push(error.to_string());
            }
        }
        Ok(())
    }

    fn execute(&mut self, datapath: &dyn Datapath, plan: &Plan) -> Vec<String> {
        let mut run =
            Run { datapath, shadow: &mut self.shadow, totals: &mut self.totals, errors: Vec::new() };
        run.puts(plan);
        run.deletes(plan);
        for vrf in &plan.bump {
            let result = datapath.bump_vrf(*vrf);
            run.check(result);
        }
        run.last_deletes(plan);
        let mut errors = run.errors;
        errors.truncate(MAX_ERRORS);
        errors
    }
}

struct Run<'a> {
    datapath: &'a dyn Datapath,
    shadow: &'a mut Tables,
    totals: &'a mut Totals,
    errors: Vec<String>,
}

impl Run<'_> {
    fn check(&mut self, result: Result<(), ForwarderError>) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                self.totals.failed += 1;
                self.errors.push(error.to_string());
                false
            }
        }
    }

    fn written(&mut self, result: Result<(), ForwarderError>) -> bool {
        let ok = self.check(result);
        self.totals.written += u64::from(ok);
        ok
    }

    fn deleted(&mut self, result: Result<(), ForwarderError>) -> bool {
        let ok = self.check(result);
        self.totals.deleted += u64::from(ok);
        ok
    }

    fn puts(&mut self, plan: &Plan) {
        let d = self.datapath;
        for (index, list) in &plan.rule_lists.put {
            if self.written(d.put_rule_list(*index, list)) {
                self.shadow.rule_lists.insert(*index, *list);
            }
        }
        for (key, verdict) in &plan.verdicts.put {
            if self.written(d.put_verdict(key, verdict)) {
                self.shadow.verdicts.insert(*key, *verdict);
            }
        }
        for (index, hop) in &plan.next_hops.put {
            if self.written(d.put_next_hop(*index, hop)) {
                self.shadow.next_hops.insert(*index, *hop);
            }
        }
        self.put_interfaces(plan);
        for (label, value) in &plan.labels.put {
            if self.written(d.put_label(*label, value)) {
                self.shadow.labels.insert(*label, *value);
            }
        }
        for (vni, value) in &plan.vnis.put {
            if self.written(d.put_vni(*vni, value)) {
                self.shadow.vnis.insert(*vni, *value);
            }
        }
        for ((vrf, mac), entry) in &plan.bridge.put {
            if self.written(d.put_bridge(*vrf, *mac, entry)) {
                self.shadow.bridge.insert((*vrf, *mac), *entry);
            }
        }
        for ((vrf, prefix), route) in &plan.routes.put {
            if self.written(d.put_route(*vrf, *prefix, route)) {
                self.shadow.routes.insert((*vrf, *prefix), *route);
            }
        }
    }

    /// The program goes on after the entry is there, so that no packet meets an unknown interface.
    fn put_interfaces(&mut self, plan: &Plan) {
        for (ifindex, entry) in &plan.interfaces.put {
            let new = !self.shadow.interfaces.contains_key(ifindex);
            if !self.written(self.datapath.put_interface(*ifindex, entry)) {
                continue;
            }
            let attached = if entry.kind == INTERFACE_WORKLOAD && new {
                self.check(self.datapath.attach_workload(*ifindex))
            } else {
                true
            };
            if attached {
                self.shadow.interfaces.insert(*ifindex, *entry);
            }
        }
    }

    fn deletes(&mut self, plan: &Plan) {
        let d = self.datapath;
        for (vrf, prefix) in &plan.routes.delete {
            if self.deleted(d.delete_route(*vrf, *prefix)) {
                self.shadow.routes.remove(&(*vrf, *prefix));
            }
        }
        for (vrf, mac) in &plan.bridge.delete {
            if self.deleted(d.delete_bridge(*vrf, *mac)) {
                self.shadow.bridge.remove(&(*vrf, *mac));
            }
        }
        for label in &plan.labels.delete {
            if self.deleted(d.delete_label(*label)) {
                self.shadow.labels.remove(label);
            }
        }
        for vni in &plan.vnis.delete {
            if self.deleted(d.delete_vni(*vni)) {
                self.shadow.vnis.remove(vni);
            }
        }
        for ifindex in &plan.interfaces.delete {
            self.delete_interface(*ifindex);
        }
        for key in &plan.verdicts.delete {
            if self.deleted(d.delete_verdict(key)) {
                self.shadow.verdicts.remove(key);
            }
        }
    }

    fn delete_interface(&mut self, ifindex: u32) {
        let d = self.datapath;
        let Some(entry) = self.shadow.interfaces.get(&ifindex).copied() else { return };
        if entry.kind == INTERFACE_WORKLOAD {
            self.check(d.detach_workload(ifindex));
        }
        if self.deleted(d.delete_interface(ifindex)) {
            self.shadow.interfaces.remove(&ifindex);
            let filter = FlowFilter { ifindex: Some(ifindex), ..FlowFilter::default() };
            let flushed = d.flush_flows(filter).map(|_| ());
            self.check(flushed);
        }
    }

    fn last_deletes(&mut self, plan: &Plan) {
        let d = self.datapath;
        for index in &plan.next_hops.delete {
            if self.deleted(d.delete_next_hop(*index)) {
                self.shadow.next_hops.remove(index);
            }
        }
        for index in &plan.rule_lists.delete {
            if self.deleted(d.delete_rule_list(*index)) {
                self.shadow.rule_lists.remove(index);
            }
        }
    }
}

/// The first differences of each table, in words.
fn examples(plan: &Plan) -> Vec<String> {
    const EACH: usize = 3;
    let mut out = Vec::new();
    let mut add = |table: &str, put: Vec<String>, delete: Vec<String>| {
        out.extend(put.iter().map(|key| format!("{table} {key}: missing or different")));
        out.extend(delete.iter().map(|key| format!("{table} {key}: should not be there")));
    };
    macro_rules! table {
        ($name:literal, $changes:expr, $show:expr) => {
            add(
                $name,
                $changes.put.iter().take(EACH).map(|(k, _)| $show(k)).collect(),
                $changes.delete.iter().take(EACH).map(|k| $show(k)).collect(),
            )
        };
    }
    table!("interface", plan.interfaces, |k: &u32| k.to_string());
    table!("next hop", plan.next_hops, |k: &u32| k.to_string());
    table!("route", plan.routes, |(vrf, net): &(u16, ipnet::IpNet)| format!("{net} in VRF {vrf}"));
    table!("bridge entry", plan.bridge, |(vrf, mac): &(u16, [u8; 6])| format!(
        "{} in VRF {vrf}",
        weft_model::MacAddress(*mac)
    ));
    table!("label", plan.labels, |k: &u32| k.to_string());
    table!("VNI", plan.vnis, |k: &u32| k.to_string());
    table!("verdict", plan.verdicts, |k: &weft_dataplane::VerdictKey| format!(
        "{} to {}",
        u32::from_be_bytes(k.near),
        u32::from_be_bytes(k.far)
    ));
    table!("rule list", plan.rule_lists, |k: &u32| k.to_string());
    out
}
