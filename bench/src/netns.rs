//! Network namespaces of a benchmark: made, entered and removed here.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A namespace that goes away, with its interfaces and the processes started in it, when dropped.
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace `wb-<pid>-<name>` with its loopback up and room for many short connections.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let ns = Self { name: format!("wb-{}-{name}", std::process::id()) };
        run("ip", &["netns", "add", &ns.name])?;
        ns.run("ip link set lo up")?;
        ns.run("sysctl -qw net.ipv4.ip_local_port_range=1024\t65535")?;
        Ok(ns)
    }

    /// Its name under /run/netns.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command line (words split at spaces, no quoting; a tab stands for a space within a word) inside.
    pub(crate) fn run(&self, line: &str) -> Result<()> {
        let net = format!("--net=/run/netns/{}", self.name);
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\t', " ")).collect();
        let mut arguments = vec![net.as_str()];
        arguments.extend(words.iter().map(String::as_str));
        run("nsenter", &arguments)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Processes first: a namespace lives on while one is inside.
        if let Ok(output) = Command::new("ip").args(["netns", "pids", &self.name]).output() {
            for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
                let _ = run("kill", &["-9", pid]);
            }
        }
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

/// Joins two namespaces by a veth pair, `(namespace, interface)` each, both ends up with this MTU.
pub(crate) fn veth(a: (&Netns, &str), b: (&Netns, &str), mtu: u32) -> Result<()> {
    let mtu = mtu.to_string();
    let (a_ns, b_ns) = (a.0.name(), b.0.name());
    run(
        "ip",
        &[
            "link", "add", a.1, "netns", a_ns, "mtu", &mtu, "type", "veth", "peer", "name", b.1, "netns",
            b_ns, "mtu", &mtu,
        ],
    )?;
    a.0.run(&format!("ip link set {} up", a.1))?;
    b.0.run(&format!("ip link set {} up", b.1))
}

/// Runs a program and fails with what it printed when it fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
