//! `weft vrouter`: the agent of this host, and the forwarder it loads.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use weft_agent::AgentConfig;
use weft_model::defaults;

use crate::cli::VrouterArgs;
use crate::sockets::shutdown_signal;

pub(crate) async fn run(args: VrouterArgs) -> anyhow::Result<()> {
    let stop = shutdown_signal()?;
    let config = config(args)?;
    weft_agent::run(config, stop).await.context("agent")
}

fn config(args: VrouterArgs) -> anyhow::Result<AgentConfig> {
    let with_port =
        |list: &[String], port| list.iter().map(|a| address(a, port)).collect::<anyhow::Result<Vec<_>>>();
    Ok(AgentConfig {
        name: args.name,
        controllers: with_port(&args.controller, defaults::XMPP_PORT)?,
        dns: with_port(&args.dns, defaults::DNS_PORT)?,
        fabric_interface: args.fabric_interface,
        tunnel_address: args.tunnel_address,
        state_dir: args.state_dir,
        bpf_dir: args.bpf_dir,
        certs: if args.plain_xmpp { None } else { args.certs },
        listen_port_ipc: Some(args.listen_port_ipc),
        listen_introspect: Some(args.listen_introspect),
        socket: args.socket,
    })
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

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!(address("192.0.2.1", 53).unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(address("2001:db8::1", 53).unwrap().to_string(), "[2001:db8::1]:53");
        assert_eq!(address("192.0.2.1:5", 53).unwrap().to_string(), "192.0.2.1:5");
        assert!(address("host", 53).is_err());
    }
}
