//! The REST interface on its own, over an embedded store: `serve --listen 127.0.0.1:8082 --data DIR`.
//! For trying clients out and for tests; the controller is `weft controller`.

use std::path::PathBuf;
use std::sync::Arc;
use weft_api::{ApiState, DerivedView, Limits, router};
use weft_store::{EmbeddedStore, Store};

type AnyError = Box<dyn std::error::Error>;

fn arguments() -> Result<(String, PathBuf), AnyError> {
    let (mut listen, mut data) = ("127.0.0.1:8082".to_owned(), None);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = value,
            "--data" => data = Some(PathBuf::from(value)),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok((listen, data.ok_or("--data DIR is missing")?))
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let (listen, data) = arguments()?;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&data)?);
    let state = ApiState::new(Arc::clone(&store), DerivedView::start(store));
    state.bootstrap().await?;
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    println!("listening on {}", listener.local_addr()?);
    weft_api::serve(listener, router(state), Limits::default(), std::future::pending()).await;
    Ok(())
}
