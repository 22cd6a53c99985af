//! Stations: one for each workload. A station answers TCP and UDP probes on the ports asked for, watches ICMP, and notes
//! what arrives in the ledger. Its sockets live in the workload's namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::icmp::{self, Echo, RECEIVE_BUFFER};
use super::ledger::Ledger;
use super::record::{LENGTH, Record};
use crate::LabError;
use crate::file::plan::{Family, ProbeSpec, Proto};
use crate::netns::Netns;

/// Most TCP connections a station serves at a time.
const MAX_CONNECTIONS: usize = 1024;

/// A workload's end of all probes.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) namespace: Netns,
    pub(crate) icmp: BTreeMap<Family, Arc<icmp::Socket>>,
    served: BTreeSet<ProbeSpec>,
    tasks: JoinSet<()>,
}

/// All stations by workload.
#[derive(Debug)]
pub(crate) struct Stations {
    pub(crate) ledger: Arc<Ledger>,
    stations: BTreeMap<String, Station>,
}

impl Stations {
    pub(crate) fn new() -> Self {
        Self { ledger: Ledger::new(), stations: BTreeMap::new() }
    }

    /// The station of a workload, made when it is first asked for.
    pub(crate) fn station(&mut self, name: &str, namespace: &Netns) -> Result<&mut Station, LabError> {
        if !self.stations.contains_key(name) {
            let station = Station::open(name, namespace, &self.ledger)?;
            self.stations.insert(name.to_owned(), station);
        }
        self.stations.get_mut(name).ok_or_else(|| LabError::role(name, "no station"))
    }

    /// Makes sure that a workload answers such probes.
    pub(crate) fn serve(&mut self, name: &str, namespace: &Netns, probe: ProbeSpec) -> Result<(), LabError> {
        let ledger = self.ledger.clone();
        self.station(name, namespace)?.serve(name, probe, ledger)
    }

    /// Closes the station of a workload, its sockets included.
    pub(crate) fn close(&mut self, name: &str) {
        self.stations.remove(name);
    }
}

impl Station {
    fn open(name: &str, namespace: &Netns, ledger: &Arc<Ledger>) -> Result<Self, LabError> {
        let mut station = Self {
            namespace: namespace.clone(),
            icmp: BTreeMap::new(),
            served: BTreeSet::new(),
            tasks: JoinSet::new(),
        };
        let failed = |e: io::Error| LabError::role(name, format!("raw socket: {e}"));
        for family in [Family::V4, Family::V6] {
            let fd = namespace.run(|| icmp::open(family))?;
            let socket = Arc::new(icmp::Socket::register(family, fd).map_err(failed)?);
            station.icmp.insert(family, socket.clone());
            station.tasks.spawn(watch_icmp(socket, name.to_owned(), ledger.clone()));
        }
        Ok(station)
    }

    fn serve(&mut self, name: &str, probe: ProbeSpec, ledger: Arc<Ledger>) -> Result<(), LabError> {
        if probe.proto == Proto::Icmp || !self.served.insert(probe) {
            return Ok(());
        }
        let failed = |e: io::Error| LabError::role(name, format!("{probe}: {e}"));
        let name = name.to_owned();
        if probe.proto == Proto::Tcp {
            let listener = self.namespace.run(|| {
                let listener = std::net::TcpListener::bind(("::", probe.port))?;
                listener.set_nonblocking(true).map(|()| listener)
            })?;
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            self.tasks.spawn(serve_tcp(listener, name, ledger));
        } else {
            let socket = self.namespace.run(|| udp_socket("::", probe.port))?;
            let socket = UdpSocket::from_std(socket).map_err(failed)?;
            self.tasks.spawn(serve_udp(socket, name, ledger));
        }
        Ok(())
    }
}

/// A UDP socket for the runtime, with room for a burst. Call it inside the namespace.
pub(crate) fn udp_socket(address: &str, port: u16) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind((address, port))?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn watch_icmp(socket: Arc<icmp::Socket>, name: String, ledger: Arc<Ledger>) {
    loop {
        match socket.receive().await {
            Ok(Echo::Request(record)) => ledger.seen(record, &name),
            Ok(Echo::Reply(record)) => ledger.answered(record),
            // Errors of a raw socket (unreachable, buffer full) say nothing about the next packet.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn serve_udp(socket: UdpSocket, name: String, ledger: Arc<Ledger>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(packet) = buffer.get(..length) else { continue };
        if let Some(record) = Record::decode(packet) {
            ledger.seen(record, &name);
            let _ = socket.send_to(packet, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, name: String, ledger: Arc<Ledger>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < MAX_CONNECTIONS {
            let (name, ledger) = (name.clone(), ledger.clone());
            connections.spawn(async move {
                let _ = answer_tcp(connection, &name, &ledger).await;
            });
        }
    }
}

async fn answer_tcp(mut connection: TcpStream, name: &str, ledger: &Ledger) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = [0; LENGTH];
    loop {
        connection.read_exact(&mut buffer).await?;
        let Some(record) = Record::decode(&buffer) else { return Ok(()) };
        ledger.seen(record, name);
        connection.write_all(&buffer).await?;
    }
}
