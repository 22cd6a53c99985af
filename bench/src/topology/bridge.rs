//! The kernel's own bridge and VXLAN, without or with nftables connection tracking of what the bridge forwards
//! (bridged packets are passed to the IP hooks by br_netfilter, as OpenStack's security groups do it).

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Path, Topology, UNDERLAY_MTU, WORKLOAD_MTU};
use crate::netns::{Netns, veth};

/// Two hosts with two workloads each. `filter` of Some(n) adds connection tracking and an accepting rule for the
/// measured ports behind `n` rules that do not match.
pub(crate) fn up(tag: &str, filter: Option<usize>) -> Result<Topology> {
    let hosts = [Netns::new(&format!("{tag}-h1"))?, Netns::new(&format!("{tag}-h2"))?];
    veth((&hosts[0], "fabric"), (&hosts[1], "fabric"), UNDERLAY_MTU)?;
    let mut workloads = Vec::new();
    for (number, host) in (1..).zip(&hosts) {
        host.run(&format!("ip addr add 192.0.2.{number}/24 dev fabric"))?;
        host.run("ip link add br0 type bridge")?;
        let (local, remote) = (number, 3 - number);
        host.run(&format!(
            "ip link add vxlan0 mtu {WORKLOAD_MTU} type vxlan id 7 dstport 4789 local 192.0.2.{local} remote 192.0.2.{remote}"
        ))?;
        host.run("ip link set vxlan0 master br0 up")?;
        host.run("ip link set br0 up")?;
        for slot in 1..=2 {
            let workload = Netns::new(&format!("{tag}-w{number}{slot}"))?;
            let port = format!("port{slot}");
            veth((&workload, "eth0"), (host, &port), WORKLOAD_MTU)?;
            host.run(&format!("ip link set {port} master br0"))?;
            workload.run(&format!("ip addr add 10.99.0.{number}{slot}/24 dev eth0"))?;
            workloads.push(workload);
        }
        if let Some(rules) = filter {
            load_rules(host, rules)?;
        }
    }
    let one_host = Path::new(&workloads[0], &workloads[1], "10.99.0.12");
    let two_hosts = Path::new(&workloads[0], &workloads[2], "10.99.0.21");
    let mut parts: Vec<Box<dyn std::any::Any>> = Vec::new();
    workloads.into_iter().for_each(|ns| parts.push(Box::new(ns)));
    hosts.into_iter().for_each(|ns| parts.push(Box::new(ns)));
    Ok(Topology { one_host, two_hosts, _parts: parts })
}

/// The policy Weft runs in this benchmark, as nftables rules: these two ports' range, stateful, nothing else.
fn load_rules(host: &Netns, before: usize) -> Result<()> {
    host.run("sysctl -qw net.bridge.bridge-nf-call-iptables=1")?;
    let mut rules = String::from(
        "table ip filter {\n chain forward {\n  type filter hook forward priority 0; policy drop;\n  \
         ct state established,related accept\n",
    );
    for i in 0..before {
        rules.push_str(&format!("  ip saddr 198.18.{}.{} tcp dport 9 accept\n", i / 256 % 256, i % 256));
    }
    rules.push_str("  tcp dport 5201-5208 accept\n  udp dport 5201-5208 accept\n }\n}\n");
    let mut nft = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", host.name()))
        .args(["nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run nft")?;
    nft.stdin.take().context("no input")?.write_all(rules.as_bytes())?;
    ensure!(nft.wait()?.success(), "nft refused the rules");
    Ok(())
}
