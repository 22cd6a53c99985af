//! Routes as the controllers sent them, kept while a controller is away ("headless").
//!
//! Always holds: a route of a controller that is gone stays until the same controller has said again everything it
//! knows (end-of-RIB), or until another connected controller has; then what was not repeated goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use weft_xmpp::items::{EvpnItem, RouteItem, RouteKey, RouteTable, UnicastItem};

/// Most routes kept from one controller.
pub const MAX_ROUTES: usize = 2_000_000;

/// The routes of one routing instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceRoutes {
    /// IPv4 and IPv6.
    pub unicast: BTreeMap<IpNet, Arc<UnicastItem>>,
    /// MAC routes.
    pub evpn: BTreeMap<RouteKey, Arc<EvpnItem>>,
}

/// What all controllers together say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearnedRoutes {
    /// By routing instance.
    pub instances: BTreeMap<String, InstanceRoutes>,
}

/// A stored route.
#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Unicast(Arc<UnicastItem>),
    Evpn(Arc<EvpnItem>),
}

/// The routes of one controller.
#[derive(Debug, Default)]
pub struct ControllerRoutes {
    routes: BTreeMap<(String, RouteKey), Stored>,
    stale: BTreeSet<(String, RouteKey)>,
    connected: bool,
    complete: bool,
    /// Routes not taken because there were too many, and retracts that could not be read.
    pub refused: u64,
}

impl ControllerRoutes {
    /// The session is up: everything known from before is stale until repeated.
    pub fn connected(&mut self) {
        self.connected = true;
        self.complete = false;
        self.stale = self.routes.keys().cloned().collect();
    }

    /// The session is gone; its routes stay.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.complete = false;
    }

    /// Whether the session is up and the controller has said everything it knows.
    pub fn is_complete(&self) -> bool {
        self.connected && self.complete
    }

    /// Routes held.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether no route is held.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Take over the items and retracts of a route message. Returns whether anything changed.
    pub fn apply(
        &mut self,
        table: RouteTable,
        ri: &str,
        items: Vec<(String, RouteItem)>,
        retracts: &[String],
    ) -> bool {
        let mut changed = false;
        for (_, item) in items {
            let key = (ri.to_owned(), item.key());
            self.stale.remove(&key);
            if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(&key) {
                self.refused += 1;
                continue;
            }
            let stored = match item {
                RouteItem::Unicast(item) => Stored::Unicast(Arc::new(item)),
                RouteItem::Evpn(item) => Stored::Evpn(Arc::new(item)),
            };
            if self.routes.get(&key) != Some(&stored) {
                self.routes.insert(key, stored);
                changed = true;
            }
        }
        for id in retracts {
            match RouteKey::parse(table, id) {
                Ok(key) => {
                    let key = (ri.to_owned(), key);
                    self.stale.remove(&key);
                    changed |= self.routes.remove(&key).is_some();
                }
                Err(_) => self.refused += 1,
            }
        }
        changed
    }

    /// End-of-RIB: drop what was not repeated. Returns whether anything changed.
    pub fn end_of_rib(&mut self) -> bool {
        self.complete = true;
        let stale = std::mem::take(&mut self.stale);
        stale.iter().for_each(|key| {
            self.routes.remove(key);
        });
        !stale.is_empty()
    }

    /// Forget the routes of an instance that is no longer subscribed to.
    pub fn unsubscribed(&mut self, ri: &str) {
        self.routes.retain(|(instance, _), _| instance != ri);
        self.stale.retain(|(instance, _)| instance != ri);
    }
}

/// The routes of all controllers together. Where several know a route, a connected one that is complete goes first,
/// then a connected one, then the order of configuration. Once any is complete, those not connected no longer count.
pub fn merge(controllers: &[ControllerRoutes]) -> LearnedRoutes {
    let any_complete = controllers.iter().any(ControllerRoutes::is_complete);
    let mut order: Vec<_> = controllers.iter().filter(|c| c.connected || !any_complete).collect();
    order.sort_by_key(|c| (!c.is_complete(), !c.connected));
    let mut merged = LearnedRoutes::default();
    for controller in order {
        for ((ri, key), stored) in &controller.routes {
            let instance = merged.instances.entry(ri.clone()).or_default();
            match stored {
                Stored::Unicast(item) => {
                    instance.unicast.entry(item.prefix).or_insert_with(|| item.clone());
                }
                Stored::Evpn(item) => {
                    instance.evpn.entry(*key).or_insert_with(|| item.clone());
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(prefix: &str) -> (String, RouteItem) {
        (prefix.to_owned(), RouteItem::Unicast(UnicastItem::new(prefix.parse().unwrap())))
    }

    fn prefixes(controllers: &[ControllerRoutes]) -> Vec<String> {
        let merged = merge(controllers);
        let all = merged.instances.values().flat_map(|i| i.unicast.keys());
        all.map(ToString::to_string).collect()
    }

    #[test]
    fn routes_outlive_their_controller_until_it_is_back_and_done() {
        let mut c = ControllerRoutes::default();
        c.connected();
        assert!(c.apply(RouteTable::Inet, "r", vec![item("10.0.0.1/32"), item("10.0.0.2/32")], &[]));
        assert!(!c.apply(RouteTable::Inet, "r", vec![item("10.0.0.1/32")], &[]));
        c.end_of_rib();
        c.disconnected();
        let mut all = [c];
        assert_eq!(prefixes(&all).len(), 2, "headless");
        all[0].connected();
        all[0].apply(RouteTable::Inet, "r", vec![item("10.0.0.2/32")], &[]);
        assert_eq!(prefixes(&all).len(), 2, "not yet complete");
        assert!(all[0].end_of_rib());
        assert_eq!(prefixes(&all), ["10.0.0.2/32"]);
    }

    #[test]
    fn a_complete_controller_replaces_one_that_is_away() {
        let (mut a, mut b) = (ControllerRoutes::default(), ControllerRoutes::default());
        a.connected();
        a.apply(RouteTable::Inet, "r", vec![item("10.0.0.1/32")], &[]);
        a.disconnected();
        b.connected();
        b.apply(RouteTable::Inet, "r", vec![item("10.0.0.2/32")], &[]);
        let mut both = [a, b];
        assert_eq!(prefixes(&both).len(), 2);
        both[1].end_of_rib();
        assert_eq!(prefixes(&both), ["10.0.0.2/32"]);
        both[1].apply(RouteTable::Inet, "r", vec![], &["10.0.0.2/32".into(), "rubbish".into()]);
        assert!(prefixes(&both).is_empty());
        assert_eq!(both[1].refused, 1);
    }
}
