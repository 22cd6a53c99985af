//! What operators see: peers, routing instances, routes, and what is wrong.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use weft_rib::{InstanceView, PathView, PeerId, RouteView, Table};

use super::{Agent, Node, Session};
use weft_model::MacAddress;

/// Problems of the configuration listed in a status; the rest is counted.
const MAX_PROBLEMS: usize = 100;

/// A question of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All agents, configured or connected.
    Peers,
    /// All routing instances.
    RoutingInstances,
    /// Routes of an instance.
    Routes {
        /// Its name.
        ri: String,
        /// Of one table only.
        table: Option<Table>,
        /// Routes at most.
        limit: usize,
    },
    /// How the node is.
    Status,
}

/// What was asked for does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no routing instance {0}")]
pub struct NotFound(pub String);

fn age(since: Instant, now: Instant) -> f64 {
    (now.duration_since(since).as_secs_f64() * 10.0).round() / 10.0
}

impl Node {
    /// Answers a question.
    ///
    /// # Errors
    /// The routing instance asked for is unknown.
    pub fn report(&self, query: &Query, now: Instant) -> Result<Value, NotFound> {
        match query {
            Query::Peers => Ok(Value::Array(self.report_peers(now))),
            Query::RoutingInstances => {
                let names = self.peer_names();
                Ok(self.rib.instances().map(|view| report_instance(&view, &names)).collect())
            }
            Query::Routes { ri, table, limit } => self.report_routes(ri, *table, *limit),
            Query::Status => Ok(self.report_status(now)),
        }
    }

    fn peer_names(&self) -> BTreeMap<PeerId, &str> {
        self.agents.iter().map(|(name, agent)| (agent.peer, name.as_str())).collect()
    }

    fn report_peers(&self, now: Instant) -> Vec<Value> {
        let known = self.agents.iter().map(|(name, agent)| self.report_agent(name, agent, now));
        let never = self.routers.values().filter(|name| !self.agents.contains_key(*name));
        let missing = never.map(|name| json!({"name": name, "state": "never connected", "configured": true}));
        known.chain(missing).collect()
    }

    fn report_agent(&self, name: &str, agent: &Agent, now: Instant) -> Value {
        let routes = self.rib.peer(agent.peer);
        let session = agent.session.and_then(|id| self.sessions.get(&id));
        let mut report = json!({
            "name": name,
            "state": if session.is_some() { "up" } else { "down" },
            "configured": self.is_configured(name),
            "sessions": agent.sessions,
            "subscriptions": routes.subscriptions,
            "routes_announced": routes.announced,
            "routes_parked": routes.parked,
            "routes_stale": routes.stale,
            "routes_held": routes.sent,
            "routes_waiting": routes.waiting,
        });
        let mut add = |key: &str, value: Value| {
            if let Some(map) = report.as_object_mut() {
                map.insert(key.to_owned(), value);
            }
        };
        if let Some((at, reason)) = &agent.last_close {
            add("last_close", json!({"reason": reason, "seconds_ago": age(*at, now)}));
        }
        if let Some(at) = agent.sweep_at {
            add("stale_routes_removed_in_seconds", json!(at.saturating_duration_since(now).as_secs()));
        }
        if let Some(session) = session {
            add("session", report_session(session, now));
        }
        report
    }

    fn report_routes(&self, ri: &str, table: Option<Table>, limit: usize) -> Result<Value, NotFound> {
        if !self.rib.instances().any(|instance| &*instance.name == ri) {
            return Err(NotFound(ri.to_owned()));
        }
        let names = self.peer_names();
        let wanted = self.rib.routes(ri).filter(|route| table.is_none_or(|t| route.prefix.table() == t));
        let mut routes: Vec<Value> =
            wanted.take(limit.saturating_add(1)).map(|r| report_route(&r, &names)).collect();
        let truncated = routes.len() > limit;
        routes.truncate(limit);
        Ok(json!({"routing_instance": ri, "routes": routes, "truncated": truncated}))
    }

    fn report_status(&self, now: Instant) -> Value {
        let problems = self.problems(now);
        let up = self.routers.values().filter(|name| self.is_up(name)).count();
        let refusals = self.refusals.iter().map(|refusal| {
            json!({
                "address": refusal.address.to_string(),
                "name": refusal.name,
                "reason": refusal.reason,
                "seconds_ago": age(refusal.at, now),
            })
        });
        json!({
            "role": "control",
            "ok": problems.is_empty(),
            "uptime_seconds": age(self.started, now),
            "revision": self.revision,
            "converged": self.converged,
            "agents": {"configured": self.routers.len(), "connected": up, "sessions": self.sessions.len()},
            "routing_instances": self.compiler.intent().routing_instances.len(),
            "hold_seconds": self.effective.hold.as_secs_f64(),
            "stale_seconds": self.effective.stale.as_secs_f64(),
            "problems": problems,
            "refused_connections": refusals.collect::<Vec<_>>(),
        })
    }

    fn is_up(&self, name: &str) -> bool {
        self.agents.get(name).is_some_and(|agent| agent.session.is_some())
    }

