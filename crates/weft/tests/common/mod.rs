//! A controller on loopback with a directory of its own, and the built binary as a user runs it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, none of which uses everything"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const WEFT: &str = env!("CARGO_BIN_EXE_weft");
/// Longest wait for something to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A controller with a directory of its own; both end with this.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) controller: Child,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let controller = start(directory.path());
        let world = Self { directory, controller };
        world.weft(&["context", "set", "here", "--server", &world.server()]).ok();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn server(&self) -> String {
        format!("unix:{}", self.path("api.sock").display())
    }

    /// Writes a file below the directory and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(WEFT);
        command.args(arguments).env("WEFT_CONFIG", self.path("config/config.yaml")).env("NO_COLOR", "1");
        for name in ["WEFT_SERVER", "WEFT_TOKEN", "VISUAL", "EDITOR"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn weft(&self, arguments: &[&str]) -> Ran {
        Ran(arguments.join(" "), self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn stop(&mut self) {
        let pid = self.controller.id().to_string();
        Command::new("kill").arg(&pid).status().unwrap();
        self.controller.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.controller = start(self.directory.path());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.controller.kill();
        let _ = self.controller.wait();
    }
}

pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn start(directory: &Path) -> Child {
    start_with(directory, &[])
}

/// With more options.
pub(crate) fn start_with(directory: &Path, more: &[&str]) -> Child {
    let socket = directory.join("api.sock");
    let _ = std::fs::remove_file(&socket);
    let mut command = Command::new(WEFT);
    command.arg("controller").arg("--plain-xmpp").arg("--data-dir").arg(directory.join("data"));
    command.arg("--api-socket").arg(&socket).args(more);
    for option in ["--listen-api", "--listen-xmpp", "--listen-dns", "--listen-introspect"] {
        command.arg(option).arg(free_port().to_string());
    }
    let log = std::fs::File::create(directory.join("controller.log")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let begun = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        let log = || std::fs::read_to_string(directory.join("controller.log")).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "the controller ended: {}", log());
        assert!(begun.elapsed() < PATIENCE, "the controller does not listen: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// A command that has ended.
pub(crate) struct Ran(pub(crate) String, pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self, expected: i32) -> &Self {
        let (out, err) = (self.out(), self.err());
        assert_eq!(self.1.status.code(), Some(expected), "weft {}\n{out}\n{err}", self.0);
        self
    }

    pub(crate) fn ok(&self) -> &Self {
        self.code(0)
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.1.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.1.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        let (out, err) = (self.out(), self.err());
        assert!(out.contains(words) || err.contains(words), "weft {}: no {words:?} in\n{out}\n{err}", self.0);
        self
    }
}
