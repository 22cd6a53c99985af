//! Routing instances and the routes in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_model::RouteTarget;

use crate::path::Path;
use crate::peer::PeerId;
use crate::prefix::Prefix;
use crate::select;

/// Number of an instance within one [`Rib`](crate::Rib); never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

/// Configuration of a routing instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiConfig {
    /// Fully qualified name, `:` between the parts.
    pub name: String,
    /// Fully qualified name of the virtual network: the origin of paths announced here.
    pub virtual_network: String,
    /// Paths with one of these targets are imported.
    pub import: BTreeSet<RouteTarget>,
    /// Targets put on paths announced here.
    pub export: BTreeSet<RouteTarget>,
}

/// One path in one instance.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) peer: PeerId,
    /// The instance it was announced into: the one holding it (primary) or another (secondary).
    pub(crate) origin: InstanceId,
    pub(crate) path: Arc<Path>,
    /// Event number at which the announcer first announced it.
    pub(crate) appeared: u64,
    /// Event number at which the announcer's session was lost, if it is.
    pub(crate) stale_since: Option<u64>,
}

impl Entry {
    /// Whether a path that appeared at event `newest` takes the place of this one.
    pub(crate) fn superseded_by(&self, newest: u64) -> bool {
        self.stale_since.is_some_and(|since| newest > since)
    }
}

/// A path chosen for use.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub(crate) peer: PeerId,
    pub(crate) origin: InstanceId,
    pub(crate) path: Arc<Path>,
}

impl Selected {
    fn same(&self, other: &Selected) -> bool {
        self.peer == other.peer
            && self.origin == other.origin
            && (Arc::ptr_eq(&self.path, &other.path) || self.path.same_to_agents(&other.path))
    }
}

/// All paths to a prefix in one instance.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// Best first.
    pub(crate) entries: Vec<Entry>,
    /// The paths in use.
    pub(crate) best: Vec<Selected>,
}

impl Route {
    pub(crate) fn find(&self, peer: PeerId, origin: InstanceId) -> Option<&Entry> {
        self.entries.iter().find(|e| e.peer == peer && e.origin == origin)
    }

    pub(crate) fn upsert(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|e| e.peer == entry.peer && e.origin == entry.origin) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
    }

    pub(crate) fn remove(&mut self, peer: PeerId, origin: InstanceId) {
        self.entries.retain(|e| e.peer != peer || e.origin != origin);
    }

    /// Chooses again; true if what receivers should hold may have changed.
    pub(crate) fn reselect(&mut self, prefix: &Prefix, active: bool) -> bool {
        self.entries.sort_by(|a, b| select::compare(a, b).0);
        let chosen = if active { select::choose(prefix, &self.entries) } else { Vec::new() };
        let chosen: Vec<Selected> = chosen.into_iter().map(Selected::from).collect();
        let unchanged =
            chosen.len() == self.best.len() && chosen.iter().zip(&self.best).all(|(new, old)| new.same(old));
        if !unchanged {
            self.best = chosen;
        }
        !unchanged
    }
}

impl From<&Entry> for Selected {
    fn from(entry: &Entry) -> Self {
        Selected { peer: entry.peer, origin: entry.origin, path: Arc::clone(&entry.path) }
    }
}

/// A routing instance: configured, or only known because a peer named it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: Arc<str>,
    pub(crate) config: Option<RiConfig>,
    /// The virtual network of the last configuration, shared by the paths.
    pub(crate) virtual_network: Arc<str>,
    /// Configured instances that import what is announced here.
    pub(crate) importers: BTreeSet<InstanceId>,
    /// Configured instances whose announcements are imported here.
    pub(crate) origins: BTreeSet<InstanceId>,
    pub(crate) routes: BTreeMap<Prefix, Route>,
    pub(crate) subscribers: BTreeSet<PeerId>,
}

impl Instance {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Instance {
            name,
            config: None,
            virtual_network: Arc::from(""),
            importers: BTreeSet::new(),
            origins: BTreeSet::new(),
            routes: BTreeMap::new(),
            subscribers: BTreeSet::new(),
        }
    }

    pub(crate) fn active(&self) -> bool {
        self.config.is_some()
    }

    pub(crate) fn is_unused(&self) -> bool {
        !self.active() && self.subscribers.is_empty() && self.routes.is_empty()
    }
}
