//! A lab that is up, or coming up: its plan, its state, and clients of its roles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::json;
use weft_client::config::Context;
use weft_client::{Api, Endpoint, HttpClient, apply, documents};

use crate::file::plan::Plan;
use crate::probe::stations::Stations;
use crate::process::{self, Process};
use crate::progress::Progress;
use crate::state::State;
use crate::{LabError, dhcp, roles, teardown, underlay, workloads};

/// How long the process that tests a lab may take to clean up when another ends the lab.
const OWNER_GRACE: Duration = Duration::from_secs(15);

/// A lab and everything needed to work with it.
#[derive(Debug)]
pub struct Lab {
    /// What the file says.
    pub plan: Plan,
    /// What was made.
    pub state: State,
    pub(crate) program: PathBuf,
    pub(crate) api: Api,
    pub(crate) agents: BTreeMap<String, HttpClient>,
    pub(crate) stations: Stations,
    pub(crate) progress: Progress,
}

impl Lab {
    /// Claims the lab's name and directory. A crashed test of the same name is cleaned up first. `program` is the `weft` binary
    /// whose roles are started.
    ///
    /// # Errors
    /// When not root, or a lab of that name is up.
    pub async fn claim(plan: Plan, program: &Path, progress: Progress) -> Result<Self, LabError> {
        process::require_root()?;
        if let Ok(old) = State::load(&plan.name) {
            // A lab with a living owner is being tested; one without any owner was left up on purpose.
            match old.owner {
                Some(owner) if !owner.alive() => teardown::remove(&old).await?,
                _ => return Err(LabError::Exists(plan.name)),
            }
        }
        let mut state = State::of(&plan);
        std::fs::create_dir_all(&state.directory).map_err(LabError::io(&state.directory))?;
        state.owner = Process::of(nix::unistd::Pid::this().as_raw());
        state.save()?;
        let client = |socket: &Path| HttpClient::new(Endpoint::Unix(socket.to_owned()));
        let agents = state.hosts.iter().map(|h| Ok((h.name.clone(), client(&h.socket)?)));
        let agents = agents.collect::<Result<_, _>>().map_err(LabError::client("agents"))?;
        let api = roles::api_over(&state.controller.socket)?;
        let program = program.to_owned();
        Ok(Self { plan, state, program, api, agents, stations: Stations::new(), progress })
    }

    /// Makes everything: namespaces, certificates, roles, objects, workloads with their addresses.
    ///
    /// # Errors
    /// At the first part that fails; what was made stays until [`Lab::remove`].
    pub async fn build(&mut self) -> Result<(), LabError> {
        self.build_hosts().await?;
        self.build_objects().await?;
        self.build_workloads().await
    }

    async fn build_hosts(&mut self) -> Result<(), LabError> {
        let (start, hosts) = (Instant::now(), self.plan.hosts.len());
        underlay::build(&self.state, &self.plan.underlay)?;
        self.make_certificates()?;
        dhcp::prepare(&self.state.directory)?;
        self.progress
            .done(&format!("underlay: controller and {hosts} hosts in namespaces, certificates"), start);
        let start = Instant::now();
        self.start_store().await?;
        self.start_controller().await?;
        self.progress.done("controller answers", start);
        let start = Instant::now();
        let names: Vec<String> = self.plan.hosts.iter().map(|h| h.name.clone()).collect();
        for host in &names {
            self.spawn_agent(host)?;
        }
        try_join_all(names.iter().map(|h| self.agent_answering(h))).await?;
        self.progress.done(&format!("{hosts} agents answer, forwarders loaded"), start);
        Ok(())
    }

    async fn build_objects(&mut self) -> Result<(), LabError> {
        let start = Instant::now();
        let mut documents = self.plan.objects.clone();
        for host in &self.plan.hosts {
            let router = json!({"virtual-router": {"fq_name": router_name(&host.name), "virtual_router_ip_address": host.address}});
            if let serde_json::Value::Object(map) = router {
                documents.extend(documents::from_map(map).map_err(LabError::client("virtual-router"))?);
            }
        }
        let count = documents.len();
        for document in apply::order(documents) {
            workloads::apply(&self.api, &document).await?;
        }
        self.progress.done(&format!("{count} objects stored"), start);
        Ok(())
    }

    async fn build_workloads(&mut self) -> Result<(), LabError> {
        let start = Instant::now();
        let plans = self.plan.workloads.clone();
        for plan in &plans {
            self.create_workload(plan).await?;
            self.plug(&plan.name).await?;
        }
        try_join_all(plans.iter().map(|p| self.addresses(&p.name))).await?;
        for plan in &plans {
            self.set_running(&plan.name, true)?;
        }
        self.progress.done(&format!("{} workloads have their addresses by DHCP", plans.len()), start);
        Ok(())
    }

    /// Leaves the lab running for others to use.
    ///
    /// # Errors
    /// When its state cannot be written.
    pub fn release(&mut self) -> Result<(), LabError> {
        self.state.owner = None;
        self.state.save()
    }

    /// How the command line reaches this lab.
    pub fn context(&self) -> Context {
        let agents = self.state.hosts.iter().map(|h| (h.name.clone(), Endpoint::Unix(h.socket.clone())));
        Context {
            agents: agents.collect(),
            ..Context::new(Endpoint::Unix(self.state.controller.socket.clone()))
        }
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When something could not be removed.
    pub async fn remove(self) -> Result<(), LabError> {
        let Self { state, stations, .. } = self;
        // Its sockets would keep the namespaces alive.
        drop(stations);
        teardown::remove(&state).await
    }
}

/// Full name of a host's virtual-router.
pub(crate) fn router_name(host: &str) -> Vec<String> {
    vec![weft_model::defaults::GLOBAL_SYSTEM_CONFIG.to_owned(), host.to_owned()]
}

/// Ends a lab by name, running or crashed.
///
/// # Errors
/// When there is none of that name, its test still runs, or something could not be removed.
pub async fn down(name: &str) -> Result<(), LabError> {
    process::require_root()?;
    let state = State::load(name)?;
    if let Some(owner) = state.owner.filter(|o| o.alive() && o.pid != nix::unistd::Pid::this().as_raw()) {
        // The test cleans up itself when asked; what it leaves is removed below.
        owner.signal(nix::sys::signal::Signal::SIGTERM);
        if !owner.gone_within(OWNER_GRACE).await {
            owner.kill().await;
        }
    }
    teardown::remove(&state).await
}
