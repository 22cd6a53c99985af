//! Agents over loopback with real TLS.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, Lab, RED, lone_network, network, timers};
use std::time::Duration;
use weft_control::Timers;
use weft_control::node::Query;
use weft_xmpp::items::RouteItem;
use weft_xmpp::stanza::Stanza;

#[tokio::test]
async fn routes_travel_between_networks_that_share_a_target() {
    let lab = Lab::start(timers(), true).await;
    lab.put(&lone_network("green", 3)).await;
    let green = "default-domain:default-project:green:green";
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    a.subscribe(RED).await;
    b.subscribe(RED).await;
    b.subscribe(BLUE).await;
    b.subscribe(green).await;
    a.publish(RED, "10.0.0.3/32", 17).await;
    a.publish(RED, "fd00::3/128", 17).await;
    a.publish_item(RED, a.evpn([2, 0, 0, 0, 0, 1], "10.0.0.3/32", 18)).await;
    b.until("routes", |b| b.routes.len() == 5).await;
    let Some(RouteItem::Unicast(item)) = b.route(BLUE, "10.0.0.3/32") else { panic!() };
    assert_eq!(item.virtual_network, "default-domain:default-project:red", "the origin is kept");
    assert_eq!(item.security_groups, [8_000_001]);
    assert_eq!(b.hops(BLUE, "fd00::3/128"), [("192.0.2.1".to_owned(), 17)]);
    assert!(b.route(RED, "02:00:00:00:00:01,10.0.0.3/32").is_some());
    assert!(b.route(BLUE, "02:00:00:00:00:01,10.0.0.3/32").is_none(), "broadcast domains stay apart");

    a.publish(RED, "10.0.0.3/32", 40).await;
    b.until("change", |b| b.hops(BLUE, "10.0.0.3/32") == [("192.0.2.1".to_owned(), 40)]).await;
    b.publish(BLUE, "10.0.1.4/32", 50).await;
    a.until("the other way", |a| a.hops(RED, "10.0.1.4/32") == [("192.0.2.2".to_owned(), 50)]).await;
    a.withdraw(RED, "10.0.0.3/32").await;
    b.until("withdraw", |b| b.route(BLUE, "10.0.0.3/32").is_none() && b.route(RED, "10.0.0.3/32").is_none())
        .await;
    a.unsubscribe(RED).await;
    b.until("all of it goes with the subscription", |b| b.routes.len() == 1).await;
    assert!(b.route(RED, "10.0.1.4/32").is_some(), "its own route, by way of the other network");
    assert!(a.routes.len() == 1, "the agent forgets by itself");
}

#[tokio::test]
async fn configuration_goes_to_the_agent_it_is_for() {
    let lab = Lab::start(timers(), true).await;
    lab.router("host1").await;
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    let router = |name: &str| ("virtual-router".to_owned(), format!("default-global-system-config:{name}"));
    a.subscribe_router("host1").await;
    a.until("configuration", |a| a.nodes.contains_key(&router("host1"))).await;
    b.subscribe_router("host1").await;
    lab.until_peer("host2", |p| {
        p["session"]["last_error"]["text"].as_str().is_some_and(|t| t.contains("not for"))
    })
    .await;
    b.subscribe_router("host2").await;
    lab.router("host2").await;
    b.until("configuration once there is a virtual-router", |b| b.nodes.contains_key(&router("host2"))).await;
    assert!(!b.nodes.contains_key(&router("host1")));
    lab.delete(&common::router("host2")).await;
    b.until("deletion", |b| b.nodes.is_empty()).await;
}

#[tokio::test]
async fn what_comes_before_its_routing_instance_waits_for_it() {
    let lab = Lab::start(timers(), true).await;
    let late = "default-domain:default-project:late:late";
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    b.subscribe(RED).await;
    a.subscribe(late).await;
    a.publish(late, "10.0.0.9/32", 20).await;
    lab.until_peer("host1", |p| p["routes_parked"] == 1).await;
    lab.put(&network("late", 9)).await;
    b.until("route", |b| b.route(RED, "10.0.0.9/32").is_some()).await;
    lab.delete(&network("late", 9)).await;
    b.until("withdraw", |b| b.routes.is_empty()).await;
}

