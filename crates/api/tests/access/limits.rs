//! Rates, and what is too large or too deep.

use crate::harness::Server;
use reqwest::Method;

#[tokio::test]
async fn bad_tokens_are_slowed_down_and_good_ones_are_not() {
    let server = Server::start(|access, _| access).await;
    let good = server.token("a", "admin").await;
    assert_eq!(server.get("/projects", &[("x-auth-token", &good)]).await.0, 200);
    let mut statuses = Vec::new();
    for number in 0..200 {
        let bad = format!("weft_{number}");
        statuses.push(server.get("/projects", &[("x-auth-token", &bad)]).await.0);
    }
    assert_eq!(statuses[0], 401);
    let slowed = statuses.iter().filter(|s| **s == 429).count();
    assert!(slowed > 20 && statuses.iter().all(|s| *s == 401 || *s == 429), "{statuses:?}");
    // From the same address, somebody who is known.
    assert_eq!(server.get("/projects", &[("x-auth-token", &good)]).await.0, 200);
}

#[tokio::test]
async fn a_user_has_a_rate_and_administrators_have_none() {
    let server = Server::start(|access, _| access.with_rate(5)).await;
    let (admin, member) = (server.token("a", "admin").await, server.token("m", "member").await);
    let mut refused = 0;
    for _ in 0..40 {
        let response = server.send(Method::GET, "/", &[("x-auth-token", &member)], None).await;
        if response.status().as_u16() == 429 {
            assert_eq!(response.headers()["retry-after"], "1");
            refused += 1;
        }
        assert_eq!(server.get("/", &[("x-auth-token", &admin)]).await.0, 200);
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn deep_and_large_bodies_are_refused_and_strangers_need_not_send_theirs() {
    let server = Server::start(|access, _| access).await;
    let token = server.token("a", "admin").await;
    let post = |body: String, token: &str| {
        let request = server.client.post(format!("{}/virtual-machines", server.url));
        request.header("x-auth-token", token).body(body).send()
    };
    let deep = format!("{{\"virtual-machine\": {}{}}}", "[".repeat(100), "]".repeat(100));
    let refused = post(deep, &token).await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    assert!(refused.text().await.unwrap().contains("levels deep"));
    let large = post(" ".repeat(weft_api::MAX_BODY_BYTES + 1), &token).await.unwrap();
    assert_eq!(large.status().as_u16(), 413);

    // A stranger announces a body and gets the answer before a byte of it.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream
        .write_all(b"POST /virtual-machines HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(5), read).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}
