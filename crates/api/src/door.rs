//! What every request passes before its handler: its body is read whole, a write gets its place in the audit log, and its
//! caller is admitted or refused. One layer for all of it: each layer costs a request copies of all that is below.

use crate::serve::{Limits, whole};
use crate::{ApiState, audit, authz};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Lets a request in. Its identity is known already: nothing of a body is read before it is known who sends it.
pub(crate) async fn layer(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let request = match whole(request, Limits::default().body).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let access = Arc::clone(state.access());
    let admitted = move |request| async move {
        match authz::admit(&state, request).await {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    };
    audit::recorded(&access, request, admitted).await
}
