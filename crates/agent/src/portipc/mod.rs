//! Port attach and detach over REST (TCP 9091 and the agent's socket), as the existing system's plug-ins speak it.
//!
//! | request | does |
//! |---|---|
//! | `POST /port` | serve an interface (one object or a list) |
//! | `GET`, `DELETE /port/<uuid>` | show it, stop serving it |
//! | `PUT /enable-port/<uuid>`, `PUT /disable-port/<uuid>` | serve it or not, remembering it |
//! | `POST /syncports` | read the port files again |
//! | `POST /vm`, `GET /vm/<uuid>[/<vmi>]`, `DELETE /vm/<uuid>` | the same for a container, by its machine |
//! | `GET /vm-cfg`, `GET /vm-cfg/<name>` | what was announced |
//!
//! An error is `{"error": "<field>: <reason>"}` with 400, 404, 409 or 500. Answers carry no secrets, and the
//! interface listens on loopback unless told otherwise.

mod machines;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::engine::AgentHandle;
use crate::ports::{Port, PortError, PortRequest, StoreError};

/// Longest body taken, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Most ports in one request.
const MAX_LIST: usize = 1024;

/// An answer that is not 200.
#[derive(Debug)]
pub(crate) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Port(PortError::InUse { .. }) => StatusCode::CONFLICT,
            StoreError::Port(PortError::Invalid { .. }) => StatusCode::BAD_REQUEST,
            StoreError::Port(PortError::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            StoreError::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        StoreError::from(error).into()
    }
}

pub(crate) type Answer = Result<Json<Value>, Refusal>;

/// What the engine says, or that it has stopped.
fn heard<T>(answer: Option<T>) -> Result<T, Refusal> {
    answer.ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping".into()))
}

fn bad(what: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, what.into())
}

fn not_found(what: impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("{what} is not known"))
}

fn body(json: Result<Json<Value>, JsonRejection>) -> Result<Value, Refusal> {
    json.map(|Json(value)| value).map_err(|e| Refusal(e.status(), e.body_text()))
}

fn uuid(text: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text)
        .map_err(|_| bad(format!("{:?} is not a UUID", text.chars().take(64).collect::<String>())))
}

/// The routes.
pub fn router(agent: AgentHandle) -> Router {
    Router::new()
        .route("/port", post(add))
        .route("/port/{id}", get(show).delete(remove))
        .route("/enable-port/{id}", put(enable))
        .route("/disable-port/{id}", put(disable))
        .route("/syncports", post(sync))
        .merge(machines::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(agent)
}

async fn add(State(agent): State<AgentHandle>, json: Result<Json<Value>, JsonRejection>) -> Answer {
    let requests = match body(json)? {
        Value::Array(list) if list.len() > MAX_LIST => return Err(bad("too many ports in one request")),
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut ports = Vec::with_capacity(requests.len());
    for request in requests {
        let request: PortRequest = serde_json::from_value(request).map_err(|e| bad(e.to_string()))?;
        ports.push(Port::check(request)?);
    }
    let put = agent.ask(move |engine| ports.into_iter().try_for_each(|port| engine.put_port(port))).await;
    heard(put)??;
    Ok(Json(json!({})))
}

async fn show(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    let id = uuid(&id)?;
    let port = heard(agent.ask(move |engine| engine.port(id)).await)?.ok_or_else(|| not_found(id))?;
    let value = serde_json::to_value(&port.request);
    value.map(Json).map_err(|e| Refusal(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))
}

async fn remove(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    let id = uuid(&id)?;
    if heard(agent.ask(move |engine| engine.delete_port(id)).await)?? {
        Ok(Json(json!({})))
    } else {
        Err(not_found(id))
    }
}

async fn switch(agent: AgentHandle, id: String, enabled: bool) -> Answer {
    let id = uuid(&id)?;
    let known = heard(agent.ask(move |engine| engine.enable_port(id, enabled)).await)??;
    known.map(|()| Json(json!({}))).ok_or_else(|| not_found(id))
}

async fn enable(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    switch(agent, id, true).await
}

async fn disable(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    switch(agent, id, false).await
}

async fn sync(State(agent): State<AgentHandle>) -> Answer {
    let ports = heard(agent.ask(|engine| engine.reload_ports()).await)??;
    Ok(Json(json!({ "ports": ports })))
}
