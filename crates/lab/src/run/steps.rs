//! The steps, one after the other.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_model::FqName;

use super::matrix::{self, Checked};
use super::millis;
use super::report::{Report, StepReport};
use crate::file::plan::{
    Action, Condition, Expect, Family, Lost, RoleAction, RoleName, RunPlan, StepPlan, TrafficPlan,
};
use crate::probe::stream::Stream;
use crate::{Lab, LabError, exec, workloads};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Longest output of a command that is shown, characters.
const SHOWN_OUTPUT: usize = 300;

/// A stream that runs beside later steps.
struct Running {
    /// Position of its step in the report.
    report: usize,
    name: String,
    until: Option<usize>,
    lost: Lost,
    stream: Stream,
    started: Instant,
}

/// Runs all steps; goes on after one that does not hold.
pub(super) async fn all(lab: &mut Lab) -> Report {
    let mut report = Report { steps: Vec::new(), ok: true };
    let mut streams: Vec<Running> = Vec::new();
    let steps = lab.plan.steps.clone();
    for (index, step) in steps.iter().enumerate() {
        let start = Instant::now();
        let result = one(lab, step, &mut streams, index).await;
        let checked = result.unwrap_or_else(|e| Checked {
            expected: json!("done"),
            observed: json!(e.to_string()),
            ok: false,
            pairs: Vec::new(),
        });
        let done = StepReport {
            name: step.name.clone(),
            kind: step.action.kind(),
            expected: checked.expected,
            observed: checked.observed,
            ok: checked.ok,
            millis: millis(start.elapsed()),
            pairs: checked.pairs,
        };
        show(lab, &done, start);
        report.steps.push(done);
        let (ended, rest): (Vec<_>, Vec<_>) = streams.into_iter().partition(|s| s.until == Some(index));
        streams = rest;
        end_streams(lab, ended, &mut report).await;
    }
    end_streams(lab, streams, &mut report).await;
    report.ok = report.steps.iter().all(|s| s.ok);
    report
}

fn show(lab: &Lab, step: &StepReport, start: Instant) {
    let observed = match &step.observed {
        Value::String(text) => text.clone(),
        other => other["summary"].as_str().unwrap_or_default().to_owned(),
    };
    let line = format!("{}: {}: {observed}", step.kind, step.name);
    if step.ok { lab.progress.done(&line, start) } else { lab.progress.failed(&line, start) }
}

async fn end_streams(lab: &Lab, streams: Vec<Running>, report: &mut Report) {
    for running in streams {
        let Running { report: index, name, lost, stream, started, .. } = running;
        let tally = stream.finish().await;
        let ok = lost.fits(tally.lost()) && tally.sent > 0;
        let Some(step) = report.steps.get_mut(index) else { continue };
        step.observed = json!(tally.to_string());
        step.ok = ok;
        step.millis = millis(started.elapsed());
        let line = format!("traffic: {name}: {tally}");
        if ok { lab.progress.done(&line, started) } else { lab.progress.failed(&line, started) }
    }
}

async fn one(
    lab: &mut Lab,
    step: &StepPlan,
    streams: &mut Vec<Running>,
    index: usize,
) -> Result<Checked, LabError> {
    match &step.action {
        Action::Check(check) => matrix::check(lab, check).await,
        Action::CheckStream { stream, expect, within } => {
            check_stream(streams, stream, *expect, *within).await
        }
        Action::Matrix(plan) => matrix::matrix(lab, plan).await,
        Action::Apply(document) => {
            let applied = workloads::apply(&lab.api, document).await?;
            Ok(done("stored", applied.action.to_string()))
        }
        Action::Delete { kind, fq_name } => {
            let what = format!("{} {}", kind.name(), fq_name.join(":"));
            let uuid =
                lab.api.find(*kind, &FqName(fq_name.clone())).await.map_err(LabError::client(&what))?;
            let uuid = uuid.ok_or_else(|| LabError::role(&what, "does not exist"))?;
            lab.api.delete(*kind, &uuid).await.map_err(LabError::client(&what))?;
            Ok(done("deleted", "deleted"))
        }
        Action::Role(action, role) => act(lab, *action, role).await,
        Action::Run(run) => command(lab, run).await,
        Action::Traffic(traffic) => start_stream(lab, traffic, streams, index).await,
        Action::Sleep(time) => {
            tokio::time::sleep(*time).await;
            Ok(done("waited", "waited"))
        }
        Action::Until(condition, within) => until(lab, condition, *within).await,
    }
}

