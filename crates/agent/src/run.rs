//! Starting the agent: opening what it needs and running its tasks until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weft_dataplane::Limits;
use weft_forwarder::{Datapath, Forwarder, Options};
use weft_tls::ClientTls;

use crate::controller;
use crate::core::{AgentCore, CoreOptions};
use crate::desired::Underlay;
use crate::engine::{AgentHandle, COMMAND_QUEUE, DropEvent, Engine, MachineStore, Parts, Shared};
use crate::kernel::{self, Netlink};
use crate::pkt0::{self, Tap};
use crate::ports::PortStore;
use crate::settings::{AgentConfig, AgentError, MAX_CONTROLLERS};
use crate::state::StateDir;

/// Name of the TAP.
const PKT0: &str = "pkt0";
/// How often the fabric interface is looked for while it is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a step of ageing is done.
const AGE: Duration = Duration::from_secs(1);
/// Entries looked at in one step of ageing.
const AGE_BUDGET: usize = 16_384;
/// How often events are read.
const EVENTS: Duration = Duration::from_millis(100);
/// Events read at once.
const EVENT_BATCH: usize = 512;

/// What the agent offers over HTTP. Whoever starts it opens the sockets: who may reach them is decided there.
#[derive(Debug)]
pub struct Interfaces {
    /// Ports of plug-ins ([`crate::portipc`]).
    pub ports: Router,
    /// What the agent knows ([`crate::introspect`]).
    pub introspect: Router,
}

/// Run an agent over the kernel's forwarder until `shutdown`. The forwarder goes on without it. `serve` opens sockets for
/// the interfaces and returns when they are open.
///
/// # Errors
/// The forwarder cannot be loaded, a file, socket or interface cannot be used, or a certificate is bad.
pub async fn run<F: Future<Output = Result<(), AgentError>>>(
    config: AgentConfig,
    shutdown: CancellationToken,
    serve: impl FnOnce(Interfaces) -> F,
) -> Result<(), AgentError> {
    let options = Options::new(&config.bpf_dir);
    let limits = options.limits;
    let forwarder = tokio::task::spawn_blocking(move || Forwarder::open(&options)).await;
    let forwarder = forwarder.map_err(|e| AgentError::Setting(format!("loading the forwarder: {e}")))??;
    run_over(config, Arc::new(forwarder), limits, shutdown, serve).await
}

