//! What the lab asks of agents: whether they have their session, and why packets were dropped.

use std::net::IpAddr;

use serde_json::Value;
use weft_client::HttpClient;

use crate::LabError;
use crate::lab::Lab;

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
            if let Ok(drops) = agent.get("/introspect/drops", &[]).await {
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
    pub(crate) interface: String,
    pub(crate) reason: String,
    pub(crate) source: Option<IpAddr>,
    pub(crate) destination: Option<IpAddr>,
    pub(crate) protocol: Option<u64>,
    pub(crate) port: Option<u64>,
}

fn has_session(status: &Value) -> bool {
    let sessions = status.get("sessions").or_else(|| status.get("controllers")).and_then(Value::as_array);
    let state = |s: &Value| s.get("state").and_then(Value::as_str).map(str::to_lowercase);
    sessions.is_some_and(|list| list.iter().any(|s| state(s).as_deref() == Some("established")))
}

fn events_of(host: &str, drops: &Value) -> Vec<DropEvent> {
    let events = drops.get("recent").or_else(|| drops.get("events")).and_then(Value::as_array);
    let text = |e: &Value, keys: &[&str]| {
        keys.iter().find_map(|k| e.get(*k).and_then(Value::as_str)).map(str::to_owned)
    };
    let number = |e: &Value, keys: &[&str]| keys.iter().find_map(|k| e.get(*k).and_then(Value::as_u64));
    let address = |e: &Value, keys: &[&str]| text(e, keys).and_then(|t| t.parse().ok());
    let events = events.into_iter().flatten().map(|e| DropEvent {
        host: host.to_owned(),
        interface: text(e, &["interface"]).unwrap_or_default(),
        reason: text(e, &["reason"]).unwrap_or_else(|| "unknown".into()),
        source: address(e, &["source", "src"]),
        destination: address(e, &["destination", "dst"]),
        protocol: number(e, &["protocol", "proto"]),
        port: number(e, &["destination_port", "dport"]),
    });
    events.collect()
}
