//! A service on a free port of the loopback interface, over an empty store that the crate's root opens.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use weft_api::{ApiState, DerivedView, router};
use weft_store::Store;

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) store: Arc<dyn Store>,
    task: tokio::task::JoinHandle<()>,
    _kept: Box<dyn std::any::Any + Send + Sync>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let (store, kept) = crate::open_store().await;
        let state = ApiState::new(Arc::clone(&store), DerivedView::start(Arc::clone(&store)));
        state.bootstrap().await.unwrap();
        // Starting a second time changes nothing.
        let before = store.range("", None, 4096).await.unwrap().entries;
        state.bootstrap().await.unwrap();
        assert_eq!(store.range("", None, 4096).await.unwrap().entries, before);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router(state)).await.unwrap() });
        Self { url, client: reqwest::Client::new(), store, task, _kept: kept }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request =
                request.body(body.to_string()).header("content-type", "application/json; charset=\"UTF-8\"");
        }
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// A GET that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A POST that must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, text) = self.send(Method::POST, path, Some(body.clone())).await;
        assert_eq!(status, 200, "POST {path} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A request that must be refused with this status; returns the message.
    pub(crate) async fn refused(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> String {
        let (got, text) = self.send(method, path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{path} {body:?}: {text}");
        text
    }

    /// Creates an object and returns its uuid.
    pub(crate) async fn create(&self, object_type: &str, fields: Value) -> String {
        let out = self.post(&format!("/{object_type}s"), json!({object_type: fields})).await;
        out[object_type]["uuid"].as_str().unwrap().to_owned()
    }

    /// Reads an object.
    pub(crate) async fn read(&self, object_type: &str, uuid: &str) -> Value {
        self.get(&format!("/{object_type}/{uuid}")).await[object_type].clone()
    }

    pub(crate) async fn put(&self, object_type: &str, uuid: &str, fields: Value) {
        let path = format!("/{object_type}/{uuid}");
        let (status, text) = self.send(Method::PUT, &path, Some(json!({object_type: fields}))).await;
        assert_eq!(status, 200, "PUT {path}: {text}");
    }

    pub(crate) async fn delete(&self, object_type: &str, uuid: &str) {
        let (status, text) = self.send(Method::DELETE, &format!("/{object_type}/{uuid}"), None).await;
        assert_eq!((status.as_u16(), text.as_str()), (200, ""));
    }

    /// Creating an object must be refused with this status and a message that contains all of these.
    pub(crate) async fn no_create(&self, status: u16, object_type: &str, fields: Value, says: &[&str]) {
        let body = Some(json!({object_type: fields}));
        let text = self.refused(status, Method::POST, &format!("/{object_type}s"), body).await;
        assert!(says.iter().all(|part| text.contains(part)), "{says:?} in {text:?}");
    }

    /// A change must be refused with this status and a message that contains all of these.
    pub(crate) async fn no_put(
        &self,
        status: u16,
        object_type: &str,
        uuid: &str,
        fields: Value,
        says: &[&str],
    ) {
        let body = Some(json!({object_type: fields}));
        let text = self.refused(status, Method::PUT, &format!("/{object_type}/{uuid}"), body).await;
        assert!(says.iter().all(|part| text.contains(part)), "{says:?} in {text:?}");
    }

    /// The identity of a name.
    pub(crate) async fn id(&self, object_type: &str, fq_name: &[&str]) -> String {
        let out = self.post("/fqname-to-id", json!({"type": object_type, "fq_name": fq_name})).await;
        out["uuid"].as_str().unwrap().to_owned()
    }

    /// A network in the default project with one subnet.
    pub(crate) async fn network(&self, name: &str, prefix: &str, length: u8) -> String {
        self.create("virtual-network", network(name, &[(prefix, length)])).await
    }
}

/// The fields of a network in the default project.
pub(crate) fn network(name: &str, subnets: &[(&str, u8)]) -> Value {
    let subnets: Vec<Value> = subnets
        .iter()
        .map(|(p, l)| json!({"subnet": {"ip_prefix": p, "ip_prefix_len": l}, "default_gateway": null}))
        .collect();
    json!({
        "uuid": null, "fq_name": ["default-domain", "default-project", name], "parent_type": "project",
        "network_ipam_refs": [{
            "to": ["default-domain", "default-project", "default-network-ipam"],
            "attr": {"ipam_subnets": subnets, "host_routes": null},
        }],
    })
}

/// The name of an object in the default project.
pub(crate) fn named(name: &str) -> Value {
    json!(["default-domain", "default-project", name])
}
