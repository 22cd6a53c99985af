//! Actions beside objects: clients' keys and values, and what this service does not do.

use crate::harness::Server;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn keys_and_values_of_clients() {
    let server = Server::start().await;
    let store = |key: &str| json!({"operation": "STORE", "key": key, "value": {"a": 1}});
    server.post("/useragent-kv", store("one")).await;
    server.post("/useragent-kv", store("two")).await;
    let one = json!({"operation": "RETRIEVE", "key": "one"});
    assert_eq!(server.post("/useragent-kv", one.clone()).await, json!({"value": {"a": 1}}));
    let all = server.post("/useragent-kv", json!({"operation": "RETRIEVE", "key": null})).await;
    assert_eq!(all["value"].as_array().unwrap().len(), 2);
    server.post("/useragent-kv", json!({"operation": "DELETE", "key": "one"})).await;
    server.refused(404, Method::POST, "/useragent-kv", Some(one)).await;
    let bad = json!({"operation": "FORGET", "key": "one"});
    let text = server.refused(400, Method::POST, "/useragent-kv", Some(bad)).await;
    assert!(text.contains("FORGET"), "{text}");
}

#[tokio::test]
async fn what_is_not_done_here_is_said() {
    let server = Server::start().await;
    let links = server.get("/").await;
    let links = links["links"].as_array().unwrap();
    for (name, path, says) in [
        ("execute-job", "/execute-job", "not yet"),
        ("abort-job", "/abort-job", "not yet"),
        ("database-check", "/db-check", "weft store check"),
        ("fetch-records", "/fetch-records", "weft store export"),
        ("amqp-publish", "/amqp-publish", "/watch"),
        ("hbs-get", "/hbs-get", "not yet"),
    ] {
        let href = format!("{}{path}", server.url);
        assert!(
            links.iter().any(|l| l["link"]["name"] == name && l["link"]["href"] == href.as_str()),
            "{name}"
        );
        let text = server.refused(400, Method::POST, path, Some(json!({}))).await;
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(server.post("/obj-cache", json!({})).await["enabled"], false);
}
