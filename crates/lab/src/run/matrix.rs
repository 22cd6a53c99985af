//! Checks: one pair, or all pairs side by side.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};

use super::drops::{Refused, explain};
use super::expect::Oracle;
use super::millis;
use super::report::{PairReport, family_name};
use crate::file::plan::{Allowed, CheckPlan, Expect, Family, MatrixPlan, ProbeSpec, Target};
use crate::probe::shot::{Outcome, Shot};
use crate::state::WorkloadState;
use crate::{Lab, LabError, Netns};

/// Attempts under way at a time.
const CONCURRENCY: usize = 128;
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// Payload of a matrix's probes, bytes.
const MATRIX_SIZE: usize = 56;
/// How long forwarders may take until their account of drops is complete.
const EVENTS_SETTLE: Duration = Duration::from_millis(100);

/// The outcome of a check: expectation and observation for the report, and the pairs behind them.
pub(super) struct Checked {
    pub(super) expected: Value,
    pub(super) observed: Value,
    pub(super) ok: bool,
    pub(super) pairs: Vec<PairReport>,
}

/// One probe to make.
struct Pair {
    from: WorkloadState,
    to: Option<WorkloadState>,
    shot: Shot,
    family: Family,
    expect: Expect,
    within: Duration,
}

/// One check, over each of its families.
pub(super) async fn check(lab: &mut Lab, check: &CheckPlan) -> Result<Checked, LabError> {
    let mut pairs = Vec::new();
    for family in &check.families {
        let address = match &check.to {
            Target::Address(address) => Some(*address),
            Target::Workload(name) => lab.state.workload(name).and_then(|w| w.address_of(*family)),
        };
        let missing =
            || LabError::role(&check.to.to_string(), format!("has no {} address", family_name(*family)));
        let address = address.ok_or_else(missing)?;
        let to = match &check.to {
            Target::Workload(name) => lab.state.workload(name).cloned(),
            Target::Address(_) => None,
        };
        let from = lab
            .state
            .workload(&check.from)
            .cloned()
            .ok_or_else(|| LabError::role(&check.from, "no such workload"))?;
        let shot = prepare(lab, &from, to.as_ref(), check.probe, address, check.size)?;
        let shot = if check.expect == Expect::Pass { shot.hurry(check.within) } else { shot };
        pairs.push(Pair { from, to, shot, family: *family, expect: check.expect, within: check.within });
    }
    let pairs = fire(lab, pairs).await?;
    let observed = pairs.iter().map(words).collect::<Vec<_>>();
    let all_same = observed.iter().all(|o| o == &observed[0]);
    let observed = if all_same { observed[0].clone() } else { join(&pairs, &observed) };
    Ok(Checked {
        expected: json!(expect_name(check.expect)),
        observed: json!(observed),
        ok: pairs.iter().all(|p| p.ok),
        pairs: Vec::new(),
    })
}

fn words(pair: &PairReport) -> String {
    match &pair.dropped {
        Some(place) => format!("{}; {place}", pair.observed),
        None => pair.observed.clone(),
    }
}

fn join(pairs: &[PairReport], observed: &[String]) -> String {
    pairs.iter().zip(observed).map(|(p, o)| format!("{}: {o}", p.family)).collect::<Vec<_>>().join(", ")
}

/// All pairs of a matrix.
pub(super) async fn matrix(lab: &mut Lab, plan: &MatrixPlan) -> Result<Checked, LabError> {
    let oracle = match plan.allow {
        Some(_) => Oracle::default(),
        None => Oracle::load(&lab.api).await.map_err(LabError::client("expectations"))?,
    };
    let mut pairs = Vec::new();
    for probe in &plan.probes {
        for family in &plan.families {
            for (from, to) in combinations(lab, plan) {
                let Some(expect) = expectation(plan, &oracle, &from, &to, *probe, *family) else { continue };
                let Some(address) = to.address_of(*family) else { continue };
                let shot = prepare(lab, &from, Some(&to), *probe, address, MATRIX_SIZE)?;
                let within = if expect == Expect::Pass { plan.within } else { Duration::ZERO };
                pairs.push(Pair { from, to: Some(to), shot, family: *family, expect, within });
            }
        }
    }
    let pairs = fire(lab, pairs).await?;
    let count = |wanted: bool| pairs.iter().filter(|p| p.expected.starts_with("pass") == wanted).count();
    let wrong: Vec<&PairReport> = pairs.iter().filter(|p| !p.ok).collect();
    let passed = pairs.iter().filter(|p| p.observed.starts_with("pass")).count();
    let observed = format!("{passed} pass, {} drop", pairs.len() - passed);
    let observed =
        if wrong.is_empty() { observed } else { format!("{observed}, {} not as expected", wrong.len()) };
    Ok(Checked {
        expected: json!({"summary": format!("{} pass, {} drop", count(true), count(false))}),
        observed: json!({"summary": observed, "pairs": pairs}),
        ok: wrong.is_empty() && !pairs.is_empty(),
        pairs,
    })
}

