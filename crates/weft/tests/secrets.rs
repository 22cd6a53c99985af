//! A controller that logs everything logs no secret, and keeps none in the clear.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What must be nowhere but in answers.
const SECRET: &str = "hunter2-of-the-router";

struct Controller {
    directory: tempfile::TempDir,
    child: Child,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Controller {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.env("WEFT_LOG", "trace").args(["controller", "--plain-xmpp"]);
        command.arg("--data-dir").arg(at("data")).arg("--api-socket").arg(at("sock"));
        for option in ["--listen-api", "--listen-xmpp", "--listen-dns", "--listen-introspect"] {
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            command.arg(option).arg(free.to_string());
        }
        let log = std::fs::File::create(at("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let begun = Instant::now();
        while UnixStream::connect(at("sock")).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the controller does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { directory, child }
    }

    /// Status line and body of an answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> String {
        let mut stream = UnixStream::connect(self.directory.path().join("sock")).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// All that lies in the directory, as text.
fn on_disk(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_dir() || path.is_file())
        .map(|path| match path.is_dir() {
            true => on_disk(&path),
            false => String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
        })
        .collect()
}

#[test]
fn neither_logs_nor_files_hold_a_secret() {
    let controller = Controller::start();
    let router = |name: &str, password: Value| {
        json!({"physical-router": {"fq_name": ["default-global-system-config", name],
            "physical_router_user_credentials": {"username": "visible-user", "password": password},
            "physical_router_snmp_credentials": {"v2_community": SECRET}}})
    };
    let made = controller.ask("POST", "/physical-routers", &router("r", SECRET.into()));
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let refused = controller.ask("POST", "/physical-routers", &router("s", json!([SECRET])));
    assert!(refused.starts_with("HTTP/1.1 400") && !refused.contains(SECRET), "{refused}");
    let read = controller.ask("GET", "/physical-routers?detail=true", &Value::Null);
    assert!(read.contains(SECRET), "{read}");
    std::thread::sleep(Duration::from_secs(1));
    let all = on_disk(controller.directory.path());
    for there in ["visible-user", "request_id", "DEBUG"] {
        assert!(all.contains(there), "no {there}: the test looks in the wrong place");
    }
    assert!(!all.contains(SECRET));
}