fn done(expected: &str, observed: impl Into<String>) -> Checked {
    Checked { expected: json!(expected), observed: json!(observed.into()), ok: true, pairs: Vec::new() }
}

async fn check_stream(
    streams: &[Running],
    name: &str,
    expect: Expect,
    within: Duration,
) -> Result<Checked, LabError> {
    let running = streams.iter().find(|s| s.name == name);
    let running = running.ok_or_else(|| LabError::role(&format!("stream {name}"), "has already ended"))?;
    let took = running.stream.becomes(expect, within).await;
    let (yes, no) = match expect {
        Expect::Pass => ("passing", "not passing"),
        Expect::Drop => ("stopped", "not stopped"),
    };
    let limit = format!("{yes} within {} ms", within.as_millis());
    Ok(match took {
        Some(took) => done(&limit, format!("{yes} after {} ms", took.as_millis())),
        None => Checked { ok: false, ..done(&limit, no) },
    })
}

async fn act(lab: &mut Lab, action: RoleAction, role: &RoleName) -> Result<Checked, LabError> {
    let gone = |words: &str| Ok(done(words, words));
    match (role, action) {
        (RoleName::Workload(name), RoleAction::Start) => {
            lab.plug(name).await?;
            lab.addresses(name).await?;
            lab.set_running(name, true)?;
            Ok(done("started", "started, has its addresses"))
        }
        (RoleName::Workload(name), action) => {
            lab.unplug(name, action == RoleAction::Kill).await?;
            gone(if action == RoleAction::Kill { "killed" } else { "stopped" })
        }
        (RoleName::Agent(host), RoleAction::Start) => {
            refuse_running(lab, role)?;
            lab.spawn_agent(host)?;
            lab.agent_answering(host).await?;
            Ok(done("started", "started, answers"))
        }
        (RoleName::Controller, RoleAction::Start) => {
            refuse_running(lab, role)?;
            lab.start_controller().await?;
            Ok(done("started", "started, answers"))
        }
        (RoleName::Store(member), RoleAction::Start) => {
            refuse_running(lab, role)?;
            lab.spawn_member(member)?;
            lab.member_answering(member).await?;
            Ok(done("started", "started, answers"))
        }
        (_, action) => {
            let process =
                process_of(lab, role).ok_or_else(|| LabError::role(&role.to_string(), "does not run"))?;
            if action == RoleAction::Kill {
                process.kill().await
            } else {
                process.stop().await
            }
            gone(if action == RoleAction::Kill { "killed" } else { "stopped" })
        }
    }
}

fn process_of(lab: &Lab, role: &RoleName) -> Option<crate::process::Process> {
    let process = match role {
        RoleName::Agent(host) => lab.state.hosts.iter().find(|h| h.name == *host).and_then(|h| h.process),
        RoleName::Controller => lab.state.controller.process,
        RoleName::Workload(_) => None,
        RoleName::Store(member) => lab.state.member(member).and_then(|m| m.process),
    };
    process.filter(|p| p.alive())
}

fn refuse_running(lab: &Lab, role: &RoleName) -> Result<(), LabError> {
    match process_of(lab, role) {
        Some(_) => Err(LabError::role(&role.to_string(), "runs already")),
        None => Ok(()),
    }
}