fn combinations(lab: &Lab, plan: &MatrixPlan) -> Vec<(WorkloadState, WorkloadState)> {
    let part = |w: &&WorkloadState| plan.workloads.contains(&w.name) && w.running;
    let workloads: Vec<&WorkloadState> = lab.state.workloads.iter().filter(part).collect();
    let all = workloads.iter().flat_map(|from| workloads.iter().map(move |to| (*from, *to)));
    all.filter(|(from, to)| from.name != to.name).map(|(from, to)| (from.clone(), to.clone())).collect()
}

fn expectation(
    plan: &MatrixPlan,
    oracle: &Oracle,
    from: &WorkloadState,
    to: &WorkloadState,
    probe: ProbeSpec,
    family: Family,
) -> Option<Expect> {
    from.address_of(family)?;
    let allowed = match &plan.allow {
        Some(list) => list.iter().any(|a| names(a, from, to) && a.probe.is_none_or(|p| p == probe)),
        None => oracle.allows(from, to, probe, family)?,
    };
    Some(if allowed { Expect::Pass } else { Expect::Drop })
}

fn names(allowed: &Allowed, from: &WorkloadState, to: &WorkloadState) -> bool {
    (allowed.from == from.name && allowed.to == to.name)
        || (allowed.both && allowed.from == to.name && allowed.to == from.name)
}

/// Opens both ends and returns the attempt.
pub(super) fn prepare(
    lab: &mut Lab,
    from: &WorkloadState,
    to: Option<&WorkloadState>,
    probe: ProbeSpec,
    address: std::net::IpAddr,
    size: usize,
) -> Result<Shot, LabError> {
    if let Some(to) = to {
        lab.stations.serve(&to.name, &Netns::new(&to.namespace), probe)?;
    }
    let ledger = lab.stations.ledger.clone();
    let station = lab.stations.station(&from.name, &Netns::new(&from.namespace))?;
    Ok(Shot::from(station, ledger, address, probe, size))
}

/// Makes all attempts side by side, then asks the forwarders about those refused.
async fn fire(lab: &Lab, pairs: Vec<Pair>) -> Result<Vec<PairReport>, LabError> {
    let begin = uptime_millis();
    let attempts = futures::stream::iter(pairs.into_iter().map(|pair| async {
        let outcome = attempt(&pair).await;
        outcome.map(|o| (pair, o))
    }));
    let results: Vec<_> = attempts.buffered(CONCURRENCY).collect().await;
    let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    let refused = results.iter().any(|(p, o)| !o.passed(p.target()));
    let events = if refused {
        tokio::time::sleep(EVENTS_SETTLE).await;
        let mut events = lab.drop_events().await;
        events.retain(|e| e.time_millis >= begin);
        events
    } else {
        Vec::new()
    };
    let report = |(pair, outcome): (Pair, Outcome)| {
        let passed = outcome.passed(pair.target());
        let refused =
            Refused { from: &pair.from, to: pair.to.as_ref(), address: pair.shot.to, probe: pair.shot.probe };
        PairReport {
            from: pair.from.name.clone(),
            to: pair.to.as_ref().map_or_else(|| pair.shot.to.to_string(), |w| w.name.clone()),
            probe: pair.shot.probe.to_string(),
            family: family_name(pair.family),
            address: pair.shot.to.to_string(),
            expected: expect_name(pair.expect),
            observed: outcome.describe(pair.target()),
            dropped: if passed || outcome.answered { None } else { explain(&lab.state, &events, &refused) },
            ok: pair.holds(&outcome),
        }
    };
    Ok(results.into_iter().map(report).collect())
}

/// Milliseconds since the system started, the clock of drop events; 0 if it cannot be read.
fn uptime_millis() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    millis(Duration::from_secs_f64(seconds.max(0.0)))
}

impl Pair {
    fn target(&self) -> Option<&str> {
        self.to.as_ref().map(|w| w.name.as_str())
    }

    /// Expected to pass: answered by the right one. Expected to be dropped: the target did not even see it.
    fn holds(&self, outcome: &Outcome) -> bool {
        match self.expect {
            Expect::Pass => outcome.passed(self.target()),
            Expect::Drop => !outcome.leaked(self.target()),
        }
    }
}

/// Tries until it is as expected or the time is over; the last outcome counts.
async fn attempt(pair: &Pair) -> Result<Outcome, LabError> {
    let start = Instant::now();
    loop {
        let outcome = pair.shot.fire().await?;
        if pair.holds(&outcome) || start.elapsed() >= pair.within {
            return Ok(outcome);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn expect_name(expect: Expect) -> &'static str {
    match expect {
        Expect::Pass => "pass",
        Expect::Drop => "drop",
    }
}
