//! Steps of a lab file: which action each one is, and whether what it names exists.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_saphyr::Spanned;
use weft_client::{api, documents};

use super::format::{
    Check, Expect, Family, Matrix, ProbeSpec, Proto, Role, RoleKind, RunCommand, Step, Traffic, Wait,
};
use super::plan::{
    Action, CheckPlan, Condition, MatrixPlan, RoleAction, RoleName, RunPlan, StepPlan, Target, TrafficPlan,
};
use super::resolve::{Mistake, Names, known, mistake};

/// How long an expected connection may take to come about.
const PASS_WITHIN: Duration = Duration::from_secs(5);
/// Longest command of a `run` step unless it says otherwise.
const RUN_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for a condition unless the step says otherwise.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Port of streams that name none.
const STREAM_PORT: u16 = 7000;
/// Payload of probes and streams that say nothing, bytes.
const DEFAULT_SIZE: usize = 56;
/// Limits of a payload, bytes: the probe's own header, and what fits in a datagram.
const SIZES: std::ops::RangeInclusive<usize> = 24..=60_000;
/// Fastest stream, packets per second.
const MAX_RATE: u32 = 20_000;

/// What a step may refer to.
struct Scope<'a> {
    names: &'a Names,
    families: &'a dyn Fn(&str) -> BTreeSet<Family>,
    step_names: Vec<Option<String>>,
    streams: Vec<String>,
}

/// Checks all steps.
pub(crate) fn plan(
    steps: &[Spanned<Step>],
    names: &Names,
    families: &dyn Fn(&str) -> BTreeSet<Family>,
) -> Result<Vec<StepPlan>, Mistake> {
    let step_names = steps.iter().map(|s| s.value.name.clone()).collect();
    let mut scope = Scope { names, families, step_names, streams: Vec::new() };
    let mut plans: Vec<StepPlan> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let line = step.referenced.line();
        if let Some(name) = &step.value.name
            && plans.iter().any(|p| p.name == *name)
        {
            return mistake(line, format!("step {name} is there twice"));
        }
        let action = scope.action(&step.value, index, line)?;
        let name = step.value.name.clone().unwrap_or_else(|| title(&action));
        plans.push(StepPlan { name, line, action });
    }
    Ok(plans)
}

/// A name for a step that has none.
fn title(action: &Action) -> String {
    match action {
        Action::Check(c) => format!("{} to {} {}", c.from, c.to, c.probe),
        Action::CheckStream { stream, .. } => format!("stream {stream}"),
        Action::Matrix(m) => m.probes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
        Action::Apply(document) => format!("{} {}", document.kind.name(), document.name()),
        Action::Delete { kind, fq_name } => format!("{} {}", kind.name(), fq_name.join(":")),
        Action::Role(_, role) => role.to_string(),
        Action::Run(run) => run.command.clone(),
        Action::Traffic(t) => t.stream.clone(),
        Action::Sleep(time) => format!("{} s", time.as_secs_f64()),
        Action::Until(condition, _) => condition.to_string(),
    }
}

