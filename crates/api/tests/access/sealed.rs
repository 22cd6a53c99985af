//! Secrets are sealed in the store, and plain for who may read them.

use crate::harness::Server;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_password_is_read_back_but_not_in_the_store() {
    let server = Server::start(|access, _| access).await;
    let token = server.token("a", "admin").await;
    let headers = [("x-auth-token", token.as_str())];
    let pairs = json!({"key_value_pair": [{"key": "password", "value": "hunter2"}, {"key": "note", "value": "plain"}]});
    let body = json!({"virtual-machine": {"fq_name": ["m"], "annotations": pairs}});
    let made = server.send(Method::POST, "/virtual-machines", &headers, Some(body)).await;
    assert_eq!(made.status().as_u16(), 200);
    let made: Value = made.json().await.unwrap();
    let uuid = made["virtual-machine"]["uuid"].as_str().unwrap();
    let read: Value =
        serde_json::from_str(&server.get(&format!("/virtual-machine/{uuid}"), &headers).await.1).unwrap();
    assert_eq!(read["virtual-machine"]["annotations"], pairs);
    let all = server.raw.range("", None, 100_000).await.unwrap();
    let all: Vec<_> = all.entries.iter().map(|e| String::from_utf8_lossy(&e.value).into_owned()).collect();
    assert!(
        all.iter().any(|value| value.contains("plain")) && !all.iter().any(|value| value.contains("hunter2"))
    );
}
