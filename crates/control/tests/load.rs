//! Slow agents, many routes, and the HTTP side.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Lab, RED, timers};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_control::introspect_router;

#[tokio::test]
async fn a_slow_agent_gets_the_latest_state_and_holds_up_nobody() {
    let lab = Lab::start(timers(), true).await;
    let mut source = lab.agent("source", 1).await;
    let (mut slow, mut quick) = (lab.agent("slow", 2).await, lab.agent("quick", 3).await);
    for agent in [&mut source, &mut slow, &mut quick] {
        agent.subscribe(RED).await;
    }
    let (routes, rounds) = (4000, 5);
    let id = |n: u32| format!("10.1.{}.{}/32", n / 250, n % 250);
    for round in 0..rounds {
        for n in 0..routes {
            source.publish(RED, &id(n), 100 + round).await;
        }
        quick
            .until("all of a round", |quick| {
                quick.hops(RED, &id(routes - 1)).first().is_some_and(|hop| hop.1 == 100 + round)
                    && quick.routes.len() == routes as usize
            })
            .await;
    }
    let waiting = lab.peer("slow").await;
    assert!(waiting["session"]["messages_in_flight"].as_u64().unwrap() <= 16, "{waiting}");
    slow.until("the last state", |slow| {
        slow.routes.len() == routes as usize
            && (0..routes).all(|n| slow.hops(RED, &id(n))[0].1 == 100 + rounds - 1)
    })
    .await;
    assert!(slow.updates < (rounds * routes) as usize, "what it did not take in time was merged");
}

#[tokio::test]
async fn throughput_of_one_session() {
    let lab = Lab::start(timers(), true).await;
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    a.subscribe(RED).await;
    b.subscribe(RED).await;
    let start = Instant::now();
    for n in 0..5000_u32 {
        a.publish(RED, &format!("10.{}.{}.{}/32", n >> 16, (n >> 8) & 255, n & 255), 17).await;
    }
    b.until("all", |b| b.routes.len() == 5000).await;
    println!("5000 routes from agent to agent over TLS in {:?}", start.elapsed());
}

#[tokio::test]
async fn introspection_over_http() {
    let lab = Lab::start(timers(), true).await;
    let mut agent = lab.agent("host1", 1).await;
    agent.subscribe(RED).await;
    agent.publish(RED, "10.0.0.3/32", 20).await;
    lab.until_peer("host1", |p| p["routes_announced"] == 1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = introspect_router(lab.handle.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let routes = get(&format!("/introspect/routes?ri={RED}&table=inet")).await;
    assert!(routes.contains("10.0.0.3/32") && routes.contains("\"why\":\"in use\""), "{routes}");
    assert!(get("/introspect/routes?ri=nothing").await.starts_with("HTTP/1.1 404"));
    assert!(get(&format!("/introspect/routes?ri={RED}&table=x")).await.starts_with("HTTP/1.1 400"));
    assert!(get("/introspect/peers").await.contains("\"host1\""));
    assert!(get("/introspect/routing-instances").await.contains(RED));
    assert!(get("/introspect/status").await.contains("there is no virtual-router of that name"));
    tokio::time::sleep(Duration::from_millis(1)).await;
}
