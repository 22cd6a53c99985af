//! The task between the TAP, the DNS socket and the handler.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::handler::{Handler, Pkt0Counters, Replies};
use super::sys::Tap;
use crate::services::{PortServices, ra};

/// Longest packet that the TAP gives.
const TAP_BUFFER: usize = 65_536 + 64;
/// Longest DNS answer over UDP.
const DNS_BUFFER: usize = 4096;
/// How often counters are published.
const REPORT: Duration = Duration::from_secs(1);

/// What the task works with.
pub struct Settings {
    /// The TAP.
    pub tap: Tap,
    /// DNS services of the controllers.
    pub dns: Vec<SocketAddr>,
    /// The interfaces to serve.
    pub ports: watch::Receiver<Arc<BTreeMap<u32, PortServices>>>,
    /// Where the counters go.
    pub counters: watch::Sender<Pkt0Counters>,
}

/// Serve until `shutdown`.
///
/// # Errors
/// The DNS socket cannot be opened, or the TAP is gone.
pub async fn run(mut settings: Settings, shutdown: CancellationToken) -> std::io::Result<()> {
    let v6 = settings.dns.first().is_some_and(SocketAddr::is_ipv6);
    let any =
        if v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) };
    let mut task = Task {
        handler: Handler::new(Instant::now()),
        dns: UdpSocket::bind(any).await?,
        servers: settings.dns.iter().filter(|s| s.is_ipv6() == v6).copied().collect(),
        next_server: 0,
    };
    let (mut packet, mut answer) = (vec![0; TAP_BUFFER], vec![0; DNS_BUFFER]);
    let mut advertise = tokio::time::interval(ra::INTERVAL);
    let mut report = tokio::time::interval(REPORT);
    loop {
        tokio::select! {
            read = settings.tap.read(&mut packet) => {
                let bytes = packet.get(..read?).unwrap_or_default();
                let random = u16::from_ne_bytes(random_bytes());
                let replies = task.handler.trapped(bytes, Instant::now(), random);
                task.carry_out(&settings.tap, replies).await;
            }
            received = task.dns.recv_from(&mut answer) => {
                task.answer(&settings.tap, received, &answer);
            }
            _ = advertise.tick() => {
                let frames = task.handler.advertise_all();
                task.inject(&settings.tap, &frames);
            }
            changed = settings.ports.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let ports = settings.ports.borrow_and_update().clone();
                let frames = task.handler.set_ports(ports);
                task.inject(&settings.tap, &frames);
            }
            _ = report.tick() => {
                settings.counters.send_replace(task.handler.counters());
            }
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

fn random_bytes() -> [u8; 2] {
    let id = uuid::Uuid::new_v4();
    let [a, b, ..] = *id.as_bytes();
    [a, b]
}

struct Task {
    handler: Handler,
    dns: UdpSocket,
    servers: Vec<SocketAddr>,
    next_server: usize,
}

impl Task {
    async fn carry_out(&mut self, tap: &Tap, replies: Replies) {
        self.inject(tap, &replies.inject);
        for query in replies.queries {
            // A workload asks again when no answer comes: then the next server is tried.
            let Some(server) = self.servers.get(self.next_server % self.servers.len().max(1)) else { return };
            if let Err(error) = self.dns.send_to(&query, server).await {
                tracing::debug!(%server, %error, "DNS query");
            }
            self.next_server = self.next_server.wrapping_add(1);
        }
    }

    fn answer(&mut self, tap: &Tap, received: std::io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((n, from)) if self.servers.contains(&from) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                if let Some(frame) = self.handler.answered(bytes, Instant::now()) {
                    self.inject(tap, &[frame]);
                }
            }
            Ok((_, from)) => tracing::debug!(%from, "DNS answer from somebody who was not asked"),
            Err(error) => tracing::debug!(%error, "DNS socket"),
        }
    }

    fn inject(&mut self, tap: &Tap, packets: &[Vec<u8>]) {
        for packet in packets {
            let written = tap.write(packet);
            if let Err(error) = &written {
                tracing::debug!(%error, "injecting");
            }
            self.handler.wrote(written.is_ok());
        }
    }
}
