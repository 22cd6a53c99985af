//! A service that asks who it is, on a free port of the loopback interface.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use weft_api::{Access, ApiState, DerivedView, Serving, router, serve_with};
use weft_auth::{AuthConfig, Authenticator, NewToken, SealedStore, Tokens};
use weft_store::{EmbeddedStore, Store};

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) tokens: Arc<Tokens>,
    /// What is in the store, as it is there.
    pub(crate) raw: Arc<dyn Store>,
    pub(crate) router: axum::Router,
    pub(crate) directory: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// With tokens, and what `more` adds.
    pub(crate) async fn start(more: impl FnOnce(Access, PathBuf) -> Access) -> Self {
        Self::start_with(AuthConfig::default(), more).await
    }

    pub(crate) async fn start_with(config: AuthConfig, more: impl FnOnce(Access, PathBuf) -> Access) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let raw: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path().join("store")).unwrap());
        let sealed = SealedStore::open(Arc::clone(&raw), &directory.path().join("key")).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(sealed);
        let tokens = Arc::new(Tokens::new(Arc::clone(&store)));
        let authenticator = Authenticator::new(Arc::clone(&tokens), config).unwrap();
        let access = Access::open().with_authenticator(authenticator);
        let access = more(access, directory.path().to_owned());
        let state = ApiState::new(Arc::clone(&store), DerivedView::start(store)).with_access(access);
        state.bootstrap().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(state);
        let serving = serve_with(listener, router.clone(), Serving::default(), std::future::pending());
        let task = tokio::spawn(serving);
        Self { url, client: reqwest::Client::new(), tokens, raw, router, directory, task }
    }

    /// A token with that role.
    pub(crate) async fn token(&self, name: &str, role: &str) -> String {
        let new = NewToken { roles: vec![role.to_owned()], ..NewToken::administrator(name) };
        self.tokens.create(new).await.unwrap().0.reveal().to_owned()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let response = self.send(Method::GET, path, headers, None).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// A virtual machine: needs nothing else.
pub(crate) fn machine(name: &str) -> Value {
    json!({"virtual-machine": {"fq_name": [name]}})
}
