//! The audit log: what it says, and that nothing is written without it.

use crate::harness::{Server, machine};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use weft_api::{Audit, Rotation};

/// The lines once there are that many.
async fn lines(path: &Path, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {count} lines in {}", path.display());
}

#[tokio::test]
async fn every_write_is_recorded_with_before_and_after() {
    let server = Server::start(|access, directory| {
        access.with_audit(Audit::open(&directory.join("audit"), Rotation::default()).unwrap())
    })
    .await;
    let token = server.token("ops", "admin").await;
    let headers = [("x-auth-token", token.as_str()), ("x-request-id", "req-1")];
    let made = server.send(Method::POST, "/virtual-machines", &headers, Some(machine("m"))).await;
    let made: Value = made.json().await.unwrap();
    let uuid = made["virtual-machine"]["uuid"].as_str().unwrap();
    let path = format!("/virtual-machine/{uuid}");
    let pairs = json!({"key_value_pair": [{"key": "root-password", "value": "hunter2"}, {"key": "note", "value": "seen"}]});
    let update = json!({"virtual-machine": {"display_name": "new", "annotations": pairs}});
    assert_eq!(server.send(Method::PUT, &path, &headers, Some(update)).await.status().as_u16(), 200);
    let refused = server.send(Method::POST, "/virtual-machines", &headers, Some(machine("m"))).await;
    assert_eq!(refused.status().as_u16(), 409);
    assert_eq!(server.get(&path, &headers).await.0, 200);
    assert_eq!(server.send(Method::DELETE, &path, &headers, None).await.status().as_u16(), 200);

    let lines = lines(&server.directory.path().join("audit"), 4).await;
    assert_eq!(lines.len(), 4, "reading is not recorded");
    let outcomes: Vec<_> =
        lines.iter().map(|l| (l["method"].as_str().unwrap(), l["outcome"].as_str().unwrap())).collect();
    assert_eq!(outcomes, [("POST", "done"), ("PUT", "done"), ("POST", "refused"), ("DELETE", "done")]);
    for line in &lines {
        assert_eq!(
            (&line["user"], &line["kind"], &line["request_id"]),
            (&json!("ops"), &json!("token"), &json!("req-1"))
        );
        assert!(
            line["from"].as_str().unwrap().starts_with("127.0.0.1:")
                && line["time"].as_str().unwrap().ends_with('Z')
        );
    }
    let change = |n: usize| &lines[n]["changes"][0];
    assert_eq!(
        (&change(0)["operation"], &change(0)["uuid"], &change(0)["before"]),
        (&json!("create"), &json!(uuid), &Value::Null)
    );
    assert_eq!(change(0)["fq_name"], "m");
    let update = change(1);
    assert_eq!(
        (&update["before"]["display_name"], &update["after"]["display_name"]),
        (&Value::Null, &json!("new"))
    );
    assert!(update["after"]["uuid"].is_null(), "what did not change is left out: {update}");
    let text = update.to_string();
    assert!(text.contains("seen") && !text.contains("hunter2"), "{text}");
    assert_eq!((lines[2]["status"].as_u64(), lines[2]["changes"].as_array().unwrap().len()), (Some(409), 0));
    assert!(lines[2]["message"].as_str().unwrap().contains("already exists"));
    assert_eq!((&change(3)["operation"], &change(3)["after"]), (&json!("delete"), &Value::Null));
    assert_eq!(change(3)["before"]["display_name"], "new");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_lose_the_line_of_what_it_did() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start(|access, directory| {
        access.with_audit(Audit::open(&directory.join("audit"), Rotation::default()).unwrap())
    })
    .await;
    let token = server.token("ops", "admin").await;
    let address = server.url.strip_prefix("http://").unwrap();
    for number in 0..20 {
        let body = machine(&format!("m{number}")).to_string();
        let text = format!(
            "POST /virtual-machines HTTP/1.1\r\nhost: a\r\nx-auth-token: {token}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        if number % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let text = std::fs::read_to_string(server.directory.path().join("audit")).unwrap_or_default();
    let list = server.get("/virtual-machines", &[("x-auth-token", &token)]).await.1;
    let list: Value = serde_json::from_str(&list).unwrap();
    let made = list["virtual-machines"].as_array().unwrap();
    assert!(!made.is_empty(), "no request arrived");
    for machine in made {
        assert!(text.contains(machine["uuid"].as_str().unwrap()), "no line for {machine}");
    }
}

#[tokio::test]
async fn nothing_is_written_that_cannot_be_recorded() {
    // A disk that is always full.
    let server = Server::start(|access, _| {
        access.with_audit(Audit::open(Path::new("/dev/full"), Rotation::default()).unwrap())
    })
    .await;
    let token = server.token("ops", "admin").await;
    let headers = [("x-auth-token", token.as_str())];
    // The first one finds it out.
    server.send(Method::POST, "/virtual-machines", &headers, Some(machine("first"))).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = server.send(Method::POST, "/virtual-machines", &headers, Some(machine("second"))).await;
    assert_eq!(refused.status().as_u16(), 503);
    assert!(refused.text().await.unwrap().contains("nothing was changed"));
    let list = server.get("/virtual-machines", &headers).await.1;
    assert!(list.contains("first") && !list.contains("second"), "{list}");
}
