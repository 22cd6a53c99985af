//! Open vSwitch with its user-space datapath (`netdev`) and VXLAN: one switch daemon and database for each host.

use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Path, Topology, UNDERLAY_MTU, WORKLOAD_MTU};
use crate::netns::{Netns, run, veth};

/// Two hosts with two workloads each.
pub(crate) fn up() -> Result<Topology> {
    let hosts = [Netns::new("ovs-h1")?, Netns::new("ovs-h2")?];
    veth((&hosts[0], "fabric"), (&hosts[1], "fabric"), UNDERLAY_MTU)?;
    let (mut workloads, mut switches) = (Vec::new(), Vec::new());
    for (number, host) in (1..).zip(&hosts) {
        let switch = Switch::start(host)?;
        switch.underlay(host, number)?;
        for slot in 1..=2 {
            let workload = Netns::new(&format!("ovs-w{number}{slot}"))?;
            let port = format!("port{slot}");
            veth((&workload, "eth0"), (host, &port), WORKLOAD_MTU)?;
            switch.vsctl(&["add-port", "br-int", &port])?;
            workload.run(&format!("ip addr add 10.99.0.{number}{slot}/24 dev eth0"))?;
            // The user-space datapath does not finish checksums that a veth left to hardware.
            workload.run("ethtool -K eth0 tx off")?;
            workloads.push(workload);
        }
        switches.push(switch);
    }
    let one_host = Path::new(&workloads[0], &workloads[1], "10.99.0.12");
    let two_hosts = Path::new(&workloads[0], &workloads[2], "10.99.0.21");
    let mut parts: Vec<Box<dyn std::any::Any>> = Vec::new();
    switches.into_iter().for_each(|switch| parts.push(Box::new(switch)));
    workloads.into_iter().for_each(|ns| parts.push(Box::new(ns)));
    hosts.into_iter().for_each(|ns| parts.push(Box::new(ns)));
    Ok(Topology { one_host, two_hosts, _parts: parts })
}

/// A host's database server and switch daemon, ended when dropped.
struct Switch {
    directory: PathBuf,
    processes: Vec<Child>,
}

impl Switch {
    fn start(host: &Netns) -> Result<Self> {
        let directory = std::env::temp_dir().join(host.name());
        std::fs::create_dir_all(&directory)?;
        let at = |name: &str| directory.join(name).display().to_string();
        run("ovsdb-tool", &["create", &at("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"])?;
        let mut switch = Self { processes: Vec::new(), directory: directory.clone() };
        let remote = format!("--remote=punix:{}", at("db.sock"));
        switch.spawn(host, &["ovsdb-server", &at("conf.db"), &remote, &pidfile(&directory, "db")])?;
        wait_for(&directory.join("db.sock"))?;
        let socket = format!("unix:{}", at("db.sock"));
        switch.vsctl(&["--no-wait", "init"])?;
        switch.spawn(host, &["ovs-vswitchd", &socket, &pidfile(&directory, "switch")])?;
        Ok(switch)
    }

    fn spawn(&mut self, host: &Netns, words: &[&str]) -> Result<()> {
        let log = std::fs::File::create(self.directory.join(format!("{}.log", words[0])))?;
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", host.name()))
            .args(words)
            .env("OVS_RUNDIR", &self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", words[0]))?;
        self.processes.push(child);
        Ok(())
    }

    fn vsctl(&self, words: &[&str]) -> Result<()> {
        let database = format!("--db=unix:{}", self.directory.join("db.sock").display());
        let mut arguments = vec![database.as_str(), "--timeout=20"];
        arguments.extend(words);
        run("ovs-vsctl", &arguments)
    }

    /// The underlay's address lives on a bridge of the same datapath, so that tunnels stay in user space.
    fn underlay(&self, host: &Netns, number: u32) -> Result<()> {
        for bridge in ["br-phy", "br-int"] {
            self.vsctl(&["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"])?;
        }
        self.vsctl(&["add-port", "br-phy", "fabric"])?;
        host.run(&format!("ip addr add 192.0.2.{number}/24 dev br-phy"))?;
        host.run("ip link set br-phy up")?;
        let remote = format!("options:remote_ip=192.0.2.{}", 3 - number);
        let tunnel = [
            "add-port",
            "br-int",
            "vx0",
            "--",
            "set",
            "interface",
            "vx0",
            "type=vxlan",
            &remote,
            "options:key=7",
        ];
        self.vsctl(&tunnel)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn pidfile(directory: &FilePath, name: &str) -> String {
    format!("--pidfile={}", directory.join(format!("{name}.pid")).display())
}

fn wait_for(path: &FilePath) -> Result<()> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > Duration::from_secs(10) {
            bail!("{} did not appear", path.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