impl Scope<'_> {
    fn action(&mut self, step: &Step, index: usize, line: u64) -> Result<Action, Mistake> {
        let mut found = Vec::new();
        if let Some(check) = &step.check {
            found.push(self.check(check, line)?);
        }
        if let Some(matrix) = &step.matrix {
            found.push(self.matrix(matrix, line)?);
        }
        if let Some(object) = &step.apply {
            found.push(apply(object, line)?);
        }
        if let Some(delete) = &step.delete {
            let kind = api::object_type(&delete.kind).map_err(|e| Mistake { line, text: e.to_string() })?;
            found.push(Action::Delete { kind, fq_name: delete.fq_name.parts() });
        }
        let roles = [
            (&step.start, RoleAction::Start),
            (&step.stop, RoleAction::Stop),
            (&step.kill, RoleAction::Kill),
        ];
        for (role, action) in roles {
            if let Some(role) = role {
                found.push(Action::Role(action, self.role(role, line)?));
            }
        }
        if let Some(run) = &step.run {
            found.push(self.run(run, line)?);
        }
        if let Some(traffic) = &step.traffic {
            found.push(self.traffic(traffic, index, line)?);
        }
        if let Some(wait) = &step.wait {
            found.push(self.wait(wait, line)?);
        }
        if found.len() != 1 {
            let text = "a step has exactly one of check, matrix, apply, delete, start, stop, kill, run, traffic, wait";
            return mistake(line, text);
        }
        Ok(found.swap_remove(0))
    }

    fn workload(&self, name: &str, line: u64) -> Result<(), Mistake> {
        known("workload", name, &self.names.workloads, line)
    }

    fn check(&self, check: &Check, line: u64) -> Result<Action, Mistake> {
        let default = if check.expect == Expect::Pass { PASS_WITHIN } else { Duration::ZERO };
        let within = seconds(check.within, default, line)?;
        if let Some(stream) = &check.traffic {
            if check.from.is_some() || check.to.is_some() || check.proto.is_some() || check.port.is_some() {
                return mistake(line, "check: a check of a stream has only traffic, expect and within");
            }
            known("stream", stream, &self.streams, line)?;
            return Ok(Action::CheckStream { stream: stream.clone(), expect: check.expect, within });
        }
        let (Some(from), Some(to)) = (&check.from, &check.to) else {
            return mistake(line, "check: from and to are needed");
        };
        self.workload(from, line)?;
        let target = match to.parse::<IpAddr>() {
            Ok(address) => Target::Address(address),
            Err(_) => {
                self.workload(to, line)?;
                Target::Workload(to.clone())
            }
        };
        let probe = probe(check.proto.unwrap_or(Proto::Icmp), check.port, line)?;
        let families = self.check_families(from, &target, check.family, line)?;
        let size = size(check.size, line)?;
        Ok(Action::Check(CheckPlan {
            from: from.clone(),
            to: target,
            probe,
            families,
            size,
            expect: check.expect,
            within,
        }))
    }

    fn check_families(
        &self,
        from: &str,
        to: &Target,
        wanted: Option<Family>,
        line: u64,
    ) -> Result<Vec<Family>, Mistake> {
        let there = match to {
            Target::Workload(name) => (self.families)(name),
            Target::Address(IpAddr::V4(_)) => [Family::V4].into(),
            Target::Address(IpAddr::V6(_)) => [Family::V6].into(),
        };
        let both: Vec<Family> = (self.families)(from).intersection(&there).copied().collect();
        let chosen: Vec<Family> = both.into_iter().filter(|f| wanted.is_none_or(|w| w == *f)).collect();
        if chosen.is_empty() {
            return mistake(line, format!("{from} and {to} have no address family in common"));
        }
        Ok(chosen)
    }

    fn matrix(&self, matrix: &Matrix, line: u64) -> Result<Action, Mistake> {
        let mut probes = matrix.probes.clone();
        if matrix.proto.is_some() || matrix.port.is_some() || probes.is_empty() {
            probes.push(probe(matrix.proto.unwrap_or(Proto::Icmp), matrix.port, line)?);
        }
        for name in &matrix.workloads {
            self.workload(name, line)?;
        }
        for pair in matrix.allow.iter().flatten() {
            self.workload(&pair.from, line)?;
            self.workload(&pair.to, line)?;
            if pair.probe.is_some_and(|p| !probes.contains(&p)) {
                return mistake(
                    line,
                    format!("matrix: {} -> {} names a probe the matrix does not have", pair.from, pair.to),
                );
            }
        }
        let all = || self.names.workloads.clone();
        let families =
            if matrix.families.is_empty() { vec![Family::V4, Family::V6] } else { matrix.families.clone() };
        Ok(Action::Matrix(MatrixPlan {
            probes,
            families,
            workloads: if matrix.workloads.is_empty() { all() } else { matrix.workloads.clone() },
            allow: matrix.allow.clone(),
            within: seconds(matrix.within, PASS_WITHIN, line)?,
        }))
    }

    fn role(&self, role: &Role, line: u64) -> Result<RoleName, Mistake> {
        let surplus = |field: &str| mistake(line, format!("a {:?} has no {field}", role.role).to_lowercase());
        match (role.role, &role.host, &role.name) {
            (RoleKind::Agent, Some(host), None) => {
                known("host", host, &self.names.hosts, line)?;
                Ok(RoleName::Agent(host.clone()))
            }
            (RoleKind::Agent, None, _) => mistake(line, "which agent? host is missing"),
            (RoleKind::Agent, _, Some(_)) => surplus("name, but a host"),
            (RoleKind::Controller, None, None) => Ok(RoleName::Controller),
            (RoleKind::Controller, ..) => surplus("host or name: there is one"),
            (RoleKind::Workload, None, Some(name)) => {
                self.workload(name, line)?;
                Ok(RoleName::Workload(name.clone()))
            }
            (RoleKind::Workload, _, None) => mistake(line, "which workload? name is missing"),
            (RoleKind::Workload, Some(_), _) => surplus("host here, but a name"),
            (RoleKind::Store, None, Some(name)) => {
                if self.names.store.is_empty() {
                    return mistake(line, "the store is in the controller: write controller: {store: etcd}");
                }
                known("store", name, &self.names.store, line)?;
                Ok(RoleName::Store(name.clone()))
            }
            (RoleKind::Store, _, None) => mistake(line, "which member of the store? name is missing"),
            (RoleKind::Store, Some(_), _) => surplus("host, but a name"),
        }
    }

    fn run(&self, run: &RunCommand, line: u64) -> Result<Action, Mistake> {
        let place = match (&run.host, &run.workload) {
            (Some(host), None) => {
                known("host", host, &self.names.hosts, line)?;
                host.clone()
            }
            (None, Some(workload)) => {
                self.workload(workload, line)?;
                workload.clone()
            }
            (None, None) => "controller".to_owned(),
            _ => return mistake(line, "run: host or workload, not both"),
        };
        Ok(Action::Run(RunPlan {
            place,
            command: run.command.clone(),
            expect_exit: run.expect_exit.unwrap_or(0),
            expect_output: run.expect_output.clone(),
            within: seconds(run.within, RUN_WITHIN, line)?,
        }))
    }

    fn traffic(&mut self, traffic: &Traffic, index: usize, line: u64) -> Result<Action, Mistake> {
        self.workload(&traffic.from, line)?;
        self.workload(&traffic.to, line)?;
        if self.streams.contains(&traffic.name) {
            return mistake(line, format!("stream {} is there twice", traffic.name));
        }
        if traffic.rate == 0 || traffic.rate > MAX_RATE {
            return mistake(
                line,
                format!("traffic: rate {} is not within 1 to {MAX_RATE} packets per second", traffic.rate),
            );
        }
        let proto = traffic.proto.unwrap_or(Proto::Udp);
        let port = if proto == Proto::Icmp { traffic.port } else { traffic.port.or(Some(STREAM_PORT)) };
        let to = Target::Workload(traffic.to.clone());
        let family = self.check_families(&traffic.from, &to, traffic.family, line)?[0];
        let until = match &traffic.until {
            None => None,
            Some(name) => match self.step_names.iter().position(|n| n.as_ref() == Some(name)) {
                Some(found) if found > index => Some(found),
                Some(_) => return mistake(line, format!("traffic: step {name} comes before the stream")),
                None => return mistake(line, format!("traffic: until names no step: {name}")),
            },
        };
        self.streams.push(traffic.name.clone());
        Ok(Action::Traffic(TrafficPlan {
            stream: traffic.name.clone(),
            from: traffic.from.clone(),
            to: traffic.to.clone(),
            probe: probe(proto, port, line)?,
            family,
            size: size(traffic.size, line)?,
            rate: traffic.rate,
            until,
            lost: traffic.lost,
        }))
    }

    fn wait(&self, wait: &Wait, line: u64) -> Result<Action, Mistake> {
        let (text, within) = match wait {
            Wait::Seconds(time) => return Ok(Action::Sleep(seconds(Some(*time), Duration::ZERO, line)?)),
            Wait::Condition(text) => (text, READY_WITHIN),
            Wait::Within(limit) => (&limit.condition, seconds(Some(limit.within), READY_WITHIN, line)?),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let condition = match words.as_slice() {
            ["ready"] => Condition::Ready,
            ["controller"] => Condition::Controller,
            ["agent", host] => {
                known("host", host, &self.names.hosts, line)?;
                Condition::Agent((*host).to_owned())
            }
            ["workload", name] => {
                self.workload(name, line)?;
                Condition::Workload((*name).to_owned())
            }
            _ => {
                let text =
                    format!("wait: {text} is no condition: ready, controller, agent HOST or workload NAME");
                return mistake(line, text);
            }
        };
        Ok(Action::Until(condition, within))
    }
}

