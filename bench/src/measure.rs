//! Runs the measurements: every candidate in turn, round after round, and the median of each.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::topology::{Path, Topology};

/// What is measured, and in which unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metric {
    /// One TCP stream, Gbit/s.
    Stream,
    /// 64-byte UDP packets, thousands per second.
    SmallPackets,
    /// TCP connect, request, response, close: per second.
    Connects,
}

impl Metric {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 3] = [Self::Stream, Self::SmallPackets, Self::Connects];

    /// Heading of its column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Stream => "TCP 1 stream, Gbit/s",
            Self::SmallPackets => "UDP 64 B, kpps",
            Self::Connects => "TCP connects/s",
        }
    }

    /// Roles of server and client, and whether the server is the one that counts.
    fn ends(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Stream => ("stream-server", "stream-client", true),
            Self::SmallPackets => ("udp-server", "udp-client", true),
            Self::Connects => ("crr-server", "crr-client", false),
        }
    }
}

/// Where the two workloads are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Both on one host.
    OneHost,
    /// Across two hosts.
    TwoHosts,
}

/// One figure of one candidate.
pub(crate) struct Figure {
    pub(crate) candidate: &'static str,
    pub(crate) place: Place,
    pub(crate) metric: Metric,
    /// Each round's result.
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    /// Median of the rounds.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Measures all candidates `runs` times, interleaved.
pub(crate) fn interleaved(
    candidates: &[(&'static str, Topology)],
    runs: usize,
    duration: Duration,
) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    for run in 1..=runs {
        for metric in Metric::ALL {
            for place in [Place::OneHost, Place::TwoHosts] {
                for (candidate, topology) in candidates {
                    eprint!("\r\x1b[Kbench: round {run} of {runs}: {candidate}, {}", metric.heading());
                    let path = match place {
                        Place::OneHost => &topology.one_host,
                        Place::TwoHosts => &topology.two_hosts,
                    };
                    let value =
                        one(path, metric, duration).with_context(|| format!("{candidate}, {metric:?}"))?;
                    record(&mut figures, candidate, place, metric, value);
                }
            }
        }
    }
    eprintln!();
    Ok(figures)
}

fn record(figures: &mut Vec<Figure>, candidate: &'static str, place: Place, metric: Metric, value: f64) {
    let same = |figure: &&mut Figure| {
        figure.candidate == candidate && figure.place == place && figure.metric == metric
    };
    match figures.iter_mut().find(same) {
        Some(figure) => figure.rounds.push(value),
        None => figures.push(Figure { candidate, place, metric, rounds: vec![value] }),
    }
}

/// One measurement over one path.
fn one(path: &Path, metric: Metric, duration: Duration) -> Result<f64> {
    let (server_role, client_role, server_counts) = metric.ends();
    let mut server = load(&path.to_namespace, server_role, None, duration)?;
    let mut server_output = lines(&mut server)?;
    if next(&mut server_output)? != "ready" {
        bail!("the {server_role} did not start");
    }
    let mut client = load(&path.from_namespace, client_role, Some(&path.address), duration)?;
    let mut client_output = lines(&mut client)?;
    let result = if server_counts { next(&mut server_output) } else { next(&mut client_output) };
    let _ = server.kill();
    let _ = server.wait();
    let _ = client.kill();
    let _ = client.wait();
    result?.parse().context("not a number")
}

fn load(namespace: &str, role: &str, to: Option<&str>, duration: Duration) -> Result<Child> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg(std::env::current_exe()?);
    command.args(["load", role, "--seconds", &duration.as_secs().to_string()]);
    if let Some(to) = to {
        command.args(["--to", to]);
    }
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

fn lines(child: &mut Child) -> Result<Lines> {
    Ok(BufReader::new(child.stdout.take().context("no output")?).lines())
}

fn next(lines: &mut Lines) -> Result<String> {
    Ok(lines.next().context("it ended without a result")??)
}
