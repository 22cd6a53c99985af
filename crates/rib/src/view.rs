//! Read-only views for operators.

use std::sync::Arc;

use crate::instance::{Instance, RiConfig, Route};
use crate::path::Path;
use crate::peer::PeerId;
use crate::prefix::{Prefix, Table};
use crate::rib::Rib;
use crate::select::{self, Criterion};

/// A routing instance and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceView {
    /// Name.
    pub name: Arc<str>,
    /// Configuration; none if it is only known because a peer named it.
    pub config: Option<RiConfig>,
    /// Peers subscribed.
    pub subscribers: Vec<PeerId>,
    /// Routes per table, in the order of [`Table::ALL`].
    pub routes: [usize; 3],
    /// Paths, replicated ones included.
    pub paths: usize,
    /// Instances whose paths are imported here.
    pub imports_from: Vec<Arc<str>>,
}

/// A route and all its paths, best first.
#[derive(Debug, Clone)]
pub struct RouteView<'a> {
    /// The prefix.
    pub prefix: Prefix,
    /// The paths.
    pub paths: Vec<PathView<'a>>,
}

/// One path of a route.
#[derive(Debug, Clone)]
pub struct PathView<'a> {
    /// The path.
    pub path: &'a Path,
    /// Who announced it.
    pub peer: PeerId,
    /// The instance it was announced into.
    pub origin: Arc<str>,
    /// Whether it was announced into this instance (else imported).
    pub primary: bool,
    /// Whether its announcer's session is lost.
    pub stale: bool,
    /// Whether it is in use.
    pub selected: bool,
    /// What decided against it, if it is not in use and the instance is configured.
    pub lost_by: Option<Criterion>,
}

/// How much belongs to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerView {
    /// Subscriptions.
    pub subscriptions: usize,
    /// Announced routes.
    pub announced: usize,
    /// Those in instances that are not configured.
    pub parked: usize,
    /// Those that are stale.
    pub stale: usize,
    /// Routes the peer holds.
    pub sent: usize,
    /// Routes waiting to be looked at for it.
    pub waiting: usize,
}

impl Rib {
    /// All instances, by number.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView> + '_ {
        self.instances.values().map(|instance| self.view_instance(instance))
    }

    fn view_instance(&self, instance: &Instance) -> InstanceView {
        let mut routes = [0; 3];
        for prefix in instance.routes.keys() {
            let at = match prefix.table() {
                Table::Inet => 0,
                Table::Inet6 => 1,
                Table::Evpn => 2,
            };
            if let Some(count) = routes.get_mut(at) {
                *count += 1;
            }
        }
        let origins = instance.origins.iter().filter_map(|id| self.instances.get(id));
        InstanceView {
            name: Arc::clone(&instance.name),
            config: instance.config.clone(),
            subscribers: instance.subscribers.iter().copied().collect(),
            routes,
            paths: instance.routes.values().map(|route| route.entries.len()).sum(),
            imports_from: origins.map(|origin| Arc::clone(&origin.name)).collect(),
        }
    }

    /// The routes of an instance, sorted by prefix; none if the instance is unknown.
    pub fn routes<'a>(&'a self, ri: &str) -> impl Iterator<Item = RouteView<'a>> + 'a {
        let instance = self.names.get(ri).and_then(|id| self.instances.get(id));
        instance.into_iter().flat_map(move |instance| {
            instance.routes.iter().map(move |(p, route)| self.view_route(instance, p, route))
        })
    }

    fn view_route<'a>(&'a self, instance: &'a Instance, prefix: &Prefix, route: &'a Route) -> RouteView<'a> {
        let here = self.names.get(&instance.name);
        let best = route.entries.first();
        let newest = route.entries.iter().map(|e| e.appeared).max().unwrap_or(0);
        let paths = route.entries.iter().map(|entry| {
            let selected = route.best.iter().any(|s| s.peer == entry.peer && s.origin == entry.origin);
            let reason = best.map(|best| match select::compare_preference(best, entry).1 {
                Criterion::Equal if !entry.path.attributes.feasible() => Criterion::Feasible,
                Criterion::Equal if entry.superseded_by(newest) => Criterion::Superseded,
                other => other,
            });
            PathView {
                path: &entry.path,
                peer: entry.peer,
                origin: self
                    .instances
                    .get(&entry.origin)
                    .map_or_else(|| Arc::from("?"), |i| Arc::clone(&i.name)),
                primary: here == Some(&entry.origin),
                stale: entry.stale_since.is_some(),
                selected,
                lost_by: reason.filter(|_| !selected && instance.active()),
            }
        });
        RouteView { prefix: *prefix, paths: paths.collect() }
    }

    /// How much belongs to a peer; zeros if it is unknown.
    pub fn peer(&self, peer: PeerId) -> PeerView {
        let Some(state) = self.peers.get(&peer) else { return PeerView::default() };
        PeerView {
            subscriptions: state.subscriptions.len(),
            announced: state.announced.len(),
            parked: state.parked,
            stale: state.stale.len(),
            sent: state.subscriptions.values().map(|s| s.sent.len()).sum(),
            waiting: state.dirty.len(),
        }
    }
}
