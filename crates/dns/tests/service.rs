//! The service over real sockets: marked queries, an upstream, limits, malformed packets.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::json;
use tokio::net::UdpSocket;
use uuid::Uuid;
use weft_dns::edns::{tag_query, untag_response};
use weft_dns::{DnsConfig, DnsService, ZoneBuilder, Zones};
use weft_model::{FqName, Object, ObjectType, Reference};

const NET: &str = "d:p:net";

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn object(object_type: ObjectType, number: u128, fq_name: &str, refs: &[(ObjectType, u128)]) -> Object {
    let name = FqName(fq_name.split(':').map(str::to_owned).collect());
    let mut object = Object::new(object_type, Uuid::from_u128(number), name);
    for (to, number) in refs {
        let reference = Reference { uuid: Uuid::from_u128(*number), fq_name: FqName(vec![]), attr: None };
        object.refs.entry(*to).or_default().push(reference);
    }
    object
}

/// One network with the workload `web` on `count` addresses.
fn zones(count: u8) -> Arc<Zones> {
    use ObjectType::{InstanceIp, VirtualMachine, VirtualMachineInterface, VirtualNetwork};
    let mut objects = vec![
        object(VirtualNetwork, 1, NET, &[]),
        object(VirtualMachine, 2, "web", &[]),
        object(VirtualMachineInterface, 3, "d:p:web", &[(VirtualNetwork, 1), (VirtualMachine, 2)]),
    ];
    for i in 1..=count {
        let refs = [(VirtualNetwork, 1), (VirtualMachineInterface, 3)];
        let mut ip = object(InstanceIp, 100 + u128::from(i), &format!("ip{i}"), &refs);
        ip.props.insert("instance_ip_address".into(), json!(format!("10.0.0.{i}")));
        objects.push(ip);
    }
    ZoneBuilder::from_objects(objects.into_iter().map(Arc::new)).zones()
}

async fn service(config: DnsConfig, addresses: u8) -> DnsService {
    let service = DnsService::bind(loopback(), config).await.unwrap();
    service.update(zones(addresses));
    service
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn exchange(to: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.send_to(bytes, to).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let received =
        tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await.ok()?.unwrap();
    buffer.truncate(received);
    Some(buffer)
}

/// What a workload of the network gets through its agent.
async fn ask(service: &DnsService, query: &Message) -> Message {
    let plain = query.to_vec().unwrap();
    let response = exchange(service.local_addr(), &tag_query(&plain, NET).unwrap()).await.unwrap();
    let response = Message::from_vec(&untag_response(&response, &plain).unwrap()).unwrap();
    assert_eq!(response.metadata.id, query.metadata.id);
    assert_eq!(response.metadata.message_type, MessageType::Response);
    assert_eq!(response.edns.is_some(), query.edns.is_some());
    response
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

/// A server that answers every A query with 192.0.2.1, first with a forgery under another id; TXT is long; names
/// that begin with `gone` do not exist and those that begin with `slow` are not answered.
async fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            let name = asked.queries[0].name().clone();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            answer.add_query(asked.queries[0].clone());
            let text = name.to_ascii();
            if text.starts_with("slow") {
                continue;
            }
            let mut forged = answer.clone();
            forged.metadata.id ^= 1;
            forged.add_answer(Record::from_rdata(name.clone(), 9, RData::A(A::new(6, 6, 6, 6))));
            socket.send_to(&forged.to_vec().unwrap(), from).await.unwrap();
            socket.send_to(b"nonsense", from).await.unwrap();
            if text.starts_with("gone") {
                answer.metadata.response_code = ResponseCode::NXDomain;
            } else if asked.queries[0].query_type() == RecordType::TXT {
                let text = TXT::new(vec!["x".repeat(250); 4]);
                answer.add_answer(Record::from_rdata(name, 9, RData::TXT(text)));
            } else {
                answer.add_answer(Record::from_rdata(name, 9, RData::A(A::new(192, 0, 2, 1))));
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

fn with_forwarders(forwarders: Vec<SocketAddr>) -> DnsConfig {
    DnsConfig { forwarders, timeout: Duration::from_millis(300), ..DnsConfig::default() }
}

#[tokio::test]
async fn answers_a_marked_query_with_the_workloads_address() {
    let service = service(DnsConfig::default(), 1).await;
    let response = ask(&service, &query("web.", RecordType::A)).await;
    assert_eq!(data(&response), ["10.0.0.1"]);
    assert!(response.metadata.authoritative);
    let absent = ask(&service, &query("nothing.net.local.", RecordType::A)).await;
    assert_eq!(absent.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(absent.authorities[0].record_type(), RecordType::SOA);
    let stats = service.stats();
    assert_eq!((stats.queries, stats.answered, stats.nxdomain), (2, 2, 1));
}

#[tokio::test]
async fn a_query_without_mark_or_with_an_unknown_one_learns_nothing() {
    let service = service(DnsConfig::default(), 1).await;
    let plain = query("web.", RecordType::A).to_vec().unwrap();
    let response = Message::from_vec(&exchange(service.local_addr(), &plain).await.unwrap()).unwrap();
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::Refused, 0));
    let other = tag_query(&plain, "d:p:other").unwrap();
    let response = Message::from_vec(&exchange(service.local_addr(), &other).await.unwrap()).unwrap();
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::ServFail, 0));
    assert_eq!(service.stats().unknown_network, 1);
}