#[tokio::test]
async fn end_of_rib_follows_what_is_known() {
    let mut lab = Lab::start(timers(), true).await;
    for name in ["host1", "host2"] {
        lab.router(name).await;
    }
    // As after a restart: the agents were there before.
    lab.restart().await;
    let mut a = lab.agent("host1", 1).await;
    a.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    a.send(Stanza::EndOfRib).await;
    a.linger(Duration::from_millis(1500)).await;
    assert!(!a.end_of_rib, "host2 is not back yet");
    let mut b = lab.agent("host2", 2).await;
    b.subscribe(RED).await;
    b.publish(RED, "10.0.0.4/32", 20).await;
    b.until("end-of-RIB after the quiet time", |b| b.end_of_rib).await;
    assert!(b.route(RED, "10.0.0.3/32").is_some(), "nothing is missing then");
    a.until("end-of-RIB", |a| a.end_of_rib).await;
    assert!(a.route(RED, "10.0.0.4/32").is_some());
    assert_eq!(lab.ask(Query::Status).await["converged"], true);
}

#[tokio::test]
async fn a_bad_peer_closes_its_own_session_only() {
    let lab = Lab::start(timers(), true).await;
    let mut good = lab.agent("host1", 1).await;
    good.subscribe(RED).await;
    let bad_things: [&[u8]; 4] = [
        b"<iq><pubsub",
        b"<iq type='set' id='subscribe1'><pubsub><subscribe/></pubsub></iq>",
        b"<a><b></a>",
        &[0xff; 64],
    ];
    for (n, bytes) in bad_things.iter().enumerate() {
        let mut bad = lab.agent("host2", 2).await;
        bad.send_raw(bytes).await;
        if n == 0 {
            bad.send_raw(b" <<>").await;
        }
        bad.until_closed().await;
    }
    let mut twice = lab.agent("host2", 2).await;
    twice.subscribe(RED).await;
    twice.subscribe(RED).await;
    twice.until_closed().await;
    let mut spurious = lab.agent("host2", 2).await;
    spurious.unsubscribe(RED).await;
    spurious.until_closed().await;
    let peer = lab.until_peer("host2", |p| p["state"] == "down" || p.is_null()).await;
    assert!(
        peer.is_null() || peer["last_close"]["reason"].as_str().unwrap().contains("not subscribed"),
        "{peer}"
    );
    good.publish(RED, "10.0.0.3/32", 20).await;
    lab.until_peer("host1", |p| p["routes_announced"] == 1).await;
    assert!(good.closed.is_none());
}

#[tokio::test]
async fn refused_routes_are_counted_and_do_no_harm() {
    let lab = Lab::start(timers(), true).await;
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    a.subscribe(RED).await;
    b.subscribe(RED).await;
    a.publish(BLUE, "10.0.0.3/32", 20).await;
    a.publish(RED, "10.0.0.4/32", 0).await;
    a.publish(RED, "10.0.0.5/32", 20).await;
    b.until("the good one", |b| b.route(RED, "10.0.0.5/32").is_some()).await;
    let peer = lab.peer("host1").await;
    assert_eq!(peer["session"]["routes_refused"], 2);
    assert_eq!(b.routes.len(), 1);
    let status = lab.ask(Query::Status).await;
    assert!(status["problems"].to_string().contains("no label"), "{status}");
}

#[tokio::test]
async fn only_the_right_certificate_is_let_in() {
    let lab = Lab::start(timers(), true).await;
    let to = lab.handle.address();
    let own = lab.certs("host1");
    let refused = async |name: &str, certs: Option<&std::path::Path>| {
        let outcome = common::Agent::connect(to, name, 1, certs).await;
        // The agent may see itself established before it sees that it is shut out.
        match outcome {
            Err(_) => {}
            Ok(mut agent) => agent.until_closed().await,
        }
    };
    refused("host2", Some(&own)).await;
    let stranger = lab.dir.path().join("stranger");
    weft_tls::make_ca(&stranger).unwrap();
    weft_tls::make_node_cert(&stranger, "host1", &[], &stranger).unwrap();
    // It trusts the right authority, but its own certificate is another's.
    std::fs::copy(own.join("ca.pem"), stranger.join("ca.pem")).unwrap();
    refused("host1", Some(&stranger)).await;
    refused("host1", None).await;
    let status = lab.until_status(|s| s["refused_connections"].as_array().unwrap().len() == 3).await;
    let refusals = &status["refused_connections"];
    assert!(refusals[0]["reason"].as_str().unwrap().contains("calls itself host2"), "{status}");
    assert!(lab.ask(Query::Peers).await.as_array().unwrap().is_empty());
    assert!(common::Agent::connect(to, "host1", 1, Some(&own)).await.is_ok());
}

