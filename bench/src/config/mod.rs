//! The configuration service: what its operations cost, beside raw puts of the same size into etcd on the same disk.
//!
//! A real controller serves over its unix socket (where no token is asked for); etcd is a single node on the loopback
//! interface. Both are up at the same time and measured in turn, round after round; each figure is the median of its
//! rounds. Every wait has an end, and what was started is ended by its process id.

mod etcd;
mod figures;
mod http;
mod load;
mod memory;
mod server;
mod steps;
mod watch;

use anyhow::{Context, Result};
use clap::Args;
use figures::Figures;
use server::{Controller, Etcd, Kind, Place};
use std::path::PathBuf;
use std::time::Duration;

/// Measure the configuration service beside raw puts into etcd.
#[derive(Args)]
pub(crate) struct Config {
    /// Rounds: each figure is the median over them.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds that one measurement lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Clients at the same time, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32])]
    clients: Vec<usize>,
    /// Objects in the lists that are measured.
    #[arg(long, default_value_t = 10_000)]
    list: usize,
    /// Interfaces, each with an address, loaded to measure memory; 0 leaves it out.
    #[arg(long, default_value_t = 100_000)]
    interfaces: usize,
    /// Directory of the stores, made and removed: it decides which disk is measured [default: beside the binary].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The binary measured [default: weft beside this one].
    #[arg(long)]
    weft: Option<PathBuf>,
    /// Leave etcd out: neither raw puts nor a controller over it.
    #[arg(long)]
    no_etcd: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl Config {
    /// Measures and prints.
    pub(crate) fn run(&self) -> Result<()> {
        let place = Place::new(self.dir.clone(), self.weft.clone())?;
        let mut figures = Figures::default();
        self.speed(&place, &mut figures)?;
        if self.interfaces > 0 {
            eprintln!("bench: memory with {} interfaces and their addresses", self.interfaces);
            memory::measure(&place, self.interfaces, &mut figures).context("memory")?;
        }
        if self.json {
            figures.json()
        } else {
            figures.tables()
        }
        Ok(())
    }

    fn speed(&self, place: &Place, figures: &mut Figures) -> Result<()> {
        let etcd = if self.no_etcd { None } else { Some(Etcd::start(place).context("etcd")?) };
        let mut controllers = vec![Controller::start(place, "embedded", Kind::Embedded)?];
        match &etcd {
            Some(etcd) if place.knows_etcd()? => {
                controllers.push(Controller::start(place, "over etcd", Kind::Etcd(etcd))?);
            }
            Some(_) => eprintln!("bench: this weft has no --store: the embedded store alone is measured"),
            None => {}
        }
        let mut scenes = Vec::new();
        for controller in &controllers {
            eprintln!("bench: {}: {} objects to list", controller.name(), self.list);
            scenes.push(steps::Scene::prepare(controller, self.list).context(controller.name())?);
        }
        let duration = Duration::from_secs(self.seconds);
        for run in 1..=self.runs {
            for clients in &self.clients {
                eprintln!("bench: round {run} of {}, {clients} clients", self.runs);
                if let Some(etcd) = &etcd {
                    let size = scenes.first().map_or(1024, steps::Scene::object_bytes);
                    figures.add(
                        "raw etcd put",
                        "create",
                        *clients,
                        etcd::puts(etcd, *clients, size, duration)?,
                    );
                }
                for scene in &scenes {
                    scene.round(*clients, duration, figures).context(scene.name())?;
                }
            }
            for scene in &scenes {
                scene.lists(figures).context("lists")?;
                watch::latency(scene, figures).context("watch")?;
            }
        }
        Ok(())
    }
}
