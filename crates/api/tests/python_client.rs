//! The published Python client of the existing system, unmodified, against the interface.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use weft_api::{ApiState, DerivedView, router};
use weft_store::{EmbeddedStore, Store};

/// Runs a script in its environment; the error is all it said.
fn run_script(script: &str, port: u16) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = Command::new(root.join("scripts/python-env.sh")).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !made.status.success() {
        return Err(format!("python environment: {}", text(&made.stderr)));
    }
    let python = text(&made.stdout);
    let ran = Command::new(python.trim())
        .arg(root.join("tests/python").join(script))
        .args(["127.0.0.1", &port.to_string()])
        .output()
        .map_err(|e| e.to_string())?;
    if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stdout) + &text(&ran.stderr)) }
}

/// Runs a script against a service of its own.
async fn drive(script: &'static str) {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED, NOT TESTED: python3 is not installed, so {script} was not run");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    let state = ApiState::new(Arc::clone(&store), DerivedView::start(store));
    state.bootstrap().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move { axum::serve(listener, router(state)).await });
    let said = tokio::task::spawn_blocking(move || run_script(script, port)).await.unwrap();
    server.abort();
    assert_eq!(said.unwrap_or_else(|error| panic!("{error}")).trim(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_client_works() {
    drive("test_vnc_api.py").await;
}

/// Every type the client knows: created, read, updated, listed, linked, deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_client_walks_every_type() {
    drive("test_all_types.py").await;
}

/// The document the service gives of itself is an OpenAPI 3.1 document to others, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_is_valid() {
    drive("test_openapi.py").await;
}