#[tokio::test]
async fn an_agent_that_comes_back_is_not_missed() {
    let lab = Lab::start(timers(), true).await;
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    a.subscribe(RED).await;
    b.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    a.publish(RED, "10.0.0.4/32", 21).await;
    b.until("routes", |b| b.routes.len() == 2).await;
    drop(a);
    lab.until_peer("host1", |p| p["routes_stale"] == 2).await;
    let mut a = lab.agent("host1", 1).await;
    a.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    lab.until_peer("host1", |p| p["routes_stale"] == 1).await;
    b.linger(Duration::from_millis(300)).await;
    assert_eq!((b.updates, b.retracts), (2, 0), "nobody noticed");
    a.send(Stanza::EndOfRib).await;
    b.until("what is not there any more goes", |b| b.route(RED, "10.0.0.4/32").is_none()).await;
    assert_eq!((b.updates, b.retracts), (2, 1));
}

#[tokio::test]
async fn an_agent_that_stays_away_loses_its_routes() {
    let lab = Lab::start(Timers { stale: Duration::from_millis(1500), ..timers() }, true).await;
    lab.router("host1").await;
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    a.subscribe(RED).await;
    b.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    b.until("route", |b| b.routes.len() == 1).await;
    drop(a);
    let left = std::time::Instant::now();
    b.until("sweep", |b| b.routes.is_empty()).await;
    assert!(left.elapsed() >= Duration::from_millis(1400), "{:?}", left.elapsed());
    let status = lab.ask(Query::Status).await;
    assert!(status["problems"].to_string().contains("agent host1: no session"), "{status}");
}

#[tokio::test]
async fn a_restarted_control_node_waits_for_everybody() {
    let mut lab = Lab::start(timers(), true).await;
    for name in ["host1", "host2"] {
        lab.router(name).await;
    }
    let (mut a, mut b) = (lab.agent("host1", 1).await, lab.agent("host2", 2).await);
    b.subscribe(RED).await;
    a.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    b.until("route", |b| b.routes.len() == 1).await;
    lab.restart().await;
    b.until_closed().await;
    assert_eq!(b.retracts, 0, "the end of a session takes nothing back");
    let mut b = lab.agent("host2", 2).await;
    b.subscribe(RED).await;
    b.send(Stanza::EndOfRib).await;
    b.linger(Duration::from_millis(1500)).await;
    assert!(!b.end_of_rib && b.routes.is_empty());
    let mut a = lab.agent("host1", 1).await;
    a.subscribe(RED).await;
    a.publish(RED, "10.0.0.3/32", 20).await;
    a.send(Stanza::EndOfRib).await;
    b.until("end-of-RIB", |b| b.end_of_rib).await;
    assert_eq!(b.routes.len(), 1);
}

#[tokio::test]
async fn without_tls_the_newer_session_of_a_host_wins() {
    let lab = Lab::start(timers(), false).await;
    let mut old = lab.agent("host1", 1).await;
    old.subscribe(RED).await;
    old.publish(RED, "10.0.0.3/32", 20).await;
    lab.until_peer("host1", |p| p["routes_announced"] == 1).await;
    let mut new = lab.agent("host1", 1).await;
    old.until_closed().await;
    new.subscribe(RED).await;
    let peer = lab.until_peer("host1", |p| p["subscriptions"] == 1 && p["sessions"] == 2).await;
    assert_eq!(peer["routes_stale"], 1);
    assert!(new.closed.is_none());
}
