//! Server-sent events.

use crate::harness::Server;
use serde_json::{Value, json};
use std::time::Duration;

/// Reads events until `count` have come.
async fn events(response: &mut reqwest::Response, buffer: &mut String, count: usize) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    while out.len() < count {
        while let Some(end) = buffer.find("\n\n") {
            let block: String = buffer.drain(..end + 2).collect();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                out.push((event.to_owned(), serde_json::from_str(data).unwrap()));
            }
        }
        if out.len() < count {
            let chunk =
                tokio::time::timeout(Duration::from_secs(20), response.chunk()).await.unwrap().unwrap();
            buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
    out
}

#[tokio::test]
async fn a_watcher_sees_the_present_and_every_change() {
    let server = Server::start().await;
    let first = server.create("virtual-machine", json!({"fq_name": ["first"]})).await;
    let url = format!(
        "{}/watch?resource_type=virtual-machine,project&virtual_machine_fields=display_name",
        server.url
    );
    let mut response = server.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut buffer = String::new();
    let initial = events(&mut response, &mut buffer, 2).await;
    assert!(initial.iter().all(|(name, _)| name == "init"));
    let machines = initial.iter().find(|(_, data)| data["type"] == "virtual-machine").unwrap();
    assert_eq!(machines.1["objects"][0]["virtual-machine"]["uuid"], first);
    let second = server.create("virtual-machine", json!({"fq_name": ["second"]})).await;
    server.network("not-watched", "10.0.0.0", 24).await;
    server.put("virtual-machine", &first, json!({"display_name": "x"})).await;
    server.delete("virtual-machine", &second).await;
    let seen = events(&mut response, &mut buffer, 3).await;
    let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CREATE", "UPDATE", "DELETE"]);
    assert_eq!(seen[0].1["virtual-machine"]["uuid"], second);
    assert_eq!(seen[1].1["virtual-machine"]["display_name"], "x");
    assert_eq!(seen[2].1["virtual-machine"], json!({"uuid": second, "fq_name": ["second"]}));
    let bad = server
        .client
        .get(format!("{}/watch?resource_type=routing-instance", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
}
