//! Replication: keeps every instance's copies of the paths announced elsewhere in step with announcements and with the
//! instances' route targets.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use weft_model::RouteTarget;

use crate::instance::{Entry, InstanceId, RiConfig};
use crate::path::Path;
use crate::peer::PeerId;
use crate::prefix::Prefix;
use crate::rib::Rib;

type TargetIndex = HashMap<RouteTarget, BTreeSet<InstanceId>>;

fn index_add(index: &mut TargetIndex, targets: &BTreeSet<RouteTarget>, id: InstanceId) {
    for target in targets {
        index.entry(*target).or_default().insert(id);
    }
}

fn index_remove(index: &mut TargetIndex, targets: &BTreeSet<RouteTarget>, id: InstanceId) {
    for target in targets {
        if let Some(members) = index.get_mut(target) {
            members.remove(&id);
            if members.is_empty() {
                index.remove(target);
            }
        }
    }
}

fn index_members(
    index: &TargetIndex,
    targets: &BTreeSet<RouteTarget>,
    except: InstanceId,
) -> BTreeSet<InstanceId> {
    let members = targets.iter().filter_map(|target| index.get(target)).flatten().copied();
    members.filter(|id| *id != except).collect()
}

impl Rib {
    /// Puts a path into its instance and, where that is configured, into all that import from it.
    pub(crate) fn replicate(&mut self, prefix: Prefix, entry: &Entry) {
        self.insert(entry.origin, prefix, entry.clone());
        for importer in self.importers(entry.origin) {
            if self.accepts(importer, entry.origin, &prefix) {
                self.insert(importer, prefix, entry.clone());
            }
        }
    }

    /// Takes a path out of its instance and all others, and out of the announcer's books.
    pub(crate) fn withdraw_primary(&mut self, peer: PeerId, origin: InstanceId, prefix: Prefix) {
        self.take(origin, prefix, peer, origin);
        for importer in self.importers(origin) {
            self.take(importer, prefix, peer, origin);
        }
        let active = self.instances.get(&origin).is_some_and(|i| i.active());
        if let Some(state) = self.peers.get_mut(&peer) {
            let key = (origin, prefix);
            state.stale.remove(&key);
            if state.announced.remove(&key) && !active {
                state.parked = state.parked.saturating_sub(1);
            }
        }
    }

    /// Changes a path and its copies.
    pub(crate) fn change_primary(
        &mut self,
        peer: PeerId,
        origin: InstanceId,
        prefix: Prefix,
        change: impl FnOnce(&mut Entry),
    ) {
        let route = self.instances.get(&origin).and_then(|i| i.routes.get(&prefix));
        if let Some(entry) = route.and_then(|route| route.find(peer, origin)) {
            let mut entry = entry.clone();
            change(&mut entry);
            self.replicate(prefix, &entry);
        }
    }

    /// Gives an instance another configuration, or none, and moves paths accordingly.
    pub(crate) fn reconfigure(&mut self, id: InstanceId, config: Option<RiConfig>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if instance.config == config {
            return;
        }
        let was_active = instance.active();
        let network: Arc<str> =
            config.as_ref().map_or_else(|| Arc::from(""), |c| Arc::from(&*c.virtual_network));
        let network_changed = *network != *instance.virtual_network;
        if network_changed || config.is_none() {
            // MAC routes follow the network: start from nothing rather than tell cases apart.
            self.relink(id, None);
        }
        self.set_config(id, config, network);
        if network_changed || was_active != self.is_active(id) {
            self.refresh_instance(id, was_active);
        }
        let links = self.instances.get(&id).and_then(|i| i.config.clone());
        self.relink(id, links.as_ref());
    }

    fn is_active(&self, id: InstanceId) -> bool {
        self.instances.get(&id).is_some_and(|i| i.active())
    }

    fn set_config(&mut self, id: InstanceId, config: Option<RiConfig>, network: Arc<str>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.virtual_network = network;
        if let Some(old) = std::mem::replace(&mut instance.config, config.clone()) {
            index_remove(&mut self.importing, &old.import, id);
            index_remove(&mut self.exporting, &old.export, id);
        }
        if let Some(new) = config {
            index_add(&mut self.importing, &new.import, id);
            index_add(&mut self.exporting, &new.export, id);
        }
    }

