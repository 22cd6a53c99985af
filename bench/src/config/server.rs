//! The processes measured: started in a directory of their own, ended by their process id.

use super::http::Waiting;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to answer.
const START: Duration = Duration::from_secs(120);

/// Where things are, and are put. The directory goes when this does.
pub(super) struct Place {
    dir: PathBuf,
    weft: PathBuf,
}

impl Place {
    pub(super) fn new(dir: Option<PathBuf>, weft: Option<PathBuf>) -> Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.parent().context("no directory")?;
        let weft = weft.unwrap_or_else(|| beside.join("weft"));
        if !weft.exists() {
            bail!("{} is not there: cargo build --release -p weft", weft.display());
        }
        let dir = dir.unwrap_or_else(|| beside.to_owned()).join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self { dir, weft })
    }

    /// Whether this weft can use etcd as its store.
    pub(super) fn knows_etcd(&self) -> Result<bool> {
        let help = Command::new(&self.weft).args(["controller", "--help"]).output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains("--store"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A process that ends with this value.
struct Process(Child);

impl Process {
    fn start(mut command: Command, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        crate::sys::end_with_parent(&mut command);
        let shown = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| shown)?))
    }

    fn alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A single-node etcd.
pub(super) struct Etcd {
    _process: Process,
    pub(super) endpoint: String,
}

impl Etcd {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let (client, peer) = (free_port()?, free_port()?);
        let endpoint = format!("http://127.0.0.1:{client}");
        let peer = format!("http://127.0.0.1:{peer}");
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(place.dir.join("etcd"));
        command.args([
            "--name",
            "bench",
            "--listen-client-urls",
            &endpoint,
            "--advertise-client-urls",
            &endpoint,
        ]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("bench={peer}"), "--quota-backend-bytes", "8589934592"]);
        let mut process = Process::start(command, &place.dir.join("etcd.log"))?;
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", client)).is_err() {
            if !process.alive() || begin.elapsed() > START {
                bail!("etcd does not answer (scripts/setup.sh bench installs it)");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { _process: process, endpoint })
    }
}

/// Which store a controller uses.
pub(super) enum Kind<'a> {
    Embedded,
    Etcd(&'a Etcd),
}

/// A controller.
pub(super) struct Controller {
    process: Process,
    name: &'static str,
    pub(super) socket: PathBuf,
}

impl Controller {
    /// Starts one and waits until it answers.
    pub(super) fn start(place: &Place, name: &'static str, kind: Kind<'_>) -> Result<Self> {
        let dir = place.dir.join(name.replace(' ', "-"));
        fs::create_dir_all(&dir)?;
        let socket = dir.join("api");
        let mut command = Command::new(&place.weft);
        command.arg("controller").arg("--data-dir").arg(&dir).arg("--api-socket").arg(&socket);
        command.arg("--plain-xmpp");
        for option in ["--listen-api", "--listen-xmpp", "--listen-dns", "--listen-introspect"] {
            command.arg(option).arg(format!("127.0.0.1:{}", free_port()?));
        }
        if let Kind::Etcd(etcd) = kind {
            command.arg("--store").arg(etcd.endpoint.replace("http://", "etcd://"));
        }
        let log = dir.join("log");
        let mut process = Process::start(command, &log)?;
        let begin = Instant::now();
        loop {
            let answer = Waiting::open(&socket).and_then(|mut c| c.ok("GET", "/domains", "").map(|_| ()));
            match answer {
                Ok(()) => return Ok(Self { process, name, socket }),
                Err(error) if !process.alive() || begin.elapsed() > START => {
                    let log = fs::read_to_string(&log).unwrap_or_default();
                    let tail: Vec<&str> = log.lines().rev().take(5).collect();
                    bail!("weft controller does not answer: {error}\n{}", tail.join("\n"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Resident memory now and its peak, in KiB.
    pub(super) fn memory(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next())
                .and_then(|n| n.parse().ok())
                .context("no such field")
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }
}
