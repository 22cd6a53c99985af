//! The agent without sockets: everything it knows, and what follows from it.
//!
//! [`AgentCore`] is told what happened (a stanza came, a port was added, a controller went away) and, on
//! [`AgentCore::sync`], recomputes the desired picture, brings the forwarder to it and queues what the controllers are
//! to be told. It reads no clock and opens no file: instants and the state store are given to it.
//!
//! Always holds: routes are published after the tables serve them; until the first configuration is quiet and the
//! controllers have sent end-of-RIB, nothing that the forwarder held at the start is deleted.

mod sessions;
mod status;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weft_dataplane::Limits;
use weft_forwarder::{Datapath, ForwarderError};
use weft_xmpp::config::ConfigOp;
use weft_xmpp::items::RouteItem;
use weft_xmpp::stanza::Stanza;

use crate::config::{Database, View};
use crate::desired::{Desired, DesiredBuilder, LocalPort, Numbers, SavedNumbers, Underlay};
use crate::learned::{ControllerRoutes, LearnedRoutes, merge};
use crate::reconcile::Reconciler;
use crate::state::{StateDir, StateError};
use sessions::SessionState;
pub use status::{ControllerStatus, Status};

/// Silence of the configuration after which it counts as complete (the protocol has no end marker).
pub const CONFIG_QUIET: Duration = Duration::from_secs(3);
/// Silence of routes after which, end-of-RIB having come, they count as complete.
pub const ROUTES_QUIET: Duration = Duration::from_secs(2);

/// Where numbers and configuration are remembered.
pub trait StateStore: Send {
    /// Save the numbers; called before tables that use new ones are written.
    ///
    /// # Errors
    /// They could not be put on stable storage.
    fn save_numbers(&self, numbers: SavedNumbers) -> Result<(), StateError>;
    /// Save the configuration.
    ///
    /// # Errors
    /// It could not be put on stable storage.
    fn save_config(&self, ops: &mut dyn Iterator<Item = ConfigOp>) -> Result<(), StateError>;
}

impl StateStore for StateDir {
    fn save_numbers(&self, numbers: SavedNumbers) -> Result<(), StateError> {
        Self::save_numbers(self, numbers)
    }

    fn save_config(&self, ops: &mut dyn Iterator<Item = ConfigOp>) -> Result<(), StateError> {
        Self::save_config(self, ops)
    }
}

/// Forgets everything: for tests that do not restart.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoState;

impl StateStore for NoState {
    fn save_numbers(&self, _: SavedNumbers) -> Result<(), StateError> {
        Ok(())
    }

    fn save_config(&self, _: &mut dyn Iterator<Item = ConfigOp>) -> Result<(), StateError> {
        Ok(())
    }
}

/// Something for the session with a controller to send.
#[derive(Clone, Debug, PartialEq)]
pub enum ToController {
    /// A stanza.
    Send(Stanza),
    /// Announce a route.
    Publish {
        /// Routing instance.
        ri: String,
        /// Route.
        item: Box<RouteItem>,
    },
    /// Take a route back.
    Withdraw {
        /// Routing instance.
        ri: String,
        /// Route.
        item: Box<RouteItem>,
    },
}

/// What the core starts from.
pub struct CoreOptions {
    /// The host's name: that of its virtual-router.
    pub name: String,
    /// How many controllers are configured.
    pub controllers: usize,
    /// Sizes of the forwarder's tables.
    pub limits: Limits,
    /// Numbers of the last run.
    pub numbers: SavedNumbers,
    /// Configuration of the last run.
    pub config: Vec<ConfigOp>,
    /// Where to remember.
    pub store: Box<dyn StateStore>,
    /// The underlay at the start.
    pub underlay: Underlay,
}

/// The agent's state and decisions.
pub struct AgentCore {
    pub(super) name: String,
    pub(super) datapath: Arc<dyn Datapath>,
    store: Box<dyn StateStore>,
    database: Database,
    view: Arc<View>,
    sessions: Vec<SessionState>,
    pub(super) routes: Vec<ControllerRoutes>,
    /// The controller whose configuration is taken.
    pub(super) config_source: Option<usize>,
    ports: Vec<LocalPort>,
    pub(super) machines: BTreeSet<Uuid>,
    underlay: Underlay,
    learned: LearnedRoutes,
    numbers: Numbers,
    builder: DesiredBuilder,
    desired: Arc<Desired>,
    reconciler: Reconciler,
    pub(super) outbox: VecDeque<(usize, ToController)>,
    changed: Changed,
    /// Nothing is deleted while this holds.
    pub(super) holding: bool,
    config_dirty: bool,
    /// Errors of the last reconciliation.
    pub(super) errors: Vec<String>,
    /// Stanzas from controllers that have no meaning here.
    pub(super) unexpected: u64,
}

/// What must be recomputed.
#[derive(Clone, Copy, Debug, Default)]
struct Changed {
    config: bool,
    routes: bool,
    other: bool,
}

