//! The service on its UDP socket.
//!
//! Questions that our own zones answer are answered at once, in the receiving task; only what must be asked outside
//! gets a task of its own, and there is a bound on those, in all and for each network, so that one tenant cannot use
//! up what the others need. Answers that are too long for the asker are cut and marked so.
//!
//! Whoever can reach the socket can claim to be any network, so it belongs on the underlay, where only agents speak.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::{
    DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{Name, Record};
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::edns::{self, MAX_MESSAGE};
use crate::forward;
use crate::stats::{Counters, DnsStats, count};
use crate::zones::{Resolution, Zones};

/// Bytes of a DNS header.
const HEADER: usize = 12;
/// Wait after the socket failed to receive, so that a lasting fault does not spin.
const RECEIVE_RETRY: Duration = Duration::from_millis(50);

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// Servers for all names that are not ours, in order of preference. Without any such names are refused.
    pub forwarders: Vec<SocketAddr>,
    /// How long each of them is waited for.
    pub timeout: Duration,
    /// Questions with forwarders at once, at most.
    pub in_flight: usize,
    /// The same for one network.
    pub in_flight_per_network: usize,
}

impl Default for DnsConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(2);
        Self { forwarders: Vec::new(), timeout, in_flight: 1024, in_flight_per_network: 128 }
    }
}

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The socket cannot be had.
    #[error("DNS socket {address}: {source}")]
    Socket {
        /// The address to listen on.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A running service; dropping it closes the socket.
#[derive(Debug)]
pub struct DnsService {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    socket: UdpSocket,
    config: DnsConfig,
    zones: RwLock<Arc<Zones>>,
    counters: Counters,
    /// Counts questions, for the order of records.
    turn: AtomicU64,
    in_flight: Arc<Semaphore>,
    per_network: Mutex<HashMap<String, usize>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl DnsService {
    /// Listens on `address` (port 0: any) with zones that are empty until [`DnsService::update`]. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`DnsError::Socket`] if the address is taken or not ours.
    pub async fn bind(address: SocketAddr, config: DnsConfig) -> Result<Self, DnsError> {
        let fail = |source| DnsError::Socket { address, source };
        let socket = UdpSocket::bind(address).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let in_flight = Arc::new(Semaphore::new(config.in_flight));
        let shared = Arc::new(Shared {
            socket,
            config,
            zones: RwLock::default(),
            counters: Counters::default(),
            turn: AtomicU64::new(0),
            in_flight,
            per_network: Mutex::default(),
        });
        let task = tokio::spawn(receive(Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers from `zones` from now on.
    pub fn update(&self, zones: Arc<Zones>) {
        *self.shared.zones.write().unwrap_or_else(PoisonError::into_inner) = zones;
    }

    /// The counters.
    pub fn stats(&self) -> DnsStats {
        self.shared.counters.read()
    }
}

impl Drop for DnsService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(shared: Arc<Shared>) {
    // One byte more than a message may have, so that longer ones show.
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    loop {
        match shared.socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                count(&shared.counters.queries);
                handle(&shared, buffer.get(..length).unwrap_or_default(), from).await;
            }
            Err(error) => {
                tracing::warn!(%error, "DNS socket");
                tokio::time::sleep(RECEIVE_RETRY).await;
            }
        }
    }
}

/// A question on its way to an answer.
struct Request {
    from: SocketAddr,
    metadata: Metadata,
    query: Query,
    /// What the asker said of itself; the response has this exactly if the query had it.
    edns: Option<Edns>,
}

async fn handle(shared: &Arc<Shared>, bytes: &[u8], from: SocketAddr) {
    let Ok(message) = edns::decode(bytes) else {
        return refuse_malformed(shared, bytes, from).await;
    };
    let Ok(network) = edns::network(&message) else {
        return refuse_malformed(shared, bytes, from).await;
    };
    let network = network.map(str::to_owned);
    let [query] = message.queries.as_slice() else {
        return refuse_malformed(shared, bytes, from).await;
    };
    if message.metadata.message_type != MessageType::Query {
        return count(&shared.counters.malformed);
    }
    let request = Request { from, metadata: message.metadata, query: query.clone(), edns: message.edns };
    if request.metadata.op_code != OpCode::Query {
        return request.fail(shared, ResponseCode::NotImp).await;
    }
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return request.fail(shared, ResponseCode::BADVERS).await;
    }
    resolve(shared, request, network).await;
}

/// Tells the sender of something that is at least a query that it is malformed; drops anything else.
async fn refuse_malformed(shared: &Shared, bytes: &[u8], to: SocketAddr) {
    count(&shared.counters.malformed);
    let Some([id_high, id_low, flags, ..]) = bytes.first_chunk::<HEADER>() else { return };
    if flags & 0x80 != 0 {
        return;
    }
    let id = u16::from_be_bytes([*id_high, *id_low]);
    let op_code = OpCode::from_u8((flags >> 3) & 0x0f);
    send(
        shared,
        &Message::error_msg(id, op_code, ResponseCode::FormErr),
        usize::from(DEFAULT_MAX_PAYLOAD_LEN),
        to,
    )
    .await;
}

async fn resolve(shared: &Arc<Shared>, request: Request, network: Option<String>) {
    let zones = Arc::clone(&shared.zones.read().unwrap_or_else(PoisonError::into_inner));
    let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
    if network.as_deref().is_some_and(|network| !zones.has_network(network)) {
        count(&shared.counters.unknown_network);
    }
    match zones.resolve(network.as_deref(), &request.query, turn) {
        Resolution::Answer(answer) => {
            let counted = match answer.code {
                ResponseCode::Refused => &shared.counters.refused,
                _ => &shared.counters.answered,
            };
            count(counted);
            let mut response = request.response(answer.code);
            response.metadata.authoritative =
                matches!(answer.code, ResponseCode::NoError | ResponseCode::NXDomain);
            response.metadata.recursion_available = !shared.config.forwarders.is_empty();
            response.answers = answer.answers;
            response.authorities = answer.authorities;
            request.respond(shared, response).await;
        }
        Resolution::Forward { aliases, name, server } => {
            let servers = server.map_or_else(|| shared.config.forwarders.clone(), |server| vec![server]);
            if servers.is_empty() || !request.metadata.recursion_desired {
                count(&shared.counters.refused);
                return request.fail(shared, ResponseCode::Refused).await;
            }
            let Some(place) = Place::take(shared, network.unwrap_or_default()) else {
                count(&shared.counters.overloaded);
                return request.fail(shared, ResponseCode::ServFail).await;
            };
            count(&shared.counters.forwarded);
            tokio::spawn(forward_and_respond(place, request, aliases, name, servers));
        }
    }
}

async fn forward_and_respond(
    place: Place,
    request: Request,
    aliases: Vec<Record>,
    name: Name,
    servers: Vec<SocketAddr>,
) {
    let shared = &place.shared;
    let query = Query::query(name, request.query.query_type());
    let dnssec = request.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    let Some(found) = forward::ask(&servers, &query, dnssec, shared.config.timeout).await else {
        count(&shared.counters.forward_failed);
        return request.fail(shared, ResponseCode::ServFail).await;
    };
    let mut response = request.response(found.metadata.response_code);
    response.metadata.recursion_available = true;
    response.metadata.truncation = found.metadata.truncation;
    response.answers = aliases;
    response.answers.extend(found.answers);
    response.authorities = found.authorities;
    response.additionals = found.additionals;
    request.respond(shared, response).await;
}

impl Request {
    /// A response without records.
    fn response(&self, code: ResponseCode) -> Message {
        let mut response = Message::response(self.metadata.id, self.metadata.op_code);
        response.metadata = Metadata::response_from_request(&self.metadata);
        response.metadata.response_code = code;
        response.add_query(self.query.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN).set_dnssec_ok(asked.flags().dnssec_ok);
            edns.set_rcode_high(code.high());
            response.set_edns(edns);
        }
        response
    }

    async fn fail(&self, shared: &Shared, code: ResponseCode) {
        self.respond(shared, self.response(code)).await;
    }

    async fn respond(&self, shared: &Shared, response: Message) {
        if response.metadata.response_code == ResponseCode::NXDomain {
            count(&shared.counters.nxdomain);
        }
        let asked = self.edns.as_ref().map_or(512, Edns::max_payload);
        let limit = usize::from(asked.clamp(512, DEFAULT_MAX_PAYLOAD_LEN));
        send(shared, &response, limit, self.from).await;
    }
}

/// Sends a response, cut to its question if it is longer than `limit`.
async fn send(shared: &Shared, response: &Message, limit: usize, to: SocketAddr) {
    let encoded = match response.to_vec() {
        Ok(bytes) if bytes.len() > limit => response.truncate().to_vec(),
        encoded => encoded,
    };
    let sent = match encoded {
        Ok(bytes) => shared.socket.send_to(&bytes, to).await.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = sent {
        count(&shared.counters.send_failed);
        tracing::debug!(%to, error, "DNS response not sent");
    }
}

/// A place among the questions with forwarders; given back when dropped.
struct Place {
    shared: Arc<Shared>,
    network: String,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(shared: &Arc<Shared>, network: String) -> Option<Self> {
        let permit = Arc::clone(&shared.in_flight).try_acquire_owned().ok()?;
        let mut per_network = shared.per_network.lock().unwrap_or_else(PoisonError::into_inner);
        let used = per_network.entry(network.clone()).or_default();
        if *used >= shared.config.in_flight_per_network {
            return None;
        }
        *used += 1;
        drop(per_network);
        Some(Self { shared: Arc::clone(shared), network, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut per_network = self.shared.per_network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = per_network.get_mut(&self.network) {
            *used -= 1;
            if *used == 0 {
                per_network.remove(&self.network);
            }
        }
    }
}
