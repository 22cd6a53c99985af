//! `weft lab`: labs on this machine.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use weft_client::config::Config;
use weft_lab::file::plan::Plan;
use weft_lab::run::{self, Afterwards};
use weft_lab::state::{self, State};
use weft_lab::{Lab, LabError, Progress};

use crate::cli::{Format, LabCommand};
use crate::output;

/// Exit status after a signal, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;

pub(crate) async fn run(command: LabCommand, format: Format) -> anyhow::Result<ExitCode> {
    match command {
        LabCommand::Test { file, name, keep } => test(&file, name, keep, format).await,
        LabCommand::Up { file, name } => up(&file, name).await,
        LabCommand::Down { name } => {
            weft_lab::down(&name).await?;
            let path = Config::path();
            let mut config = Config::load(&path)?;
            if config.contexts.contains_key(&name) {
                config.remove(&name);
                config.save(&path)?;
            }
            eprintln!("lab {name} removed");
            Ok(ExitCode::SUCCESS)
        }
        LabCommand::Exec { name, place, command } => {
            let (program, arguments) = command.split_first().context("a command is needed")?;
            Err(weft_lab::exec::replace(&State::load(&name)?, &place, program, arguments).into())
        }
        LabCommand::List => list(format),
    }
}

fn load(file: &Path, name: Option<String>) -> Result<Plan, LabError> {
    let mut plan = weft_lab::file::load(file)?;
    if let Some(name) = name {
        plan.name = name;
    }
    Ok(plan)
}

async fn test(file: &Path, name: Option<String>, keep: bool, format: Format) -> anyhow::Result<ExitCode> {
    let plan = load(file, name)?;
    let progress = Progress::lines();
    if let Some(text) = &plan.description {
        progress.note(text.trim());
    }
    let program = std::env::current_exe().context("own program")?;
    let afterwards = if keep { Afterwards::Keep } else { Afterwards::Remove };
    let (report, lab) = match run::test(plan, &program, progress, afterwards).await {
        Err(LabError::Interrupted) => {
            eprintln!("weft: interrupted");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        other => other?,
    };
    match format {
        Format::Json | Format::Yaml => output::value(format, &report)?,
        Format::Table | Format::Wide | Format::Name => output::print(&report.tables(output::colour())),
    }
    if let Some(lab) = lab {
        announce(&lab)?;
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn up(file: &Path, name: Option<String>) -> anyhow::Result<ExitCode> {
    let plan = load(file, name)?;
    let program = std::env::current_exe().context("own program")?;
    let lab = run::up(plan, &program, Progress::lines()).await?;
    announce(&lab)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the lab the current context and says what can be done with it.
fn announce(lab: &Lab) -> anyhow::Result<()> {
    let name = &lab.state.name;
    let path = Config::path();
    let mut config = Config::load(&path)?;
    config.set_current(name, lab.context());
    config.save(&path)?;
    let workload = lab.state.workloads.first().map_or("controller", |w| w.name.as_str());
    eprintln!(
        "lab {name} is up, and the current context. Try:\n  weft status\n  weft get virtual-network\n  weft interfaces\n  \
         weft lab exec {name} {workload} -- ip address\n  weft lab down {name}"
    );
    Ok(())
}

fn list(format: Format) -> anyhow::Result<ExitCode> {
    let mut rows: Vec<Value> = Vec::new();
    for lab in state::list() {
        let run = |process: Option<weft_lab::state::RoleProcess>| process.is_some_and(|p| p.alive());
        let state = |alive: bool| if alive { "up" } else { "down" };
        let controller = state(run(lab.controller.process));
        rows.push(json!({"lab": lab.name, "kind": "controller", "name": "controller", "state": controller,
            "addresses": [lab.controller.address]}));
        for host in &lab.hosts {
            rows.push(
                json!({"lab": lab.name, "kind": "host", "name": host.name, "state": state(run(host.process)),
                "addresses": [host.address]}),
            );
        }
        for workload in &lab.workloads {
            let addresses: Vec<String> = workload
                .address
                .iter()
                .map(ToString::to_string)
                .chain(workload.address6.iter().map(ToString::to_string))
                .collect();
            rows.push(json!({"lab": lab.name, "kind": "workload", "name": workload.name, "state": state(workload.running),
                "addresses": addresses, "host": workload.host, "network": workload.network}));
        }
    }
    let columns = [
        output::column("LAB", &["/lab"]),
        output::column("KIND", &["/kind"]),
        output::column("NAME", &["/name"]),
        output::column("STATE", &["/state"]),
        output::column("ADDRESSES", &["/addresses"]),
        output::column("HOST", &["/host"]),
        output::column("NETWORK", &["/network"]),
    ];
    output::list(format, &columns, &rows)?;
    Ok(ExitCode::SUCCESS)
}