#[tokio::test]
async fn a_workload_cannot_mark_its_query_itself() {
    let service = service(DnsConfig::default(), 1).await;
    // The workload claims NET; its agent knows better.
    let forged = tag_query(&query("web.", RecordType::A).to_vec().unwrap(), NET).unwrap();
    let tagged = tag_query(&forged, "d:p:own").unwrap();
    let response = Message::from_vec(&exchange(service.local_addr(), &tagged).await.unwrap()).unwrap();
    assert_eq!(response.metadata.response_code, ResponseCode::ServFail);
    assert!(response.answers.is_empty());
}

#[tokio::test]
async fn other_names_come_from_the_forwarder() {
    let dead = UdpSocket::bind(loopback()).await.unwrap();
    let service = service(with_forwarders(vec![dead.local_addr().unwrap(), upstream().await]), 1).await;
    let response = ask(&service, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(
        data(&response),
        ["192.0.2.1"],
        "the first server is silent, the second answers, forgeries do not count"
    );
    assert!(response.metadata.recursion_available && !response.metadata.authoritative);
    let gone = ask(&service, &query("gone.example.com.", RecordType::A)).await;
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    let slow = ask(&service, &query("slow.example.com.", RecordType::A)).await;
    assert_eq!(slow.metadata.response_code, ResponseCode::ServFail);
    let stats = service.stats();
    assert_eq!((stats.forwarded, stats.forward_failed, stats.nxdomain), (3, 1, 1));
}

#[tokio::test]
async fn without_a_forwarder_other_names_are_refused() {
    let service = service(DnsConfig::default(), 1).await;
    let response = ask(&service, &query("www.example.com.", RecordType::A)).await;
    assert_eq!(response.metadata.response_code, ResponseCode::Refused);
    assert!(!response.metadata.recursion_available);
}

#[tokio::test]
async fn questions_with_the_forwarder_are_bounded_for_each_network() {
    let config = DnsConfig { in_flight_per_network: 3, ..with_forwarders(vec![upstream().await]) };
    let service = service(config, 1).await;
    let questions: Vec<Message> =
        (0..8).map(|i| query(&format!("slow{i}.example.com."), RecordType::A)).collect();
    all_fail(&service, &questions).await;
    let stats = service.stats();
    assert_eq!((stats.forwarded, stats.overloaded), (3, 5));
    // All places are free again, and local names were never concerned.
    assert_eq!(data(&ask(&service, &query("www.example.com.", RecordType::A)).await), ["192.0.2.1"]);
}

/// Asks all questions at once and waits for all answers, which are SERVFAIL.
async fn all_fail(service: &DnsService, questions: &[Message]) {
    let mut tasks = tokio::task::JoinSet::new();
    for question in questions {
        let (bytes, address) = (tag_query(&question.to_vec().unwrap(), NET).unwrap(), service.local_addr());
        tasks.spawn(async move { Message::from_vec(&exchange(address, &bytes).await.unwrap()).unwrap() });
    }
    while let Some(response) = tasks.join_next().await {
        assert_eq!(response.unwrap().metadata.response_code, ResponseCode::ServFail);
    }
}

#[tokio::test]
async fn long_answers_are_cut_to_what_the_asker_takes() {
    let service = service(with_forwarders(vec![upstream().await]), 60).await;
    let long = query("text.example.com.", RecordType::TXT);
    let cut = ask(&service, &long).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut larger = long.clone();
    larger.set_edns(Edns::new()).edns.as_mut().unwrap().set_max_payload(4096);
    let whole = ask(&service, &larger).await;
    assert!(!whole.metadata.truncation && whole.answers.len() == 1);
    // A workload with very many addresses: a part of them, another one each time, fits.
    let (one, two) = (
        ask(&service, &query("web.", RecordType::A)).await,
        ask(&service, &query("web.", RecordType::A)).await,
    );
    assert!(!one.metadata.truncation && one.answers.len() > 10);
    assert_ne!(data(&one), data(&two));
}

#[tokio::test]
async fn malformed_packets_are_refused_or_dropped_and_counted() {
    let service = service(DnsConfig::default(), 1).await;
    let good = query("web.", RecordType::A);
    let bytes = good.to_vec().unwrap();
    let code = async |bytes: Vec<u8>| {
        let response = exchange(service.local_addr(), &bytes).await.unwrap();
        Message::from_vec(&response).unwrap().metadata.response_code
    };
    assert_eq!(code(bytes[..bytes.len() - 2].to_vec()).await, ResponseCode::FormErr);
    assert_eq!(code(bytes[..12].to_vec()).await, ResponseCode::FormErr);
    let mut two = good.clone();
    two.add_query(good.queries[0].clone());
    assert_eq!(code(two.to_vec().unwrap()).await, ResponseCode::FormErr);
    let mut huge = bytes.clone();
    huge.resize(5000, 0);
    assert_eq!(code(huge).await, ResponseCode::FormErr);
    let mut status = good.clone();
    status.metadata.op_code = OpCode::Status;
    assert_eq!(code(status.to_vec().unwrap()).await, ResponseCode::NotImp);
    let mut version = good.clone();
    version.set_edns(Edns::new()).edns.as_mut().unwrap().set_version(1);
    // BADVERS and BADSIG are one number (RFC 6891, RFC 8945).
    assert_eq!(u16::from(code(version.to_vec().unwrap()).await), 16);
    assert_eq!(service.stats().malformed, 4);

    let socket = UdpSocket::bind(loopback()).await.unwrap();
    for junk in [&b""[..], b"x", &[0xff; 40], &good.clone().into_response().to_vec().unwrap()] {
        socket.send_to(junk, service.local_addr()).await.unwrap();
    }
    let silence = tokio::time::timeout(Duration::from_millis(300), socket.recv(&mut [0; 600])).await;
    assert!(silence.is_err(), "answered something that is no query");
    assert_eq!(service.stats().malformed, 8);
    assert_eq!(data(&ask(&service, &good).await), ["10.0.0.1"]);
}

#[tokio::test]
async fn new_zones_take_effect_at_once() {
    let service = service(DnsConfig::default(), 1).await;
    service.update(zones(2));
    assert_eq!(ask(&service, &query("web.", RecordType::A)).await.answers.len(), 2);
    service.update(Arc::default());
    let response = ask(&service, &query("web.", RecordType::A)).await;
    assert_eq!(response.metadata.response_code, ResponseCode::ServFail);
}
