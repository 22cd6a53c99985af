//! Secrets are sealed in the store, and plain for who may read them.

use crate::harness::Server;
use reqwest::Method;
use serde_json::{Value, json};
use weft_api::{Audit, Rotation};

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

#[tokio::test]
async fn a_secret_that_is_refused_is_repeated_neither_in_the_answer_nor_in_the_audit_log() {
    let server = Server::start(|access, directory| {
        access.with_audit(Audit::open(&directory.join("audit"), Rotation::default()).unwrap())
    })
    .await;
    let token = server.token("a", "admin").await;
    let headers = [("x-auth-token", token.as_str())];
    let router = |credentials: Value| {
        json!({"physical-router": {"fq_name": ["default-global-system-config", "r"],
            "physical_router_user_credentials": credentials}})
    };
    let annotated = |value: &str| {
        json!({"physical-router": {"fq_name": ["default-global-system-config", "r"],
            "annotations": {"key_value_pair": [{"key": "vendor-password", "value": value}]}}})
    };
    let bodies = [
        router(json!({"password": ["hunter2"]})),
        router(json!({"password": "hunter2\u{1}"})),
        router(json!("hunter2")),
        annotated("hunter2\u{1}"),
    ];
    for body in &bodies {
        let refused = server.send(Method::POST, "/physical-routers", &headers, Some(body.clone())).await;
        assert_eq!(refused.status().as_u16(), 400, "{body}");
        let text = refused.text().await.unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
    let good = router(json!({"username": "u", "password": "hunter2"}));
    let made = server.send(Method::POST, "/physical-routers", &headers, Some(good)).await;
    assert_eq!(made.status().as_u16(), 200);
    let path = server.directory.path().join("audit");
    let mut log = String::new();
    for _ in 0..500 {
        log = std::fs::read_to_string(&path).unwrap_or_default();
        if log.lines().count() > bodies.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(log.lines().count(), bodies.len() + 1);
    assert!(log.contains(weft_model::secrets::MASK) && !log.contains("hunter2"), "{log}");
}
