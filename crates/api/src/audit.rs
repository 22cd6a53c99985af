//! The audit log: a JSON line for every write, with who, from where, what, before, after and outcome (ADR 0032).
//!
//! What always holds: a write begins only when its line has a place in the queue, and its line is queued even if the client
//! leaves or the handler panics. If lines cannot be written, the queue stays full and writes are refused with 503.

mod writer;

use crate::error::Refusal;
use crate::identity::{Access, RequestId};
use crate::tls::Peer;
use crate::{ApiError, time};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, OwnedPermit};
use weft_auth::Identity;
use weft_model::Object;

/// Lines waiting to be written.
const QUEUE: usize = 4096;
/// Longest wait for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(1);
/// POST requests that only read.
const READS: &[&str] = &["/fqname-to-id", "/id-to-fqname", "/list-bulk-collection"];
/// The end of the path of one more.
const COUNT: &str = "/subnet-ip-count";

/// One object as a write found and left it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) before: Option<Object>,
    pub(crate) after: Option<Object>,
}

/// One line.
#[derive(Debug)]
struct Record {
    time: String,
    request_id: String,
    identity: Arc<Identity>,
    peer: Peer,
    method: Method,
    path: String,
    /// `None`: the handler ended without an answer.
    status: Option<StatusCode>,
    message: Option<String>,
    changes: Vec<Change>,
}

type Changes = Arc<Mutex<Vec<Change>>>;

tokio::task_local! {
    static CHANGES: Changes;
}

/// Whether the write under way is recorded.
pub(crate) fn active() -> bool {
    CHANGES.try_with(|_| ()).is_ok()
}

/// Adds to what the write under way did; call it once that is committed.
pub(crate) fn committed(changes: Vec<Change>) {
    let _ = CHANGES.try_with(|held| lock(held).extend(changes));
}

fn lock(changes: &Changes) -> std::sync::MutexGuard<'_, Vec<Change>> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How large files of the log become, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Size after which a file is put aside as PATH.1, bytes.
    pub bytes: u64,
    /// Files kept aside.
    pub files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes: 64 << 20, files: 8 }
    }
}

/// An audit log.
pub struct Audit {
    queue: mpsc::Sender<Record>,
    failing: Arc<AtomicBool>,
    path: PathBuf,
}

impl Audit {
    /// Appends to a file, mode 0600; PATH.1 and on are older ones.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path, rotation: Rotation) -> std::io::Result<Self> {
        let failing = Arc::new(AtomicBool::new(false));
        let writer = writer::Writer::open(path, rotation, Arc::clone(&failing))?;
        let (queue, records) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(records))?;
        Ok(Self { queue, failing, path: path.to_owned() })
    }

    async fn place(&self) -> Result<OwnedPermit<Record>, ApiError> {
        let refused = |why: &str| {
            Err(ApiError::unavailable(format!(
                "the audit log {why}: nothing was changed ({})",
                self.path.display()
            )))
        };
        if self.failing.load(Ordering::Relaxed) {
            return refused("cannot be written");
        }
        match tokio::time::timeout(PATIENCE, self.queue.clone().reserve_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => refused("has ended"),
            Err(_) => refused("does not keep up"),
        }
    }
}

/// Queues the line when it goes out of scope, however that comes about.
struct Line {
    place: Option<OwnedPermit<Record>>,
    record: Option<Record>,
    changes: Changes,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let (Some(place), Some(mut record)) = (self.place.take(), self.record.take()) {
            record.changes = std::mem::take(&mut *lock(&self.changes));
            place.send(record);
        }
    }
}

fn writes(method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD || *method == Method::OPTIONS;
    !reads && !READS.contains(&path) && !path.ends_with(COUNT)
}

/// Does the work of a request, and records it if it is a write.
pub(crate) async fn recorded<F>(
    access: &Access,
    request: Request,
    work: impl FnOnce(Request) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let Some(audit) = access.audit().filter(|_| writes(request.method(), request.uri().path())) else {
        return work(request).await;
    };
    let place = match audit.place().await {
        Ok(place) => place,
        Err(refused) => return refused.into_response(),
    };
    let changes = Changes::default();
    let record = record(&request);
    let mut line = Line { place: Some(place), record: Some(record), changes: Arc::clone(&changes) };
    // A task of its own: it goes on to the end if the client leaves, so that the line tells what happened.
    let work = tokio::spawn(CHANGES.scope(changes, async move {
        let response = work(request).await;
        if let Some(record) = &mut line.record {
            record.status = Some(response.status());
            record.message = response.extensions().get::<Refusal>().map(|refusal| refusal.0.clone());
        }
        response
    }));
    work.await.unwrap_or_else(|_| ApiError::internal("the request was not finished").into_response())
}

fn record(request: &Request) -> Record {
    let extensions = request.extensions();
    let identity = extensions.get::<Arc<Identity>>().cloned();
    Record {
        time: format!("{}Z", time::now()),
        request_id: extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
        identity: identity.unwrap_or_else(|| Arc::new(Identity::anonymous())),
        peer: extensions.get::<Peer>().copied().unwrap_or(Peer::Unknown),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        status: None,
        message: None,
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_write() {
        assert!(writes(&Method::POST, "/virtual-networks") && writes(&Method::DELETE, "/project/x"));
        assert!(writes(&Method::POST, "/virtual-network/x/ip-alloc") && writes(&Method::PATCH, "/"));
        assert!(!writes(&Method::GET, "/watch") && !writes(&Method::POST, "/fqname-to-id"));
        assert!(!writes(&Method::POST, "/virtual-network/x/subnet-ip-count"));
    }
}
