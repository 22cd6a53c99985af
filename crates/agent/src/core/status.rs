//! The core's condition in a form for people.

use serde::Serialize;

use super::AgentCore;
use crate::reconcile::Totals;

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControllerStatus {
    /// Its name.
    pub peer: String,
    /// `established`, or `connecting`.
    pub state: &'static str,
    /// Whether it has said everything it knows.
    pub complete: bool,
    /// Whether configuration is taken from it.
    pub config_source: bool,
    /// Routes held from it.
    pub routes: usize,
}

/// Everything that may be wrong, and the size of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The host's name.
    pub name: String,
    /// Source address of tunnels.
    pub tunnel_ip: String,
    /// Sessions.
    pub controllers: Vec<ControllerStatus>,
    /// Nothing is deleted yet: configuration or routes are not complete.
    pub holding: bool,
    /// Ports served.
    pub ports: usize,
    /// Interfaces programmed.
    pub interfaces: usize,
    /// Entries in the forwarder's tables.
    pub entries: usize,
    /// What reconciling has done.
    pub reconcile: Totals,
    /// Errors of the last reconciliation.
    pub errors: Vec<String>,
    /// What in the configuration could not be used.
    pub problems: Vec<String>,
    /// Stanzas that had no meaning here.
    pub unexpected_stanzas: u64,
}

impl AgentCore {
    /// The present condition.
    pub fn status(&self) -> Status {
        let controllers = self.sessions.iter().zip(&self.routes).enumerate();
        Status {
            name: self.name.clone(),
            tunnel_ip: self.underlay().tunnel_ip.to_string(),
            controllers: controllers
                .map(|(n, (session, routes))| ControllerStatus {
                    peer: session.peer.clone(),
                    state: if session.established { "established" } else { "connecting" },
                    complete: routes.is_complete(),
                    config_source: self.config_source == Some(n),
                    routes: routes.len(),
                })
                .collect(),
            holding: self.holding,
            ports: self.ports().len(),
            interfaces: self.desired().services.len(),
            entries: self.reconciler().shadow().len(),
            reconcile: self.reconciler().totals.clone(),
            errors: self.errors.clone(),
            problems: self.desired().problems.clone(),
            unexpected_stanzas: self.unexpected,
        }
    }
}