async fn command(lab: &Lab, run: &RunPlan) -> Result<Checked, LabError> {
    let arguments = ["-c".to_owned(), run.command.clone()];
    let command = exec::command(&lab.state, &run.place, "/bin/sh", &arguments)?;
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |e: std::io::Error| LabError::role(&run.command, e.to_string());
    let expected = match &run.expect_output {
        Some(text) => format!("exit {}, output with {text:?}", run.expect_exit),
        None => format!("exit {}", run.expect_exit),
    };
    let output = match tokio::time::timeout(run.within, command.output()).await {
        Ok(output) => output.map_err(failed)?,
        Err(_) => {
            let observed = format!("still running after {} s", run.within.as_secs_f64());
            return Ok(Checked { ok: false, ..done(&expected, observed) });
        }
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let exit = output.status.code();
    let found = run.expect_output.as_ref().is_none_or(|wanted| text.contains(wanted));
    let ok = exit == Some(run.expect_exit) && found;
    let exit = exit.map_or_else(|| output.status.to_string(), |code| format!("exit {code}"));
    let observed = match (&run.expect_output, ok) {
        (None, true) => exit,
        (Some(wanted), true) => format!("{exit}, output with {wanted:?}"),
        (_, false) => format!("{exit}, output {:?}", text.chars().take(SHOWN_OUTPUT).collect::<String>()),
    };
    Ok(Checked { ok, ..done(&expected, observed) })
}

async fn start_stream(
    lab: &mut Lab,
    traffic: &TrafficPlan,
    streams: &mut Vec<Running>,
    index: usize,
) -> Result<Checked, LabError> {
    let missing = |name: &str| LabError::role(name, "has no address of that family");
    let from = lab.state.workload(&traffic.from).cloned().ok_or_else(|| missing(&traffic.from))?;
    let to = lab.state.workload(&traffic.to).cloned().ok_or_else(|| missing(&traffic.to))?;
    let address = to.address_of(traffic.family).ok_or_else(|| missing(&traffic.to))?;
    let shot = matrix::prepare(lab, &from, Some(&to), traffic.probe, address, traffic.size)?;
    let stream = Stream::start(shot, traffic.rate);
    let (name, started) = (traffic.stream.clone(), Instant::now());
    streams.push(Running { report: index, name, until: traffic.until, lost: traffic.lost, stream, started });
    let family = if traffic.family == Family::V4 { "v4" } else { "v6" };
    Ok(done(
        &traffic.lost.to_string(),
        format!("running: {} {family}, {} packets/s", traffic.probe, traffic.rate),
    ))
}

async fn until(lab: &Lab, condition: &Condition, within: Duration) -> Result<Checked, LabError> {
    let start = Instant::now();
    loop {
        let waiting_for = unmet(lab, condition).await?;
        let Some(reason) = waiting_for else {
            let observed = format!("{condition} after {} ms", start.elapsed().as_millis());
            return Ok(done(&condition.to_string(), observed));
        };
        if start.elapsed() >= within {
            return Ok(Checked { ok: false, ..done(&condition.to_string(), reason) });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a condition still waits for.
async fn unmet(lab: &Lab, condition: &Condition) -> Result<Option<String>, LabError> {
    let hosts: Vec<&str> = lab.plan.hosts.iter().map(|h| h.name.as_str()).collect();
    match condition {
        Condition::Controller => Ok(controller_unmet(lab).await),
        Condition::Agent(host) => agents_unmet(lab, &[host]).await,
        Condition::Workload(name) => Ok(workload_unmet(lab, name)),
        Condition::Ready => match controller_unmet(lab).await {
            Some(reason) => Ok(Some(reason)),
            None => agents_unmet(lab, &hosts).await,
        },
    }
}

async fn controller_unmet(lab: &Lab) -> Option<String> {
    let answer = lab.api.http().get("/", &[]).await;
    answer.err().map(|_| "the controller does not answer".to_owned())
}

async fn agents_unmet(lab: &Lab, hosts: &[&str]) -> Result<Option<String>, LabError> {
    for host in hosts {
        if !lab.agent_ready(host).await? {
            return Ok(Some(format!("the agent of {host} has no session with the controller")));
        }
    }
    Ok(None)
}

fn workload_unmet(lab: &Lab, name: &str) -> Option<String> {
    let running = lab.state.workload(name).is_some_and(|w| w.running);
    if running { None } else { Some(format!("workload {name} is not running")) }
}