/// Run an agent over `datapath`, whose tables have the sizes `limits`.
///
/// # Errors
/// As [`run`].
pub async fn run_over<F: Future<Output = Result<(), AgentError>>>(
    config: AgentConfig,
    datapath: Arc<dyn Datapath>,
    limits: Limits,
    shutdown: CancellationToken,
    serve: impl FnOnce(Interfaces) -> F,
) -> Result<(), AgentError> {
    let netlink = Netlink::open()?;
    let kernel_changes = kernel::changes()?;
    let tap = Tap::open(PKT0).map_err(|e| AgentError::io("opening the TAP pkt0", e))?;
    let pkt0_ifindex = prepare_tap(&netlink).await?;
    let Some(underlay) = find_fabric(&config, &netlink, pkt0_ifindex, &shutdown).await? else {
        return Ok(());
    };
    let shared = Arc::new(Shared::new(datapath.clone()));
    let parts = parts(&config, limits, underlay, netlink, kernel_changes, shared.clone())?;
    let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
    let agent = AgentHandle::new(commands, shared.clone());
    let (events, event_queue) = mpsc::channel(controller::EVENT_QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(age(shared.clone(), shutdown.clone()));
    tasks.spawn(read_events(shared.clone(), shutdown.clone()));
    start_controllers(&config, &events, &mut tasks, &shutdown)?;
    let settings = pkt0::Settings {
        tap,
        dns: config.dns.clone(),
        ports: shared.services.subscribe(),
        counters: shared.pkt0.clone(),
    };
    let token = shutdown.clone();
    tasks.spawn(async move {
        if let Err(error) = pkt0::run(settings, token).await {
            tracing::error!(%error, "services have stopped");
        }
    });
    let introspect = crate::introspect::router(agent.clone());
    serve(Interfaces { ports: crate::portipc::router(agent), introspect }).await?;
    // The queue must not end while no controller is configured.
    let _events = events;
    Engine::new(parts).run(event_queue, command_queue, shutdown.clone()).await;
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn parts(
    config: &AgentConfig,
    limits: Limits,
    underlay: Underlay,
    netlink: Netlink,
    kernel_changes: tokio::sync::watch::Receiver<u64>,
    shared: Arc<Shared>,
) -> Result<Parts, AgentError> {
    let state = StateDir::open(&config.state_dir)?;
    let controllers = config.controllers.len().min(MAX_CONTROLLERS);
    let ports = PortStore::open(&state.ports())?;
    let machines = MachineStore::open(&state.ports())?;
    let options = CoreOptions {
        name: config.name.clone(),
        controllers,
        limits,
        numbers: state.load_numbers(),
        config: state.load_config(),
        store: Box::new(state),
        underlay: underlay.clone(),
    };
    Ok(Parts {
        core: AgentCore::new(options, shared.datapath.clone())?,
        ports,
        machines,
        netlink,
        kernel_changes,
        fabric: config.fabric_interface.clone(),
        tunnel_address: config.tunnel_address,
        pkt0_ifindex: underlay.pkt0_ifindex,
        controllers,
        shared,
    })
}

async fn prepare_tap(netlink: &Netlink) -> Result<u32, AgentError> {
    // The host itself has nothing to say on the TAP. Without IPv6 in the kernel there is no such file.
    let path = format!("/proc/sys/net/ipv6/conf/{PKT0}/disable_ipv6");
    if let Err(error) = std::fs::write(path, "1") {
        tracing::debug!(%error, "IPv6 on the TAP");
    }
    let kernel = netlink.read().await?;
    let link = kernel.links.get(PKT0);
    let ifindex = link.ok_or_else(|| AgentError::Setting("the TAP pkt0 has vanished".into()))?.ifindex;
    netlink.set_up(ifindex).await?;
    Ok(ifindex)
}

/// Wait for the fabric interface and its address. `None` when told to stop meanwhile.
async fn find_fabric(
    config: &AgentConfig,
    netlink: &Netlink,
    pkt0: u32,
    shutdown: &CancellationToken,
) -> Result<Option<Underlay>, AgentError> {
    let mut told = false;
    loop {
        let kernel = netlink.read().await?;
        if let Some(found) = kernel.underlay(&config.fabric_interface, config.tunnel_address, pkt0, &[]) {
            return Ok(Some(found));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                interface = config.fabric_interface,
                "waiting for the fabric interface and its address"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

fn start_controllers(
    config: &AgentConfig,
    events: &mpsc::Sender<controller::Event>,
    tasks: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> Result<(), AgentError> {
    let tls = config.certs.as_deref().map(ClientTls::of_directory).transpose()?.map(Arc::new);
    for (controller, address) in config.controllers.iter().take(MAX_CONTROLLERS).enumerate() {
        let settings = controller::Settings {
            controller,
            address: *address,
            name: config.name.clone(),
            tls: tls.clone(),
        };
        tasks.spawn(controller::run(settings, events.clone(), shutdown.clone()));
    }
    Ok(())
}

/// Age flows in small steps.
async fn age(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(AGE);
    let options = shared.ageing.subscribe();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let step = weft_forwarder::AgeOptions { budget: AGE_BUDGET, ..options.borrow().clone() };
        let datapath = shared.datapath.clone();
        match tokio::task::spawn_blocking(move || datapath.age(&step)).await {
            Ok(Ok(report)) => {
                shared.aged.send_replace(report);
            }
            Ok(Err(error)) => tracing::warn!(%error, "ageing"),
            Err(error) => tracing::warn!(%error, "ageing"),
        }
    }
}

/// Read the forwarder's events and give them names.
async fn read_events(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(EVENTS);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match shared.datapath.poll_events(EVENT_BATCH) {
            Ok(events) if events.is_empty() => {}
            Ok(events) => {
                let desired = shared.desired.borrow().clone();
                shared.recent.extend(events.iter().map(|e| DropEvent::new(e, &desired.names)));
            }
            Err(error) => tracing::warn!(%error, "forwarder events"),
        }
    }
}