    /// Makes the instance's links to others what `config` asks for, and moves the difference.
    fn relink(&mut self, id: InstanceId, config: Option<&RiConfig>) {
        let Some(instance) = self.instances.get(&id) else { return };
        let (old_importers, old_origins) = (instance.importers.clone(), instance.origins.clone());
        let (importers, origins) = match config {
            Some(c) => {
                (index_members(&self.importing, &c.export, id), index_members(&self.exporting, &c.import, id))
            }
            None => (BTreeSet::new(), BTreeSet::new()),
        };
        for origin in old_origins.difference(&origins) {
            self.unlink(*origin, id);
        }
        for importer in old_importers.difference(&importers) {
            self.unlink(id, *importer);
        }
        for origin in origins.difference(&old_origins) {
            self.link(*origin, id);
        }
        for importer in importers.difference(&old_importers) {
            self.link(id, *importer);
        }
    }

    fn link(&mut self, origin: InstanceId, importer: InstanceId) {
        self.set_link(origin, importer, true);
        for (prefix, entries) in self.primaries(origin) {
            if self.accepts(importer, origin, &prefix) {
                for entry in entries {
                    self.insert(importer, prefix, entry);
                }
            }
        }
    }

    fn unlink(&mut self, origin: InstanceId, importer: InstanceId) {
        self.set_link(origin, importer, false);
        for (prefix, entries) in self.primaries(origin) {
            for entry in entries {
                self.take(importer, prefix, entry.peer, origin);
            }
        }
    }

    fn set_link(&mut self, origin: InstanceId, importer: InstanceId, present: bool) {
        let ends = [(origin, importer, true), (importer, origin, false)];
        for (at, other, importers) in ends {
            let Some(instance) = self.instances.get_mut(&at) else { continue };
            let set = if importers { &mut instance.importers } else { &mut instance.origins };
            if present {
                set.insert(other);
            } else {
                set.remove(&other);
            }
        }
    }

    /// The paths announced into an instance.
    fn primaries(&self, id: InstanceId) -> Vec<(Prefix, Vec<Entry>)> {
        let Some(instance) = self.instances.get(&id) else { return Vec::new() };
        let routes = instance.routes.iter().map(|(prefix, route)| {
            let own = route.entries.iter().filter(|entry| entry.origin == id).cloned().collect::<Vec<_>>();
            (*prefix, own)
        });
        routes.filter(|(_, own)| !own.is_empty()).collect()
    }

    /// After a change of activity or network: rebuilds the instance's own paths and counts them parked or not. Runs while the
    /// instance has no links.
    fn refresh_instance(&mut self, id: InstanceId, was_active: bool) {
        let active = self.is_active(id);
        let Some(network) = self.instances.get(&id).map(|i| Arc::clone(&i.virtual_network)) else { return };
        for (prefix, entries) in self.primaries(id) {
            for mut entry in entries {
                if let Some(state) = self.peers.get_mut(&entry.peer) {
                    match (was_active, active) {
                        (false, true) => state.parked = state.parked.saturating_sub(1),
                        (true, false) => state.parked += 1,
                        _ => {}
                    }
                }
                entry.path = Arc::new(Path { origin_vn: Arc::clone(&network), ..(*entry.path).clone() });
                self.insert(id, prefix, entry);
            }
        }
    }

    fn importers(&self, origin: InstanceId) -> Vec<InstanceId> {
        self.instances.get(&origin).map(|i| i.importers.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether a path to `prefix` may go from one instance into another: MAC routes only within their network.
    fn accepts(&self, importer: InstanceId, origin: InstanceId, prefix: &Prefix) -> bool {
        if prefix.crosses_networks() {
            return true;
        }
        let network = |id| self.instances.get(id).map(|i| &i.virtual_network);
        network(&importer) == network(&origin)
    }

    fn insert(&mut self, at: InstanceId, prefix: Prefix, entry: Entry) {
        let Some(instance) = self.instances.get_mut(&at) else { return };
        let active = instance.active();
        let route = instance.routes.entry(prefix).or_default();
        route.upsert(entry);
        if route.reselect(&prefix, active) {
            self.mark_subscribers(at, prefix);
        }
    }

    fn take(&mut self, at: InstanceId, prefix: Prefix, peer: PeerId, origin: InstanceId) {
        let Some(instance) = self.instances.get_mut(&at) else { return };
        let active = instance.active();
        let Some(route) = instance.routes.get_mut(&prefix) else { return };
        route.remove(peer, origin);
        let changed = route.reselect(&prefix, active);
        if route.entries.is_empty() {
            instance.routes.remove(&prefix);
        }
        if changed {
            self.mark_subscribers(at, prefix);
        }
    }
}
