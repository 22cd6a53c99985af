//! The REST interface over a real listener and an embedded store.
#![allow(clippy::unwrap_used, clippy::panic)]

mod actions;
mod addresses;
mod consistency;
mod derived;
mod devices;
mod drafts;
mod floating;
mod harness;
mod interfaces;
mod lists;
mod objects;
mod policies;
mod quotas;
mod round_trip;
mod routers;
mod services;
mod slow_clients;
mod system;
mod tags;
mod updates;
mod watch;
mod watchers;

use std::any::Any;
use std::sync::Arc;
use weft_store::{EmbeddedStore, Store};

/// An empty store, and what must live as long as it is used.
pub(crate) async fn open_store() -> (Arc<dyn Store>, Box<dyn Any + Send + Sync>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    (store, Box::new(directory))
}
