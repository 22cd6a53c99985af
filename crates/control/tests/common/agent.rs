//! An agent without a host: the protocol's client side over a real connection, and what it learns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use weft_model::MacAddress;
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};
use weft_xmpp::fsm::{Input, Output, Session, SessionConfig};
use weft_xmpp::items::{Encap, EvpnItem, NextHop, RouteItem, RouteTable, UnicastItem};
use weft_xmpp::stanza::{ConfigSubject, Stanza};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub struct Agent {
    pub name: String,
    host: u8,
    stream: Box<dyn Stream>,
    session: Session,
    pub routes: BTreeMap<(String, RouteTable, String), RouteItem>,
    pub nodes: BTreeMap<(String, String), ConfigNode>,
    pub links: BTreeSet<ConfigLink>,
    pub retracts: usize,
    pub updates: usize,
    pub end_of_rib: bool,
    pub closed: Option<String>,
    up: bool,
}

impl Agent {
    pub async fn connect(
        to: SocketAddr,
        name: &str,
        host: u8,
        certs: Option<&Path>,
    ) -> Result<Agent, String> {
        let tcp = TcpStream::connect(to).await.map_err(|e| e.to_string())?;
        let config = SessionConfig { tls: certs.is_some(), ..SessionConfig::client(name) };
        let mut agent = Agent {
            name: name.to_owned(),
            host,
            stream: Box::new(tcp),
            session: Session::client(config),
            routes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            links: BTreeSet::new(),
            retracts: 0,
            updates: 0,
            end_of_rib: false,
            closed: None,
            up: false,
        };
        agent.session.handle(Input::Connected, Instant::now());
        let mut tls = certs;
        while !agent.up {
            if agent.outputs().await? {
                let config = weft_tls::client_config(tls.take().unwrap()).unwrap();
                let server = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let plain = std::mem::replace(&mut agent.stream, Box::new(tokio::io::empty()));
                let secured = TlsConnector::from(config).connect(server, plain).await;
                agent.stream = Box::new(secured.map_err(|e| e.to_string())?);
                agent.session.handle(Input::TlsReady, Instant::now());
                continue;
            }
            if let Some(reason) = &agent.closed {
                return Err(reason.clone());
            }
            if !agent.up {
                agent.read().await;
            }
        }
        Ok(agent)
    }