impl AgentCore {
    /// A core over `datapath`, whose present contents are adopted.
    ///
    /// # Errors
    /// The forwarder's tables cannot be read.
    pub fn new(options: CoreOptions, datapath: Arc<dyn Datapath>) -> Result<Self, ForwarderError> {
        let reconciler = Reconciler::adopt(datapath.as_ref())?;
        let mut numbers = Numbers::new(&options.limits, options.numbers);
        numbers.reserve(reconciler.shadow());
        let mut database = Database::default();
        for op in &options.config {
            database.apply(op);
        }
        Ok(Self {
            name: options.name,
            datapath,
            store: options.store,
            database,
            view: Arc::default(),
            sessions: (0..options.controllers).map(|_| SessionState::default()).collect(),
            routes: (0..options.controllers).map(|_| ControllerRoutes::default()).collect(),
            config_source: None,
            ports: Vec::new(),
            machines: BTreeSet::new(),
            underlay: options.underlay,
            learned: LearnedRoutes::default(),
            numbers,
            builder: DesiredBuilder::default(),
            desired: Arc::default(),
            reconciler,
            outbox: VecDeque::new(),
            changed: Changed { config: true, routes: true, other: true },
            holding: true,
            config_dirty: false,
            errors: Vec::new(),
            unexpected: 0,
        })
    }

    /// The ports whose interfaces exist, and all virtual machines that ports belong to.
    pub fn set_ports(&mut self, mut ports: Vec<LocalPort>, machines: BTreeSet<Uuid>) {
        ports.sort_by_key(|p| p.interface);
        if ports != self.ports {
            self.ports = ports;
            self.changed.other = true;
        }
        if machines != self.machines {
            self.machines = machines;
            self.changed.other = true;
        }
    }

    /// A port was taken away on purpose: its interface stops being served even while nothing else is deleted.
    pub fn port_removed(&mut self, ifindex: u32) {
        self.ports.retain(|p| p.ifindex != ifindex);
        self.reconciler.remove_interface(self.datapath.as_ref(), ifindex);
        self.changed.other = true;
    }

    /// The underlay as it is now.
    pub fn set_underlay(&mut self, underlay: Underlay) {
        if underlay != self.underlay {
            self.underlay = underlay;
            self.changed.other = true;
        }
    }

    /// The underlay as last told.
    pub fn underlay(&self) -> &Underlay {
        &self.underlay
    }

    pub(super) fn config_op(&mut self, op: &ConfigOp) {
        if self.database.apply(op) {
            self.changed.config = true;
            self.config_dirty = true;
        }
    }

    pub(super) fn routes_changed(&mut self) {
        self.changed.routes = true;
    }

    pub(super) fn mark_config_stale(&mut self) {
        self.database.mark_stale();
    }

    pub(super) fn sweep_config(&mut self) {
        if self.database.sweep() > 0 {
            self.changed.config = true;
            self.config_dirty = true;
        }
    }

    /// Whether [`Self::sync`] has something to do.
    pub fn needs_sync(&self) -> bool {
        self.changed.config || self.changed.routes || self.changed.other
    }

    /// Recompute what follows from the changes since the last call, program it, and queue what to tell the controllers.
    pub fn sync(&mut self) {
        if !self.needs_sync() {
            return;
        }
        if self.changed.config {
            self.view = Arc::new(View::build(&self.database));
        }
        if self.changed.routes {
            self.learned = merge(&self.routes);
        }
        self.changed = Changed::default();
        self.recompute();
        self.update_sessions();
    }

    fn recompute(&mut self) {
        let desired =
            self.builder.build(&self.view, &self.ports, &self.learned, &self.underlay, &mut self.numbers);
        if self.numbers.take_changed()
            && let Err(error) = self.store.save_numbers(self.numbers.save())
        {
            // Traffic first: without the file a restart replaces entries instead of keeping them.
            tracing::error!(%error, "numbers cannot be saved");
        }
        self.errors = self.reconciler.reconcile(self.datapath.as_ref(), &desired.tables, !self.holding);
        for error in &self.errors {
            tracing::warn!(%error, "forwarder");
        }
        self.desired = Arc::new(desired);
        if !self.holding {
            for slot in self.numbers.release_unused() {
                if let Err(error) = self.datapath.reset_slot(slot) {
                    tracing::warn!(%error, slot, "counters cannot be reset");
                }
            }
        }
    }

    /// End the time in which nothing is deleted, if everything is known by now.
    pub(super) fn release_hold(&mut self) {
        if self.holding {
            tracing::info!("configuration and routes are complete: removing what is left over");
            self.holding = false;
            self.changed.other = true;
        }
    }

    /// Compare the forwarder's real tables with the desired ones and repair.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn audit(&mut self) -> Result<(), ForwarderError> {
        let desired = self.desired.clone();
        self.reconciler.audit(self.datapath.as_ref(), &desired.tables, !self.holding)
    }

    /// Whether nothing is deleted yet.
    pub fn is_holding(&self) -> bool {
        self.holding
    }

    /// Save the configuration if it changed since it was last saved.
    pub fn save_config(&mut self) {
        if std::mem::take(&mut self.config_dirty)
            && let Err(error) = self.store.save_config(&mut self.database.snapshot())
        {
            tracing::error!(%error, "configuration cannot be saved");
        }
    }

    /// The next thing to send, and the controller to send it to.
    pub fn poll_send(&mut self) -> Option<(usize, ToController)> {
        self.outbox.pop_front()
    }

    /// The desired picture of the last [`Self::sync`].
    pub fn desired(&self) -> &Arc<Desired> {
        &self.desired
    }

    /// The configuration's picture of the last [`Self::sync`].
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The learned routes of the last [`Self::sync`].
    pub fn learned(&self) -> &LearnedRoutes {
        &self.learned
    }

    /// What reconciling has done.
    pub fn reconciler(&self) -> &Reconciler {
        &self.reconciler
    }

    /// The forwarder.
    pub fn datapath(&self) -> &Arc<dyn Datapath> {
        &self.datapath
    }

    /// The ports being served.
    pub fn ports(&self) -> &[LocalPort] {
        &self.ports
    }
}

#[cfg(test)]
mod tests;