    /// Everything that is not as it should be, in words.
    fn problems(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        if self.revision.is_none() {
            problems.push("the configuration is not read yet".to_owned());
        }
        if !self.converged {
            problems.push("started: end-of-RIB is held back until all configured agents are back".to_owned());
        }
        for name in self.routers.values().filter(|name| !self.is_up(name)) {
            let why = self.agents.get(name).and_then(|agent| agent.last_close.as_ref());
            problems.push(match why {
                Some((at, reason)) => {
                    format!("agent {name}: no session for {:.0} s ({reason})", age(*at, now))
                }
                None => {
                    format!("agent {name}: configured, has not connected since this control node started")
                }
            });
        }
        for session in self.sessions.values() {
            self.session_problems(session, &mut problems);
        }
        let config = &self.compiler.intent().problems;
        problems.extend(config.iter().take(MAX_PROBLEMS).map(|p| format!("configuration: {p}")));
        if let Some(more) = config.len().checked_sub(MAX_PROBLEMS).filter(|more| *more > 0) {
            problems.push(format!("configuration: {more} more problems"));
        }
        problems
    }

    fn session_problems(&self, session: &Session, problems: &mut Vec<String>) {
        let name = &session.name;
        if !self.is_configured(name) {
            problems.push(format!("agent {name}: connected, but there is no virtual-router of that name"));
        }
        let routes = self.rib.peer(session.peer);
        if routes.parked > 0 {
            problems.push(format!(
                "agent {name}: {} routes announced into routing instances that do not exist",
                routes.parked
            ));
        }
        if let Some((_, error)) = &session.last_error {
            let count = session.counters.warnings;
            problems.push(format!("agent {name}: {count} things dropped, the last: {error}"));
        }
    }
}

fn report_session(session: &Session, now: Instant) -> Value {
    let counters = &session.counters;
    json!({
        "address": session.address.to_string(),
        "tls": session.authenticated,
        "uptime_seconds": age(session.since, now),
        "configuration": session.router,
        "end_of_rib_sent": session.end_of_rib_sent,
        "end_of_rib_received": session.end_of_rib_received,
        "messages_in_flight": session.in_flight,
        "configuration_waiting": session.config.len(),
        "configuration_sent": counters.config_sent,
        "publishes_received": counters.publishes,
        "withdraws_received": counters.withdraws,
        "routes_refused": counters.routes_refused,
        "routes_sent": counters.routes_sent,
        "retracts_sent": counters.retracts_sent,
        "warnings": counters.warnings,
        "last_error": session.last_error.as_ref().map(|(at, text)| json!({"text": text, "seconds_ago": age(*at, now)})),
    })
}

fn name_of(names: &BTreeMap<PeerId, &str>, peer: PeerId) -> String {
    names.get(&peer).map_or_else(|| peer.to_string(), |name| (*name).to_owned())
}

fn report_instance(view: &InstanceView, names: &BTreeMap<PeerId, &str>) -> Value {
    let targets = |set: Option<&std::collections::BTreeSet<weft_model::RouteTarget>>| -> Vec<String> {
        set.into_iter().flatten().map(ToString::to_string).collect()
    };
    let config = view.config.as_ref();
    let [inet, inet6, evpn] = view.routes;
    json!({
        "name": &*view.name,
        "configured": config.is_some(),
        "virtual_network": config.map(|c| &c.virtual_network),
        "import": targets(config.map(|c| &c.import)),
        "export": targets(config.map(|c| &c.export)),
        "imports_from": view.imports_from.iter().map(|name| &**name).collect::<Vec<_>>(),
        "subscribers": view.subscribers.iter().map(|peer| name_of(names, *peer)).collect::<Vec<_>>(),
        "routes": {"inet": inet, "inet6": inet6, "evpn": evpn},
        "paths": view.paths,
    })
}

fn report_route(route: &RouteView<'_>, names: &BTreeMap<PeerId, &str>) -> Value {
    let paths: Vec<Value> = route.paths.iter().map(|path| report_path(path, names)).collect();
    json!({"prefix": route.prefix.to_string(), "table": route.prefix.table().name(), "paths": paths})
}

fn report_path(view: &PathView<'_>, names: &BTreeMap<PeerId, &str>) -> Value {
    let attributes = &view.path.attributes;
    let why = match (view.selected, view.lost_by) {
        (true, _) => "in use",
        (false, Some(criterion)) => criterion.why_lost(),
        (false, None) => "the routing instance is not configured",
    };
    json!({
        "selected": view.selected,
        "why": why,
        "peer": name_of(names, view.peer),
        "next_hop": attributes.next_hop.to_string(),
        "label": attributes.label,
        "l3_label": attributes.l3_label,
        "vni": attributes.vni,
        "router_mac": attributes.router_mac.map(|mac| MacAddress(mac).to_string()),
        "encapsulations": attributes.encaps.names(),
        "origin_virtual_network": &*view.path.origin_vn,
        "announced_into": &*view.origin,
        "imported": !view.primary,
        "route_distinguisher": view.path.rd.to_string(),
        "local_preference": attributes.local_pref,
        "med": attributes.med,
        "mobility": {"sequence": attributes.mobility_seq, "sticky": attributes.sticky},
        "security_groups": attributes.security_groups,
        "tags": attributes.tags,
        "communities": attributes.communities,
        "sub_protocol": attributes.sub_protocol,
        "stale": view.stale,
    })
}