    /// Takes the session's outputs; true if TLS is to be started.
    async fn outputs(&mut self) -> Result<bool, String> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.stream.write_all(&bytes).await.map_err(|e| e.to_string())?,
                Output::StartTls => {
                    self.stream.flush().await.map_err(|e| e.to_string())?;
                    return Ok(true);
                }
                Output::Established { .. } => self.up = true,
                Output::Stanza(stanza) => self.stanza(stanza),
                Output::Closed { reason } => self.closed = Some(reason.to_string()),
                other => panic!("{other:?}"),
            }
        }
        self.stream.flush().await.map_err(|e| e.to_string())?;
        Ok(false)
    }

    async fn read(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        let read =
            tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("nothing comes");
        match read {
            Ok(0) | Err(_) => self.session.handle(Input::Disconnected, Instant::now()),
            Ok(count) => self.session.handle(Input::Bytes(&buffer[..count]), Instant::now()),
        }
    }

    fn stanza(&mut self, stanza: Stanza) {
        match stanza {
            Stanza::RouteMessage { table, ri, items, retracts } => {
                assert!(
                    items.len() <= 32 && retracts.len() <= 256 && (items.is_empty() || retracts.is_empty())
                );
                self.updates += items.len();
                self.retracts += retracts.len();
                for (id, item) in items {
                    assert_eq!(id, item.id());
                    self.routes.insert((ri.clone(), table, id), item);
                }
                for id in retracts {
                    assert!(self.routes.remove(&(ri.clone(), table, id.clone())).is_some(), "unknown {id}");
                }
            }
            Stanza::Config(ops) => {
                assert!(ops.len() <= 16);
                ops.into_iter().for_each(|op| self.config(op));
            }
            Stanza::EndOfRib => self.end_of_rib = true,
            other => panic!("{other:?}"),
        }
    }

    fn config(&mut self, op: ConfigOp) {
        match op {
            ConfigOp::Update(ConfigElement::Node(node)) => {
                self.nodes.insert((node.node_type.clone(), node.name.clone()), node);
            }
            ConfigOp::Update(ConfigElement::Link(link)) => {
                self.links.insert(link);
            }
            ConfigOp::Delete(ConfigElement::Node(node)) => {
                self.nodes.remove(&(node.node_type, node.name));
            }
            ConfigOp::Delete(ConfigElement::Link(link)) => {
                self.links.remove(&link);
            }
        }
    }

    /// Reads until the agent is as wanted.
    pub async fn until(&mut self, what: &str, accept: impl Fn(&Agent) -> bool) {
        let wait = async {
            loop {
                let _ = self.outputs().await;
                if accept(self) {
                    return;
                }
                assert!(self.closed.is_none(), "{what}: closed: {:?}", self.closed);
                self.read().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: never"));
    }

    /// Reads until the connection is closed by the other side.
    pub async fn until_closed(&mut self) {
        self.until("close", |agent| agent.closed.is_some()).await;
    }

    /// Reads whatever comes in this time.
    pub async fn linger(&mut self, time: Duration) {
        let _ = self.outputs().await;
        let _ = tokio::time::timeout(time, async {
            while self.closed.is_none() {
                self.read().await;
                let _ = self.outputs().await;
            }
        })
        .await;
    }

    pub async fn send(&mut self, stanza: Stanza) {
        self.session.handle(Input::Send(stanza), Instant::now());
        self.outputs().await.unwrap();
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn subscribe(&mut self, ri: &str) {
        self.send(Stanza::SubscribeVrf { ri: ri.into(), instance_id: 1, no_ribout: false, id: None }).await;
    }

    pub async fn unsubscribe(&mut self, ri: &str) {
        self.send(Stanza::UnsubscribeVrf { ri: ri.into(), instance_id: 1, id: None }).await;
    }

    pub async fn subscribe_router(&mut self, router: &str) {
        let node = ConfigSubject::VirtualRouter(format!("default-global-system-config:{router}"));
        self.send(Stanza::SubscribeConfig { node, id: None }).await;
    }

    fn hop(&self, label: u32) -> NextHop {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, self.host));
        NextHop { label, encaps: BTreeSet::from([Encap::Udp, Encap::Vxlan]), ..NextHop::new(address) }
    }

    pub fn unicast(&self, prefix: &str, label: u32) -> RouteItem {
        RouteItem::Unicast(UnicastItem {
            next_hops: vec![self.hop(label)],
            security_groups: vec![8_000_001],
            ..UnicastItem::new(prefix.parse().unwrap())
        })
    }

    pub fn evpn(&self, mac: [u8; 6], address: &str, label: u32) -> RouteItem {
        RouteItem::Evpn(EvpnItem {
            next_hops: vec![self.hop(label)],
            ..EvpnItem::new(0, MacAddress(mac), address.parse().unwrap())
        })
    }

    pub async fn publish_item(&mut self, ri: &str, item: RouteItem) {
        self.session.handle(Input::Publish { ri: ri.into(), item: Box::new(item) }, Instant::now());
        self.outputs().await.unwrap();
    }

    pub async fn publish(&mut self, ri: &str, prefix: &str, label: u32) {
        self.publish_item(ri, self.unicast(prefix, label)).await;
    }

    pub async fn withdraw(&mut self, ri: &str, prefix: &str) {
        let item = Box::new(self.unicast(prefix, 16));
        self.session.handle(Input::Withdraw { ri: ri.into(), item }, Instant::now());
        self.outputs().await.unwrap();
    }

    pub fn route(&self, ri: &str, id: &str) -> Option<&RouteItem> {
        RouteTable::ALL.iter().find_map(|table| self.routes.get(&(ri.into(), *table, id.into())))
    }

    /// The labels and next hops of a route.
    pub fn hops(&self, ri: &str, id: &str) -> Vec<(String, u32)> {
        let hops = self.route(ri, id).map(RouteItem::next_hops).unwrap_or_default();
        hops.iter().map(|hop| (hop.address.to_string(), hop.label)).collect()
    }
}
