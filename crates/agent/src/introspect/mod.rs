//! What the agent knows and does, as JSON.
//!
//! | path | says |
//! |---|---|
//! | `/introspect/status` | sessions, sizes, what is wrong |
//! | `/introspect/interfaces` | every port and its interface, with counters |
//! | `/introspect/flows?limit=` | the flow table, numbers resolved |
//! | `/introspect/drops?limit=` | drops per interface and reason, and recent events (`events`, newest last) |
//! | `/introspect/routes?vrf=` | routes and bridge entries, of all VRFs or of one (name or number) |
//! | `/introspect/tables` | labels, VNIs, next hops, identities, sizes |
//! | `/introspect/policy?near=&far=` | verdicts between identities |
//! | `/introspect/audit?run=true` | the auditor's counts and last report; with `run` it compares now |

mod flows;
mod interfaces;
mod tables;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::{AgentHandle, Engine};

/// Entries of a table shown at most, unless asked for fewer.
const MAX_ENTRIES: usize = 100_000;
/// Drop events shown unless asked for more.
const DEFAULT_EVENTS: usize = 200;

/// The routes.
pub fn router(agent: AgentHandle) -> Router {
    Router::new()
        .route("/introspect/status", get(status))
        .route("/introspect/interfaces", get(interfaces))
        .route("/introspect/flows", get(flows::flows))
        .route("/introspect/drops", get(drops))
        .route("/introspect/routes", get(routes))
        .route("/introspect/tables", get(all_tables))
        .route("/introspect/policy", get(policy))
        .route("/introspect/audit", get(audit))
        .with_state(agent)
}

/// An answer that could not be given.
pub(crate) struct Failed(StatusCode, String);

impl Failed {
    fn internal(error: impl std::fmt::Display) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, Failed>;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Parameters {
    limit: Option<usize>,
    vrf: Option<String>,
    near: Option<u32>,
    far: Option<u32>,
    run: Option<bool>,
}

impl Parameters {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)
    }
}

fn value(of: impl Serialize) -> Result<Value, Failed> {
    serde_json::to_value(of).map_err(Failed::internal)
}

/// What `work` makes of the engine.
async fn asked(
    agent: &AgentHandle,
    work: impl FnOnce(&mut Engine) -> Result<Value, Failed> + Send + 'static,
) -> Answer {
    match agent.ask(work).await {
        Some(answer) => answer.map(Json),
        None => Err(Failed(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping".into())),
    }
}

async fn status(State(agent): State<AgentHandle>) -> Answer {
    let pkt0 = *agent.shared.pkt0.borrow();
    let aged = *agent.shared.aged.borrow();
    asked(&agent, move |engine| {
        let mut status = value(engine.core.status())?;
        if let Some(sessions) = status.get_mut("controllers").and_then(Value::as_array_mut) {
            for (session, reason) in sessions.iter_mut().zip(&engine.reasons) {
                if let Some(fields) = session.as_object_mut() {
                    fields.insert("last_error".into(), reason.clone().into());
                }
            }
        }
        if let Some(fields) = status.as_object_mut() {
            fields.insert("uptime_seconds".into(), engine.started.elapsed().as_secs().into());
            fields.insert("pkt0".into(), value(pkt0)?);
            let ageing = json!({"scanned": aged.scanned, "removed": aged.removed, "complete": aged.complete});
            fields.insert("ageing".into(), ageing);
            fields.insert("port_file_problems".into(), value(&engine.ports.problems)?);
            fields.insert("underlay".into(), value(engine.core.underlay())?);
        }
        Ok(status)
    })
    .await
}

async fn interfaces(State(agent): State<AgentHandle>) -> Answer {
    asked(&agent, interfaces::list).await
}

async fn drops(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    let events = agent.shared.recent.last(parameters.limit.unwrap_or(DEFAULT_EVENTS));
    let desired = agent.shared.desired.borrow().clone();
    let datapath = agent.shared.datapath.clone();
    let counts = tokio::task::spawn_blocking(move || datapath.drops()).await;
    let counts = counts.map_err(Failed::internal)?.map_err(Failed::internal)?;
    let counters: Vec<Value> = counts
        .iter()
        .map(|count| {
            json!({
                "interface": interfaces::slot_name(&desired.names, count.slot), "slot": count.slot,
                "reason": count.reason.name(), "description": count.reason.describe(), "packets": count.packets,
            })
        })
        .collect();
    Ok(Json(json!({"counters": counters, "events": value(events)?})))
}

async fn routes(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    asked(&agent, move |engine| tables::routes(engine, parameters.vrf.as_deref(), parameters.limit())).await
}

async fn all_tables(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    asked(&agent, move |engine| tables::tables(engine, parameters.limit())).await
}

async fn policy(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    asked(&agent, move |engine| tables::policy(engine, parameters.near, parameters.far, parameters.limit()))
        .await
}

async fn audit(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    asked(&agent, move |engine| {
        if parameters.run == Some(true) {
            engine.core.audit().map_err(Failed::internal)?;
        }
        let reconciler = engine.core.reconciler();
        Ok(json!({
            "totals": value(&reconciler.totals)?,
            "last": value(&reconciler.last_audit)?,
            "holding": engine.core.is_holding(),
            "errors": engine.core.status().errors,
        }))
    })
    .await
}
