//! The REST interface of the existing system (wire-facts 2), stateless over the store.
//!
//! A write is one transaction: the object, its rows under parent and referents, and every number it owns. It holds that
//! what a reference points to exists, that no number is given out twice, and that an object with children or referrers
//! stays. Objects the compiler derives are shown read-only beside the stored ones.

mod actions;
mod alloc;
mod audit;
mod authz;
mod collections;
mod derived;
mod discovery;
mod door;
mod error;
mod filter;
mod hooks;
mod http;
pub mod identity;
mod import;
mod ips;
mod limits;
mod list;
mod members;
mod names;
mod objects;
pub mod openapi;
pub mod parse;
mod plan;
mod refs;
mod render;
mod resolve;
mod serve;
mod singletons;
mod state;
mod subnets;
mod time;
mod tls;
mod tokens;
mod view;
mod watch;
mod write;

pub use audit::{Audit, Rotation};
pub use authz::{AaaMode, Authz};
pub use derived::{BackReference, DerivedSource};
pub use error::ApiError;
pub use identity::Access;
pub use import::{Imported, import};
pub use limits::MAX_JSON_DEPTH;
pub use serve::{Limits, Serving, serve, serve_with, whole_bodies};
pub use state::ApiState;
pub use tls::{Connection, Peer, ServerTls};
pub use view::DerivedView;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use std::sync::Arc;

/// Largest body of a request, in bytes (413 beyond).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The interface: every request has an identity, and is refused unless it may do what it asks for.
pub fn router(state: ApiState) -> Router {
    let access = Arc::clone(state.access());
    routes(state).layer(from_fn_with_state(access, identity::layer))
}

/// The interface without the layer that establishes identities: a request is refused unless a layer around this one has
/// put an `Arc<Identity>` into its extensions.
pub fn routes(state: ApiState) -> Router {
    let door = from_fn_with_state(state.clone(), door::layer);
    let routes = Router::new()
        .route("/", get(discovery::document))
        .route("/openapi.json", get(openapi::json))
        .route("/documentation", get(openapi::page))
        .route("/documentation/", get(openapi::page))
        .route("/documentation/index.html", get(openapi::page))
        .route("/aaa-mode", get(authz::actions::aaa_mode).put(authz::actions::set_aaa_mode))
        .route("/obj-perms", get(authz::actions::obj_perms))
        .route("/chown", post(authz::actions::chown))
        .route("/chmod", post(authz::actions::chmod))
        .route("/fqname-to-id", post(names::to_id))
        .route("/id-to-fqname", post(names::to_name))
        .route("/useragent-kv", post(names::key_value))
        .route("/ref-update", post(refs::update))
        .route("/ref-relax-for-delete", post(refs::relax))
        .route("/prop-collection-update", post(collections::update))
        .route("/prop-collection-get", get(collections::get))
        .route("/list-bulk-collection", post(list::bulk))
        .route("/watch", get(watch::watch))
        .route("/virtual-network/{id}/ip-alloc", post(ips::alloc))
        .route("/virtual-network/{id}/ip-free", post(ips::free))
        .route("/virtual-network/{id}/subnet-ip-count", post(ips::count))
        .merge(actions())
        .route("/{collection}", get(list::list).post(objects::create))
        .route("/{type}/{id}", get(objects::read).put(objects::update).delete(objects::delete))
        .route("/weft/tokens", get(tokens::list).post(tokens::create))
        .route("/weft/tokens/{id}", delete(tokens::revoke))
        .layer(door);
    routes.with_state(state)
}

/// Actions beside those on names, references and elements.
fn actions() -> Router<ApiState> {
    use actions::{answers, drafts, set_tag};
    Router::new()
        .route("/set-tag", post(set_tag::handle))
        .route("/security-policy-draft", post(drafts::handle))
        .route("/execute-job", post(answers::execute_job))
        .route("/abort-job", post(answers::abort_job))
        .route("/obj-cache", post(answers::obj_cache))
        .route("/db-check", post(answers::database_check))
        .route("/fetch-records", post(answers::fetch_records))
        .route("/amqp-publish", post(answers::amqp))
        .route("/amqp-request", post(answers::amqp))
        .route("/hbs-get", post(answers::hbs_get))
}
