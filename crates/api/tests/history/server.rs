//! The api as a process of its own: this binary again.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_api::{ApiState, DerivedView, Limits, router};
use weft_store::{Store, StoreError, check};

/// Environment variables that make this binary an api process.
const LOCATION: &str = "WEFT_HISTORY_STORE";
const PORT: &str = "WEFT_HISTORY_PORT";
/// How long an api may take to answer.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs the api if this process is to be one.
pub(crate) fn child() {
    let (Ok(location), Ok(port)) = (std::env::var(LOCATION), std::env::var(PORT)) else { return };
    // The parent holds the other end: without it there is nothing to do here.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(&location).await;
        let state = ApiState::new(Arc::clone(&store), DerivedView::start(store));
        state.bootstrap().await.unwrap();
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
        weft_api::serve(listener, router(state), Limits::default(), std::future::pending()).await;
    });
}

/// Opens a store, after the process that had it open has really ended.
async fn open(location: &str) -> Arc<dyn Store> {
    let start = Instant::now();
    loop {
        match weft_store::open(location).await {
            Ok(store) => return store,
            Err(StoreError::Locked { .. } | StoreError::Unavailable(_)) if start.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// An api process, killed with the test.
pub(crate) struct Api {
    child: Child,
    pub(crate) port: u16,
}

impl Api {
    pub(crate) fn start(location: &str, port: u16) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
            .env(LOCATION, location)
            .env(PORT, port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it answers.
    pub(crate) async fn wait(&self) {
        let start = Instant::now();
        while reqwest::get(self.url()).await.is_err() {
            assert!(start.elapsed() < PATIENCE, "the api does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows of the store agree with one another.
pub(crate) async fn agrees(location: &str) {
    let store = open(location).await;
    let rows = check::rows(&*store).await.unwrap();
    let findings = check::check(&rows);
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(rows.len() > 20, "{} rows", rows.len());
}
