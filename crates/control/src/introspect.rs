//! Introspection over HTTP: read-only JSON under `/introspect/`.
//!
//! | path | what |
//! |---|---|
//! | `/introspect/status` | the node, and what is wrong |
//! | `/introspect/peers` | agents: session, counters, last error |
//! | `/introspect/routing-instances` | routing instances: targets, subscribers, sizes |
//! | `/introspect/routes?ri=NAME[&table=inet\|inet6\|evpn][&limit=N]` | routes with all paths: which are used, and why not |

use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use weft_rib::Table;

use crate::node::Query;
use crate::server::{Answer, ControlHandle};

/// Routes shown if no limit is given.
const DEFAULT_LIMIT: usize = 10_000;

/// The routes, to be merged into a server of the process.
pub fn introspect_router(handle: ControlHandle) -> Router {
    Router::new()
        .route("/introspect/status", get(|State(h): State<ControlHandle>| answer(h, Query::Status)))
        .route("/introspect/peers", get(|State(h): State<ControlHandle>| answer(h, Query::Peers)))
        .route(
            "/introspect/routing-instances",
            get(|State(h): State<ControlHandle>| answer(h, Query::RoutingInstances)),
        )
        .route("/introspect/routes", get(routes))
        .with_state(handle)
}

#[derive(Debug, Deserialize)]
struct RoutesParameters {
    ri: String,
    table: Option<String>,
    limit: Option<usize>,
}

async fn routes(
    State(handle): State<ControlHandle>,
    Parameters(p): Parameters<RoutesParameters>,
) -> Response {
    let table = match &p.table {
        None => None,
        Some(name) => match Table::ALL.into_iter().find(|table| table.name() == name) {
            Some(table) => Some(table),
            None => {
                let text = format!("table is {name:?}; it may be inet, inet6 or evpn");
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
        },
    };
    answer(handle, Query::Routes { ri: p.ri, table, limit: p.limit.unwrap_or(DEFAULT_LIMIT) }).await
}

async fn answer(handle: ControlHandle, query: Query) -> Response {
    match handle.ask(query).await {
        Answer::Report(report) => Json(report).into_response(),
        Answer::NotFound(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
        Answer::Stopped => {
            (StatusCode::SERVICE_UNAVAILABLE, "the control node is stopped".to_owned()).into_response()
        }
    }
}
