//! What the lab asks of agents: whether they have their session, and why packets were dropped.

use std::net::IpAddr;

use serde_json::Value;
use weft_client::HttpClient;

use crate::LabError;
use crate::lab::Lab;

/// Drop events asked for: those of the largest matrix.
const EVENTS: &str = "20000";

impl Lab {
    /// The client of a host's agent.
    pub(crate) fn agent(&self, host: &str) -> Result<&HttpClient, LabError> {
        self.agents.get(host).ok_or_else(|| LabError::role(&format!("agent of {host}"), "no such host"))
    }

    /// Whether the agent of a host has a session with the controller and has applied its configuration.
    pub(crate) async fn agent_ready(&self, host: &str) -> Result<bool, LabError> {
        let status = self.agent(host)?.get("/introspect/status", &[]).await;
        Ok(status.is_ok_and(|s| has_session(&s)))
    }

    /// All drop events of all hosts that answer.
    pub(crate) async fn drop_events(&self) -> Vec<DropEvent> {
        let mut events = Vec::new();
        for (host, agent) in &self.agents {
            if let Ok(drops) = agent.get("/introspect/drops", &[("limit", EVENTS)]).await {
                events.extend(events_of(host, &drops));
            }
        }
        events
    }
}

/// A packet that a forwarder dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DropEvent {
    pub(crate) host: String,
    /// Uuid of the port concerned; empty for the fabric.
    pub(crate) port: String,
    pub(crate) reason: String,
    /// Milliseconds since the system started.
    pub(crate) time_millis: u64,
    pub(crate) source: Option<IpAddr>,
    pub(crate) destination: Option<IpAddr>,
    /// Full name of the sender's network; empty if unknown.
    pub(crate) source_network: String,
    pub(crate) protocol: u64,
    pub(crate) destination_port: u64,
}

fn has_session(status: &Value) -> bool {
    let sessions = status["controllers"].as_array();
    sessions.is_some_and(|list| list.iter().any(|s| s["state"] == "established"))
}

fn events_of(host: &str, drops: &Value) -> Vec<DropEvent> {
    let text = |e: &Value, key: &str| e[key].as_str().unwrap_or_default().to_owned();
    let number = |e: &Value, key: &str| e[key].as_u64().unwrap_or(0);
    let address = |e: &Value, key: &str| e[key].as_str().and_then(|t| t.parse().ok());
    let events = drops["events"].as_array().into_iter().flatten().map(|e| DropEvent {
        host: host.to_owned(),
        port: text(e, "interface"),
        reason: text(e, "reason"),
        time_millis: number(e, "time_ms"),
        source: address(e, "source"),
        destination: address(e, "destination"),
        source_network: text(e, "source_network"),
        protocol: number(e, "protocol"),
        destination_port: number(e, "destination_port"),
    });
    events.collect()
}
