//! One attempt of one probe.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpSocket, UdpSocket};

use super::icmp;
use super::ledger::Ledger;
use super::record::{LENGTH, Record};
use super::stations::{Station, udp_socket};
use crate::LabError;
use crate::file::plan::{Family, ProbeSpec, Proto};
use crate::netns::Netns;

/// How long one attempt waits for an answer, where nothing else limits it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1000);
/// Shortest wait: a busy machine needs that much for an answer that does come.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(200);
/// How often, and how long apart, it is looked whether what was answered was also seen.
const NOTICES: u32 = 20;
const NOTICE: Duration = Duration::from_millis(10);
/// Datagrams of one attempt (ICMP, UDP), evenly spread over the wait.
const DATAGRAMS: u64 = 3;

/// Everything an attempt needs, owned, so that attempts can run side by side.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) namespace: Netns,
    pub(crate) icmp: Option<Arc<icmp::Socket>>,
    pub(crate) to: IpAddr,
    pub(crate) probe: ProbeSpec,
    pub(crate) size: usize,
    /// How long an attempt waits for an answer.
    pub(crate) patience: Duration,
}

/// The sending side of a probe or stream.
#[derive(Debug)]
pub(crate) enum Sender {
    /// Echo requests.
    Icmp {
        /// The workload's raw socket.
        socket: Arc<icmp::Socket>,
        /// Target.
        to: IpAddr,
        /// Payload, bytes.
        size: usize,
    },
    /// Datagrams.
    Udp {
        /// Connected to the target.
        socket: Arc<UdpSocket>,
        /// Payload, bytes.
        size: usize,
    },
    /// Records on a connection.
    Tcp(tokio::sync::Mutex<OwnedWriteHalf>),
}

impl Sender {
    /// Sends one request.
    pub(crate) async fn send(&self, record: Record) -> io::Result<()> {
        match self {
            Self::Icmp { socket, to, size } => socket.send(*to, record, *size).await,
            Self::Udp { socket, size } => socket.send(&record.encode(*size)).await.map(drop),
            Self::Tcp(writer) => writer.lock().await.write_all(&record.encode(LENGTH)).await,
        }
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// An answer came back.
    pub(crate) answered: bool,
    /// Who saw the request.
    pub(crate) seen_by: BTreeSet<String>,
    /// The socket's own words, e.g. "connection refused".
    pub(crate) note: Option<String>,
}

impl Outcome {
    /// Whether the request reached that workload and was answered.
    pub(crate) fn passed(&self, target: Option<&str>) -> bool {
        self.answered && target.is_none_or(|t| self.seen_by.contains(t))
    }

    /// Whether that workload saw it, answered or not.
    pub(crate) fn leaked(&self, target: Option<&str>) -> bool {
        target.map_or(self.answered, |t| self.seen_by.contains(t))
    }

    /// In words, for a report.
    pub(crate) fn describe(&self, target: Option<&str>) -> String {
        if self.passed(target) {
            return "pass".into();
        }
        if self.leaked(target) {
            return "seen there, no answer".into();
        }
        match (self.answered, self.seen_by.first(), &self.note) {
            (true, Some(other), _) => format!("drop (that address is {other}'s there, who answered)"),
            (false, Some(other), _) => format!("drop (seen by {other})"),
            (_, None, Some(note)) => format!("drop ({note})"),
            (_, None, None) => "drop".into(),
        }
    }
}

impl Shot {
    /// An attempt from a station.
    pub(crate) fn from(
        station: &Station,
        ledger: Arc<Ledger>,
        to: IpAddr,
        probe: ProbeSpec,
        size: usize,
    ) -> Self {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let icmp = station.icmp.get(&family).cloned();
        Self { ledger, namespace: station.namespace.clone(), icmp, to, probe, size, patience: PATIENCE }
    }

    /// Attempts short enough that several fit into the time in which one must succeed: what the first one lost (a SYN, say)
    /// is sent again by the next at once, not by the kernel a second later.
    pub(crate) fn hurry(mut self, within: Duration) -> Self {
        self.patience = (within / 4).clamp(SHORTEST_PATIENCE, PATIENCE);
        self
    }

