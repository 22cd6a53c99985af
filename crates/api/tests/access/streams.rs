//! Streams do not outlive the token they were opened with.

use crate::harness::Server;
use reqwest::{Method, Response};
use std::time::{Duration, Instant};
use weft_auth::NewToken;

/// Reads a stream to its end, which must come within a time.
async fn rest(mut response: Response, patience: Duration) -> String {
    let mut text = Vec::new();
    let reading = async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.extend_from_slice(&chunk);
        }
    };
    tokio::time::timeout(patience, reading).await.expect("the stream goes on");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_watch_ends_when_its_token_is_revoked_or_expires() {
    let server = Server::start(|access, _| access).await;
    let (revoked, kept) = (server.token("revoked", "admin").await, server.token("kept", "admin").await);
    let short = NewToken { expires_in: Some(2), ..NewToken::administrator("short") };
    let short = server.tokens.create(short).await.unwrap().0.reveal().to_owned();
    let watch = async |token: &str| {
        let path = "/watch?resource_type=project";
        let response = server.send(Method::GET, path, &[("x-auth-token", token)], None).await;
        assert_eq!(response.status().as_u16(), 200);
        response
    };
    let (by_revoked, by_short, mut by_kept) =
        (watch(&revoked).await, watch(&short).await, watch(&kept).await);
    assert!(server.tokens.revoke("revoked").await.unwrap());
    let (ends, began) = (Duration::from_secs(20), Instant::now());
    let (revoked, short) = tokio::join!(rest(by_revoked, ends), rest(by_short, ends));
    assert!(began.elapsed() > Duration::from_secs(1));
    let end = |why: &str| format!("event: END\ndata: {{\"reason\":\"{why}\"}}\n\n");
    assert!(
        revoked.starts_with("event: init\n") && revoked.ends_with(&end("the token is unknown or revoked")),
        "{revoked}"
    );
    assert!(short.ends_with(&end("the token has expired")), "{short}");
    // Who may stay, stays: there is the snapshot, and then nothing.
    assert!(by_kept.chunk().await.unwrap().is_some());
    let more = tokio::time::timeout(Duration::from_secs(1), by_kept.chunk()).await;
    assert!(more.is_err(), "{more:?}");
}
