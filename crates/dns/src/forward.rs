//! Asking a server outside.
//!
//! Each question goes out from a socket and with an id of its own, and only an answer from the server asked, with that
//! id and that question, is taken: what an answer can be forged from is random.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, Query};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::edns::MAX_MESSAGE;

/// Asks the servers one after the other, each for at most `timeout`; the first answer.
pub(crate) async fn ask(
    servers: &[SocketAddr],
    query: &Query,
    dnssec: bool,
    timeout: Duration,
) -> Option<Message> {
    for server in servers {
        match ask_one(*server, query, dnssec, Instant::now() + timeout).await {
            Ok(Some(answer)) => return Some(answer),
            Ok(None) => tracing::debug!(%server, "forwarder did not answer"),
            Err(error) => tracing::debug!(%server, %error, "forwarder cannot be asked"),
        }
    }
    None
}

async fn ask_one(
    server: SocketAddr,
    query: &Query,
    dnssec: bool,
    deadline: Instant,
) -> std::io::Result<Option<Message>> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN).set_dnssec_ok(dnssec);
    message.set_edns(edns);
    let bytes = message.to_vec().map_err(std::io::Error::other)?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let Ok(received) = timeout_at(deadline, socket.recv(&mut buffer)).await else { return Ok(None) };
        let answer = Message::from_vec(buffer.get(..received?).unwrap_or_default());
        if let Some(answer) = answer.ok().filter(|answer| answers(answer, &message)) {
            return Ok(Some(answer));
        }
    }
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}
