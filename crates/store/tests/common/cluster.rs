//! An etcd cluster on loopback, from Debian's `etcd-server`, ended with the test.

#![allow(dead_code)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One member.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) client_port: u16,
    peer_port: u16,
    dir: PathBuf,
    child: Option<Child>,
}

/// Members on ports of their own, in a temporary directory.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    extra: Vec<String>,
    scheme: &'static str,
    directory: tempfile::TempDir,
}

/// A free port. Between this and its use somebody else may take it; then etcd says so and the test fails.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a program that dies with this process, however it ends: the kernel kills it with the thread that started it,
/// so that one must live as long as the process.
fn spawn(mut command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static STARTER: std::sync::OnceLock<std::sync::Mutex<mpsc::Sender<Order>>> = std::sync::OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in orders {
                let _ = reply.send(command.spawn());
            }
        });
        std::sync::Mutex::new(sender)
    });
    let (reply, child) = mpsc::channel();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    starter.lock().unwrap().send((command, reply)).unwrap();
    child.recv().unwrap().expect("etcd does not start: is etcd-server installed (scripts/setup.sh)?")
}

impl Cluster {
    /// `size` plain members.
    pub(crate) fn start(size: usize) -> Self {
        Self::start_with(size, "http", &[])
    }

    /// Members with further arguments, clients at `scheme`.
    pub(crate) fn start_with(size: usize, scheme: &'static str, extra: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let members = (0..size).map(|index| Member {
            name: format!("m{index}"),
            client_port: free_port(),
            peer_port: free_port(),
            dir: directory.path().join(format!("m{index}")),
            child: None,
        });
        let members = members.collect();
        let mut cluster = Self { members, extra: extra.to_vec(), scheme, directory };
        for index in 0..size {
            cluster.start_member(index);
        }
        if scheme == "http" {
            cluster.wait();
        }
        cluster
    }

    pub(crate) fn start_member(&mut self, index: usize) {
        let peers = self.members.iter().map(|m| format!("{}=http://127.0.0.1:{}", m.name, m.peer_port));
        let peers = peers.collect::<Vec<_>>().join(",");
        let log = std::fs::File::create(self.directory.path().join(format!("m{index}.log"))).unwrap();
        let member = &mut self.members[index];
        let client = format!("{}://127.0.0.1:{}", self.scheme, member.client_port);
        let peer = format!("http://127.0.0.1:{}", member.peer_port);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "etcd", "--name", &member.name, "--logger", "zap"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &peers, "--data-dir"]).arg(&member.dir).args(&self.extra);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).stderr(log);
        member.child = Some(spawn(command));
    }

    /// Ends a member by SIGKILL.
    pub(crate) fn kill_member(&mut self, index: usize) {
        if let Some(mut child) = self.members[index].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|m| format!("127.0.0.1:{}", m.client_port)).collect()
    }

    /// The store's location with everything below `prefix`.
    pub(crate) fn location(&self, prefix: &str) -> String {
        format!("etcd://{}/{prefix}", self.endpoints().join(","))
    }

    /// Waits until every member serves reads, and so has a leader.
    pub(crate) fn wait(&self) {
        let start = Instant::now();
        for member in &self.members {
            let endpoint = format!("127.0.0.1:{}", member.client_port);
            while etcdctl(&endpoint, &["get", "nothing"], &[]).is_none() {
                assert!(start.elapsed() < PATIENCE, "{} does not answer: {}", member.name, self.log());
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// The member that leads, as it says itself.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| {
            let endpoint = format!("127.0.0.1:{}", member.client_port);
            let status = etcdctl(&endpoint, &["endpoint", "status", "-w", "json"], &[]).unwrap_or_default();
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            let status = &status[0]["Status"];
            status["leader"].is_u64() && status["leader"] == status["header"]["member_id"]
        })
    }

    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("m0.log")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            if let Some(mut child) = self.members[index].child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Runs etcdctl against one endpoint; its output if it succeeded.
pub(crate) fn etcdctl(endpoint: &str, arguments: &[&str], tls: &[&str]) -> Option<String> {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", endpoint, "--command-timeout", "2s"]);
    let output = command.args(tls).args(arguments).output().expect("etcdctl: is etcd-client installed?");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