    /// Fires and waits for the answer.
    pub(crate) async fn fire(&self) -> Result<Outcome, LabError> {
        let id = self.ledger.open();
        let attempt = async {
            match self.probe.proto {
                Proto::Icmp => self.icmp(id).await,
                Proto::Tcp => self.tcp(id).await,
                Proto::Udp => self.udp(id).await,
            }
        };
        let result = tokio::time::timeout(self.patience, attempt).await;
        self.noted(id).await;
        let track = self.ledger.close(id);
        let note = match result {
            Ok(Err(e)) => Some(e.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()),
            _ => None,
        };
        Ok(Outcome { answered: !track.answered.is_empty(), seen_by: track.seen_by, note })
    }

    /// The kernel may answer an echo request before the station beside it has taken note of it: gives it a moment.
    async fn noted(&self, id: u64) {
        for _ in 0..NOTICES {
            let unseen = self.ledger.look(id, |track| !track.answered.is_empty() && track.seen_by.is_empty());
            if unseen != Some(true) {
                return;
            }
            tokio::time::sleep(NOTICE).await;
        }
    }

    async fn icmp(&self, id: u64) -> io::Result<()> {
        self.repeat(id, &self.icmp_sender()?).await
    }

    async fn udp(&self, id: u64) -> io::Result<()> {
        let socket = Arc::new(self.udp_socket().await?);
        let receive = async {
            let mut buffer = vec![0; 65_536];
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Some(record) = buffer.get(..length).and_then(Record::decode) {
                    self.ledger.answered(record);
                }
            }
        };
        let sender = Sender::Udp { socket: socket.clone(), size: self.size };
        tokio::select! {
            result = receive => result,
            result = self.repeat(id, &sender) => result,
        }
    }

    /// Sends a few requests and returns at the first answer; waits for one forever.
    async fn repeat(&self, id: u64, sender: &Sender) -> io::Result<()> {
        let pause = self.patience / u32::try_from(DATAGRAMS).unwrap_or(1);
        for sequence in 0..DATAGRAMS {
            let record = Record { id, sequence };
            self.ledger.sent(record);
            sender.send(record).await?;
            if tokio::time::timeout(pause, self.ledger.any_answer(id)).await.is_ok() {
                return Ok(());
            }
        }
        self.ledger.any_answer(id).await;
        Ok(())
    }

    async fn tcp(&self, id: u64) -> io::Result<()> {
        let socket = self.tcp_socket()?;
        let mut connection = socket.connect(self.destination()).await?;
        let record = Record { id, sequence: 0 };
        self.ledger.sent(record);
        connection.write_all(&record.encode(LENGTH)).await?;
        let mut buffer = [0; LENGTH];
        connection.read_exact(&mut buffer).await?;
        if let Some(answer) = Record::decode(&buffer) {
            self.ledger.answered(answer);
        }
        Ok(())
    }

    fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.to, self.probe.port)
    }

    /// Sends echo requests from the asking workload.
    pub(crate) fn icmp_sender(&self) -> io::Result<Sender> {
        let socket = self.icmp.clone().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Sender::Icmp { socket, to: self.to, size: self.size })
    }

    /// A UDP socket in the asking workload, connected to the target.
    pub(crate) async fn udp_socket(&self) -> io::Result<UdpSocket> {
        let any = if self.to.is_ipv4() { "0.0.0.0" } else { "::" };
        let socket = self.namespace.run(|| udp_socket(any, 0)).map_err(io::Error::other)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.connect(self.destination()).await?;
        Ok(socket)
    }

    /// A TCP connection from the asking workload.
    pub(crate) async fn connect(&self) -> io::Result<tokio::net::TcpStream> {
        let connection = self.tcp_socket()?.connect(self.destination()).await?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }

    fn tcp_socket(&self) -> io::Result<TcpSocket> {
        let open = || if self.to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        self.namespace.run(open).map_err(io::Error::other)
    }
}
