//! Clients that are slow on purpose, or too many.

use axum::Router;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_api::{Limits, serve};

const SHORT: Duration = Duration::from_millis(300);
const LIMITS: Limits = Limits { connections: 4, header: SHORT, body: SHORT, write: SHORT };

async fn start() -> SocketAddr {
    let big = || async { vec![b'x'; 64 << 20] };
    let length = |body: String| async move { body.len().to_string() };
    let router = Router::new().route("/big", get(big)).route("/length", post(length));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router, LIMITS, std::future::pending()));
    address
}

/// Everything the server says until it closes.
async fn rest(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends a byte now and then, as long as that works.
async fn drip(client: &mut TcpStream, first: &str) -> Duration {
    let begin = Instant::now();
    client.write_all(first.as_bytes()).await.unwrap();
    while begin.elapsed() < Duration::from_secs(10) && client.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    begin.elapsed()
}

#[tokio::test]
async fn dripping_headers_are_cut_off() {
    let address = start().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    assert!(drip(&mut client, "GET /length HTTP/1.1\r\nhost: a\r\nx: ").await < Duration::from_secs(3));
}

#[tokio::test]
async fn dripping_bodies_are_answered_with_408() {
    let address = start().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nx").await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 408"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999\r\n\r\nx")
        .await
        .unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn whoever_takes_nothing_or_says_nothing_makes_place() {
    let address = start().await;
    let mut idle = Vec::new();
    for number in 0..LIMITS.connections * 3 {
        let mut client = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            client.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        }
        idle.push(client);
    }
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc";
    client.write_all(request).await.unwrap();
    assert!(rest(&mut client).await.ends_with("\r\n\r\n3"));
}
