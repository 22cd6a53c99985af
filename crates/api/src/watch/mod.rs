//! `GET /watch?resource_type=a,b&<a>_fields=..`: server-sent events (wire-facts 2.1).
//!
//! First one `init` event per type with all its objects, then `CREATE`, `UPDATE` and `DELETE` as they happen. The last
//! event of a transaction carries its revision as `id:`, so that a client that comes back with `Last-Event-ID` (or
//! `?revision=`) goes on exactly where it was. What can not be told change by change any more is told as `RESYNC`,
//! followed by fresh `init` events: the client forgets what it knew.
//!
//! A stream whose token has expired or was revoked ends within seconds, with `END` as its last event.
//!
//! One watch of the store feeds all clients (hub.rs). A client is a position in the sequence of changes and nothing
//! else (client.rs): it costs no memory however slow it is, and no task; it is served when its connection takes bytes.

mod client;
mod hub;
mod sight;
mod snapshot;
mod standing;

pub(crate) use hub::Hub;

use crate::authz::{Caller, Operation, Sight};
use crate::http::{Base, Query};
use crate::identity::Shown;
use crate::render::View;
use crate::{ApiError, ApiState};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use client::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_model::ObjectType;
use weft_store::Revision;

/// Header with the last event a client has seen (the HTML standard's server-sent events).
const LAST_EVENT_ID: &str = "last-event-id";

/// How each watched type is shown.
type Views = BTreeMap<ObjectType, Arc<View>>;

/// The stream of events.
pub(crate) async fn watch(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    query: Query,
    shown: Shown,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let views = views(&caller, &base, &query)?;
    let from = resume_from(&query, &headers)?;
    let place = state.watcher()?;
    let client = Client::new(state, (caller, shown), views, from, place).await?;
    let mut response = Body::from_stream(client.events()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The revision a client has seen already. The header wins: browsers repeat the URL as it was.
fn resume_from(query: &Query, headers: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    let text = headers.get(LAST_EVENT_ID).and_then(|v| v.to_str().ok()).filter(|text| !text.is_empty());
    let Some(text) = text.or_else(|| query.get("revision")) else { return Ok(None) };
    let revision = text.parse::<Revision>().map_err(|_| {
        let text: String = text.chars().take(80).collect();
        ApiError::bad_request(format!("Invalid revision {text:?}: it is the id of an earlier event"))
    })?;
    Ok(Some(revision))
}

fn views(caller: &Caller, base: &Base, query: &Query) -> Result<Views, ApiError> {
    let names =
        query.list("resource_type").ok_or_else(|| ApiError::bad_request("resource_type is missing"))?;
    let mut views = Views::new();
    for name in names {
        let object_type: ObjectType =
            name.parse().map_err(|e: weft_model::ModelError| ApiError::bad_request(e.to_string()))?;
        if object_type.info().derived {
            let message = format!(
                "{object_type} objects are derived and can not be watched, watch what they are made of"
            );
            return Err(ApiError::bad_request(message));
        }
        caller.allowed(Operation::Read, object_type.name(), [])?;
        let fields = query.list(&format!("{name}_fields"));
        let fields = fields.or_else(|| query.list(&format!("{}_fields", object_type.json_name())));
        let fields = fields.map(|list| list.into_iter().collect());
        let sight = Sight::of(caller);
        let view = View { base: base.0.clone(), hrefs: true, fields, sight, ..View::default() };
        views.insert(object_type, Arc::new(view));
    }
    Ok(views)
}
