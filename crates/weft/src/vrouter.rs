//! `weft vrouter`: the agent of this host, and the forwarder it loads.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weft_agent::{AgentConfig, AgentError, Interfaces};
use weft_api::{Limits, whole_bodies};
use weft_model::defaults;

use crate::cli::VrouterArgs;
use crate::listen::TlsArgs;
use crate::sockets::{serve_tcp, serve_unix, shutdown_signal};

/// How long requests under way may take at the end.
const GOODBYE: Duration = Duration::from_secs(3);

pub(crate) async fn run(args: VrouterArgs) -> anyhow::Result<()> {
    let stop = shutdown_signal()?;
    let (config, sockets) = config(args)?;
    let (tasks, token) = (TaskTracker::new(), stop.clone());
    let open = async |interfaces| {
        let opened = sockets.open(interfaces, &tasks, &token).await;
        opened.map_err(|e| AgentError::Setting(format!("{e:#}")))
    };
    weft_agent::run(config, stop, open).await.context("agent")?;
    tasks.close();
    if tokio::time::timeout(GOODBYE, tasks.wait()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    Ok(())
}

/// Where the agent's interfaces are served, and how.
struct Sockets {
    ports: SocketAddr,
    introspect: SocketAddr,
    socket: Option<PathBuf>,
    certs: Option<PathBuf>,
    tls: TlsArgs,
}

impl Sockets {
    async fn open(
        &self,
        interfaces: Interfaces,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let bounded = |router| whole_bodies(router, Limits::default().body);
        let (ports, introspect) = (bounded(interfaces.ports), bounded(interfaces.introspect));
        for (address, router) in [(self.ports, &ports), (self.introspect, &introspect)] {
            let tls = self.tls.vrouter(address, self.certs.as_deref())?;
            serve_tcp(address, router.clone(), tls, tasks, stop.clone()).await?;
        }
        let Some(path) = &self.socket else { return Ok(()) };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        serve_unix(path, ports.merge(introspect), tasks, stop.clone())
    }
}

fn config(args: VrouterArgs) -> anyhow::Result<(AgentConfig, Sockets)> {
    let with_port =
        |list: &[String], port| list.iter().map(|a| address(a, port)).collect::<anyhow::Result<Vec<_>>>();
    let sockets = Sockets {
        ports: args.listen_port_ipc,
        introspect: args.listen_introspect,
        socket: args.socket,
        certs: args.certs.clone(),
        tls: args.tls,
    };
    let config = AgentConfig {
        name: args.name,
        controllers: with_port(&args.controller, defaults::XMPP_PORT)?,
        dns: with_port(&args.dns, defaults::DNS_PORT)?,
        fabric_interface: args.fabric_interface,
        tunnel_address: args.tunnel_address,
        state_dir: args.state_dir,
        bpf_dir: args.bpf_dir,
        certs: if args.plain_xmpp { None } else { args.certs },
    };
    Ok((config, sockets))
}

/// `ADDRESS` or `ADDRESS:PORT`.
fn address(text: &str, port: u16) -> anyhow::Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    text.parse().with_context(|| format!("{text}: write an address, or ADDRESS:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent's interfaces without an agent, at free ports of an address beyond loopback and of loopback.
    #[tokio::test]
    async fn beyond_loopback_only_certificates_of_the_installation_get_in() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for ca in ["ours", "theirs"] {
            weft_tls::make_ca(&at(ca)).unwrap();
            weft_tls::make_node_cert(&at(ca), "n", &["127.0.0.1".parse().unwrap()], &at(ca).join("n"))
                .unwrap();
        }
        let free = |ip: &str| std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
        let sockets = Sockets {
            ports: free("127.0.0.1"),
            introspect: free("0.0.0.0"),
            socket: Some(at("run/agent.sock")),
            certs: Some(at("ours/n")),
            tls: TlsArgs::default(),
        };
        let routed =
            |path, text| axum::Router::new().route(path, axum::routing::get(move || async move { text }));
        let interfaces =
            Interfaces { ports: routed("/vm-cfg", "\"p\""), introspect: routed("/flows", "\"i\"") };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        sockets.open(interfaces, &tasks, &stop).await.unwrap();
        let (plain, port) = (format!("http://{}", sockets.ports), sockets.introspect.port());
        let get = async |url: String, access: weft_client::Access, path: &str| {
            weft_client::HttpClient::with_access(url.parse().unwrap(), &access).unwrap().get(path, &[]).await
        };
        let shows = |who: &str| weft_client::Access {
            ca: Some(at("ours/ca.pem")),
            cert: Some(at(who).join("n/cert.pem")),
            key: Some(at(who).join("n/key.pem")),
            ..Default::default()
        };
        // What plug-ins know: plain, on loopback.
        assert_eq!(get(plain, Default::default(), "/vm-cfg").await.unwrap(), "p");
        let url = format!("https://127.0.0.1:{port}");
        assert_eq!(get(url.clone(), shows("ours"), "/flows").await.unwrap(), "i");
        assert!(get(url.clone(), shows("theirs"), "/flows").await.is_err(), "of another authority");
        let nobody = weft_client::Access { ca: Some(at("ours/ca.pem")), ..Default::default() };
        assert!(get(url, nobody, "/flows").await.is_err(), "without a certificate");
        assert!(
            get(format!("http://127.0.0.1:{port}"), Default::default(), "/flows").await.is_err(),
            "plain"
        );
        let unix = format!("unix:{}", at("run/agent.sock").display());
        assert_eq!(get(unix, Default::default(), "/flows").await.unwrap(), "i");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(at("run/agent.sock")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        stop.cancel();
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!(address("192.0.2.1", 53).unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(address("2001:db8::1", 53).unwrap().to_string(), "[2001:db8::1]:53");
        assert_eq!(address("192.0.2.1:5", 53).unwrap().to_string(), "192.0.2.1:5");
        assert!(address("host", 53).is_err());
    }
}
