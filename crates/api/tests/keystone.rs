//! Tokens of a real Keystone (sqlite, fernet), by hand and by the published Python client of the existing system.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "access/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of access")]
mod harness;

use harness::Server;
use reqwest::Client;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use weft_api::Access;
use weft_auth::{AuthConfig, KeystoneConfig};

const ADMIN: &str = "keystone-admin-pw";
const SERVICE: &str = "weft-service-pw";
const ALICE: &str = "alice-pw";

struct Keystone {
    directory: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
    client: Client,
}

impl Drop for Keystone {
    fn drop(&mut self) {
        self.stop();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn script(name: &str) -> String {
    let made = Command::new(root().join("scripts").join(name)).output().unwrap();
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}

impl Keystone {
    fn new(programs: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display();
        let config = format!(
            "[database]\nconnection = sqlite:///{base}/keystone.db\n[token]\nprovider = fernet\n\
             [fernet_tokens]\nkey_repository = {base}/fernet\n[credential]\nkey_repository = {base}/credential\n"
        );
        std::fs::write(directory.path().join("keystone.conf"), config).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = Self { directory, programs, port, server: None, client: Client::new() };
        made.manage(&["db_sync"]);
        for what in ["fernet_setup", "credential_setup"] {
            made.manage(&[what, "--keystone-user", "root", "--keystone-group", "root"]);
        }
        let url = made.url("");
        let region = "00000000000000000000000000000001";
        made.manage(&[
            "bootstrap",
            "--bootstrap-password",
            ADMIN,
            "--bootstrap-admin-url",
            &url,
            "--bootstrap-region-id",
            region,
        ]);
        made
    }

    fn manage(&self, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join("keystone-manage"));
        command.arg("--config-file").arg(self.directory.path().join("keystone.conf")).args(arguments);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v3{path}", self.port)
    }

    async fn start(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        let child = Command::new(self.programs.join("uwsgi"))
            .args([
                "--http-socket",
                &format!("127.0.0.1:{}", self.port),
                "--module",
                "keystone.wsgi.api:application",
            ])
            .args(["--add-header", "Connection: close", "--need-app", "--buffer-size", "32768"])
            .env("OS_KEYSTONE_CONFIG_FILES", self.directory.path().join("keystone.conf"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(child);
        for _ in 0..600 {
            if self.client.get(self.url("")).send().await.is_ok_and(|r| r.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", std::fs::read_to_string(self.directory.path().join("log")).unwrap());
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A token of a user in a project.
    async fn login(&self, user: &str, password: &str, project: &str) -> String {
        let domain = json!({"name": "Default"});
        let user = json!({"name": user, "password": password, "domain": domain});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let answer = self.client.post(self.url("/auth/tokens")).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201, "login of {user}");
        answer.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    async fn make(&self, token: &str, what: &str, fields: Value) -> String {
        let request = self.client.post(self.url(&format!("/{what}s"))).header("x-auth-token", token);
        let answer: Value = request.json(&json!({what: fields})).send().await.unwrap().json().await.unwrap();
        answer[what]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// A user with a role in a project.
    async fn user(&self, token: &str, name: &str, password: &str, project: &str, role: &str) -> String {
        let user = self.make(token, "user", json!({"name": name, "password": password})).await;
        let roles = self.client.get(self.url(&format!("/roles?name={role}"))).header("x-auth-token", token);
        let roles: Value = roles.send().await.unwrap().json().await.unwrap();
        let role = roles["roles"][0]["id"].as_str().unwrap();
        let url = self.url(&format!("/projects/{project}/users/{user}/roles/{role}"));
        let given = self.client.put(url).header("x-auth-token", token).send().await.unwrap();
        assert_eq!(given.status().as_u16(), 204);
        user
    }

    async fn revoke(&self, admin: &str, token: &str) {
        let request = self.client.delete(self.url("/auth/tokens")).header("x-auth-token", admin);
        let done = request.header("x-subject-token", token).send().await.unwrap();
        assert_eq!(done.status().as_u16(), 204);
    }
}

async fn weft(keystone: &Keystone) -> Server {
    let password_file = keystone.directory.path().join("password");
    std::fs::write(&password_file, format!("{SERVICE}\n")).unwrap();
    let dead = "http://127.0.0.1:9/v3".to_owned();
    let config = KeystoneConfig {
        endpoints: vec![dead, keystone.url("")],
        username: "weft".into(),
        user_domain: "Default".into(),
        password_file,
        project: "service".into(),
        project_domain: "Default".into(),
        ca: None,
        timeout: 20,
        cache: 1,
    };
    Server::start_with(AuthConfig { keystone: Some(config), oidc: Vec::new() }, |access: Access, _| access)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_keystone() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED, NOT TESTED: python3 is not installed, so no Keystone was run");
        return;
    }
    let programs = tokio::task::spawn_blocking(|| script("keystone-env.sh")).await.unwrap();
    let mut keystone = Keystone::new(programs.into());
    keystone.start().await;
    let admin = keystone.login("admin", ADMIN, "admin").await;
    let service = keystone.make(&admin, "project", json!({"name": "service"})).await;
    let red = keystone.make(&admin, "project", json!({"name": "red"})).await;
    keystone.user(&admin, "weft", SERVICE, &service, "service").await;
    keystone.user(&admin, "alice", ALICE, &red, "admin").await;

    let weft = weft(&keystone).await;
    let alice = keystone.login("alice", ALICE, "red").await;
    // The first endpoint is dead: the second is asked.
    let (status, text) = weft.get("/projects", &[("x-auth-token", &alice)]).await;
    assert_eq!(status, 200, "{text}");
    let response = weft.send(reqwest::Method::GET, "/projects", &[], None).await;
    assert_eq!(response.status().as_u16(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Keystone uri="));
    assert_eq!(weft.get("/projects", &[("x-auth-token", &format!("{alice}x"))]).await.0, 401);

    the_published_client_works(&keystone, &weft).await;

    // Revoked: at the latest when the cache time (1 s here) is over.
    keystone.revoke(&admin, &alice).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(weft.get("/projects", &[("x-auth-token", &alice)]).await.0, 401);

    // Down: nobody new is let in, and it is said why; local tokens go on.
    let other = keystone.login("alice", ALICE, "red").await;
    keystone.stop();
    let (status, text) = weft.get("/projects", &[("x-auth-token", &other)]).await;
    assert!(status == 503 && text.contains("Keystone cannot be asked"), "{status} {text}");
    let local = weft.token("local", "admin").await;
    assert_eq!(weft.get("/projects", &[("x-auth-token", &local)]).await.0, 200);
    keystone.start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(weft.get("/projects", &[("x-auth-token", &other)]).await.0, 200);
}

async fn the_published_client_works(keystone: &Keystone, weft: &Server) {
    let (api, port) = (weft.url.rsplit(':').next().unwrap().to_owned(), keystone.port.to_string());
    let said = tokio::task::spawn_blocking(move || {
        let python = script("python-env.sh");
        let script = root().join("tests/python/test_keystone.py");
        Command::new(python)
            .arg(script)
            .args(["127.0.0.1", &api, &port, "alice", ALICE, "red"])
            .output()
            .unwrap()
    });
    let said = said.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&said.stdout).trim(), "ok", "{}", text(&said.stderr));
}
