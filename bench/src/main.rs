//! `weft-bench`: what a packet costs with Weft, beside the same traffic over a bare veth pair, the kernel's
//! bridge and VXLAN (without and with nftables connection tracking) and Open vSwitch in user space.
//!
//! All candidates are up at the same time and measured in turn, round after round, and each figure is the
//! median of its rounds: the machines this runs on are shared, so only figures of one run may be compared.
//! Everything lives in network namespaces that are removed at the end.

mod config;
mod load;
mod measure;
mod netns;
mod report;
mod sys;
mod topology;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measure Weft beside the kernel's bridge, nftables and Open vSwitch.
#[derive(Parser)]
#[command(name = "weft-bench", version)]
struct Cli {
    /// Rounds: each figure is the median over them.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds that one measurement lasts.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Candidates to measure, comma-separated [default: all].
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also measure nftables with this many rules in a row before the one that matches.
    #[arg(long)]
    rules: Option<usize>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// One end of a measurement; started by the benchmark itself inside a namespace.
    #[command(hide = true)]
    Load(load::Load),
    /// Measure the configuration service beside raw puts into etcd.
    Config(config::Config),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Load(load)) => load.run(),
        Some(Command::Config(config)) => config.run(),
        None => compare(&cli),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("weft-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Brings every candidate up, measures them in turn and prints the tables.
fn compare(cli: &Cli) -> Result<()> {
    let wanted = |name: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == name);
    let mut candidates = Vec::new();
    for (name, up) in topology::all(cli.rules) {
        if wanted(name) {
            eprintln!("bench: bringing up {name}");
            candidates.push((name, up()?));
        }
    }
    let duration = Duration::from_secs(cli.seconds);
    let results = measure::interleaved(&candidates, cli.runs, duration)?;
    if cli.json {
        report::json(&results)
    } else {
        report::tables(&results)
    }
    Ok(())
}
