//! Connections to the members of a cluster: one is used until it fails, then the next is tried.

use std::future::Future;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, Identity, KvClient, ResponseHeader,
    TlsOptions,
};
use tokio::time::Instant;

use super::EtcdOptions;
use crate::{Revision, StoreError};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pings on connections, idle ones too. Servers refuse clients that ping more often than every 5 s.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// Pause before another member is asked.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of the largest answer taken: far more than any page or transaction.
const MAX_MESSAGE: usize = 256 << 20;

/// gRPC status codes that say that a request was looked at and refused: it was not done.
const REFUSED: [i32; 6] =
    [INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, 11, 16];
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;

/// Whether a failed request was certainly not done.
pub(super) fn refused(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => {
            // These pass with time, or with a new token.
            let passing = ["too many requests", "revision of auth store is old", "invalid auth token"];
            let text = status.message();
            REFUSED.contains(&(status.code() as i32)) && !passing.iter().any(|p| text.contains(p))
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) => true,
        _ => false,
    }
}

/// What the server said.
pub(super) fn message(error: &Error) -> String {
    match error {
        Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    }
}

/// A lasting refusal as the callers of the store know it.
pub(super) fn refusal(error: &Error, ops: usize, bytes: usize, options: &EtcdOptions) -> StoreError {
    let text = message(error);
    if text.contains("too many operations") {
        return StoreError::TooLarge { what: "operations", size: ops, limit: options.max_ops };
    }
    if text.contains("too large") || text.contains("larger than max") {
        return StoreError::TooLarge { what: "bytes", size: bytes, limit: options.max_bytes };
    }
    StoreError::Refused(text)
}

/// The members, with a client for each that was needed.
pub(super) struct Connection {
    pub(super) options: EtcdOptions,
    password: Option<String>,
    tls: Option<TlsOptions>,
    clients: Vec<Mutex<Option<Client>>>,
    current: AtomicUsize,
    /// The newest revision seen in any answer.
    known: AtomicU64,
    /// The cluster's identity, 0 until known.
    cluster: AtomicU64,
}

impl Connection {
    /// Reads the files the options name; connects to nothing yet.
    pub(super) fn new(options: EtcdOptions) -> Result<Self, StoreError> {
        let tls = options.ca.as_deref().map(|ca| tls(ca, &options)).transpose()?;
        let password = match &options.user {
            Some((_, file)) => Some(read(file)?.trim_end_matches(['\r', '\n']).to_owned()),
            None => None,
        };
        let clients = options.endpoints.iter().map(|_| Mutex::new(None)).collect();
        Ok(Self {
            options,
            password,
            tls,
            clients,
            current: AtomicUsize::new(0),
            known: AtomicU64::new(0),
            cluster: AtomicU64::new(0),
        })
    }

    /// The newest revision seen so far.
    pub(super) fn known(&self) -> Revision {
        self.known.load(Ordering::Acquire)
    }

    /// Takes note of an answer's revision.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another cluster answered.
    pub(super) fn note(&self, header: Option<&ResponseHeader>) -> Result<Revision, StoreError> {
        let Some(header) = header else {
            return Err(StoreError::Unavailable("an answer without header".into()));
        };
        let id = header.cluster_id();
        let before = self.cluster.compare_exchange(0, id, Ordering::AcqRel, Ordering::Acquire);
        if before.is_err_and(|cluster| cluster != id) {
            let message = format!("the endpoints belong to different clusters ({id:x} answered)");
            return Err(StoreError::Unavailable(message));
        }
        let revision = u64::try_from(header.revision()).unwrap_or(0);
        self.known.fetch_max(revision, Ordering::AcqRel);
        Ok(revision)
    }

    /// The client in use and its number.
    pub(super) async fn client(&self) -> Result<(usize, Client), Error> {
        let index = self.current.load(Ordering::Acquire) % self.clients.len();
        let held = self.clients[index].lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = held {
            return Ok((index, client));
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEPALIVE.0, KEEPALIVE.1)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.clone());
        }
        if let (Some((user, _)), Some(password)) = (&self.options.user, &self.password) {
            options = options.with_user(user, password);
        }
        let connecting = Client::connect([&self.options.endpoints[index]], Some(options));
        let client = match tokio::time::timeout(self.options.request_timeout, connecting).await {
            Ok(client) => client?,
            Err(_) => return Err(Error::EndpointError("connecting took too long".into())),
        };
        *self.clients[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok((index, client))
    }

    /// Leaves a member that failed, if nobody has yet.
    pub(super) fn leave(&self, index: usize) {
        let next = (index + 1) % self.clients.len();
        let _ = self.current.compare_exchange(index, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// One request to the member in use, within the time of a request. Leaves the member if it fails.
    pub(super) async fn once<T, F>(&self, call: impl FnOnce(KvClient) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let index = self.current.load(Ordering::Acquire) % self.clients.len();
        let outcome = match self.client().await {
            Ok((_, client)) => {
                let kv = client.kv_client().max_decoding_message_size(MAX_MESSAGE);
                match tokio::time::timeout(self.options.request_timeout, call(kv)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(Error::EndpointError("no answer in time".into())),
                }
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome
            && !refused(error)
        {
            if message(error).contains("auth") {
                // The next client authenticates anew.
                *self.clients[index].lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            self.leave(index);
        }
        outcome
    }

    /// A request that may be repeated, to one member after the other until one answers or patience ends.
    pub(super) async fn repeat<T, F>(&self, call: impl Fn(KvClient) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let end = Instant::now() + self.options.patience;
        loop {
            match self.once(&call).await {
                Ok(value) => return Ok(value),
                Err(error) if refused(&error) => return Err(Failure::Refused(error)),
                Err(error) if Instant::now() >= end => {
                    return Err(Failure::Unavailable(self.unavailable(&error)));
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// What is said when patience ends with this error.
    pub(super) fn unavailable(&self, error: &Error) -> String {
        format!("etcd at {}: {}", self.options.endpoints.join(", "), message(error))
    }

    /// Waits a moment after a failure, before another member is asked.
    pub(super) async fn pause(&self, error: &Error) {
        tracing::debug!(%error, "etcd request failed, asking another member");
        tokio::time::sleep(PAUSE).await;
    }

    /// A linearisable read.
    pub(super) async fn get(&self, key: &[u8], options: GetOptions) -> Result<GetResponse, StoreError> {
        let response =
            self.try_get(key, options).await.map_err(|failure| failure.into_error(&self.options))?;
        self.note(response.header())?;
        Ok(response)
    }

    /// [`Connection::get`], with the refusal as the server put it.
    pub(super) async fn try_get(&self, key: &[u8], options: GetOptions) -> Result<GetResponse, Failure> {
        let call = |mut kv: KvClient| {
            let options = options.clone();
            async move { kv.get(key, Some(options)).await }
        };
        self.repeat(call).await
    }
}

/// Why a repeated request has no result.
pub(super) enum Failure {
    /// The server will not do it.
    Refused(Error),
    /// Nobody answered.
    Unavailable(String),
}

impl Failure {
    pub(super) fn into_error(self, options: &EtcdOptions) -> StoreError {
        match self {
            Self::Refused(error) => refusal(&error, 0, 0, options),
            Self::Unavailable(message) => StoreError::Unavailable(message),
        }
    }
}

fn read(path: &Path) -> Result<String, StoreError> {
    std::fs::read_to_string(path).map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))
}

fn tls(ca: &Path, options: &EtcdOptions) -> Result<TlsOptions, StoreError> {
    let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca)?));
    if let Some((cert, key)) = &options.identity {
        tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    if let Some(name) = &options.server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}
