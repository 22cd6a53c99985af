//! Every request has an identity before a handler sees it: `Extension<Arc<Identity>>`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use weft_auth::Identity;

/// Puts the identity of who makes the request into its extensions.
pub async fn layer(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Arc::new(Identity::local("anonymous")));
    next.run(request).await
}