fn apply(object: &super::format::Verbatim, line: u64) -> Result<Action, Mistake> {
    let mut found = documents::from_map(object.clone()).map_err(|e| Mistake { line, text: e.to_string() })?;
    match (found.pop(), found.is_empty()) {
        (Some(document), true) => Ok(Action::Apply(Box::new(document))),
        _ => mistake(line, "apply: exactly one object is needed"),
    }
}

fn probe(proto: Proto, port: Option<u16>, line: u64) -> Result<ProbeSpec, Mistake> {
    match (proto, port) {
        (Proto::Icmp, None) => Ok(ProbeSpec { proto, port: 0 }),
        (Proto::Icmp, Some(_)) => mistake(line, "port: icmp has none"),
        (_, Some(port @ 1..)) => Ok(ProbeSpec { proto, port }),
        _ => mistake(line, "port: 1 to 65535 is needed for tcp and udp"),
    }
}

fn size(size: Option<usize>, line: u64) -> Result<usize, Mistake> {
    let size = size.unwrap_or(DEFAULT_SIZE);
    if SIZES.contains(&size) {
        return Ok(size);
    }
    mistake(line, format!("size: {size} is not within {} to {} bytes", SIZES.start(), SIZES.end()))
}

fn seconds(time: Option<f64>, default: Duration, line: u64) -> Result<Duration, Mistake> {
    match time {
        None => Ok(default),
        Some(time) if (0.0..=3600.0).contains(&time) => Ok(Duration::from_secs_f64(time)),
        Some(time) => mistake(line, format!("{time} seconds: 0 to 3600 are allowed")),
    }
}
