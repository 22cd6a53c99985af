//! TLS configurations that follow their files: a renewed certificate counts from the next connection on.
//!
//! Files are looked at when a connection is made, and not more often than every [`INTERVAL`]. What was replaced by
//! something unusable (half a pair, say) is warned of once and does not count: the configuration from before does.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ServerConfig};

use crate::config;
use crate::error::TlsError;
use crate::files::{CA_CERTIFICATE, CERTIFICATE, KEY};

/// Shortest time between two looks at the files.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// What tells whether a file is still the same: device, inode, size, and when it was changed (seconds, nanoseconds).
type Stamp = Option<(u64, u64, u64, i64, i64)>;

type Load<C> = Box<dyn Fn() -> Result<Arc<C>, TlsError> + Send + Sync>;

/// A configuration and the files it is made from.
pub struct Reloading<C> {
    files: Vec<PathBuf>,
    load: Load<C>,
    interval: Duration,
    state: Mutex<State<C>>,
}

/// A listener's.
pub type ServerTls = Reloading<ServerConfig>;
/// A connecting node's.
pub type ClientTls = Reloading<ClientConfig>;

struct State<C> {
    config: Arc<C>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl<C> fmt::Debug for Reloading<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<C> Reloading<C> {
    fn new(
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<Arc<C>, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Stamps first: what changes while it is read is read again.
        let (stamps, config) = (stamps(&files), load()?);
        let state = Mutex::new(State { config, stamps, looked: Instant::now() });
        Ok(Self { files, load: Box::new(load), interval: INTERVAL, state })
    }

    /// The same, looking at its files as often as that.
    #[must_use]
    pub fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// The configuration for a connection that is made now.
    pub fn current(&self) -> Arc<C> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= self.interval {
            state.looked = Instant::now();
            let found = stamps(&self.files);
            if found != state.stamps {
                state.stamps = found;
                match (self.load)() {
                    Ok(config) => {
                        tracing::info!(files = ?self.files, "certificates read again");
                        state.config = config;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "new certificates cannot be used, those from before still count");
                    }
                }
            }
        }
        Arc::clone(&state.config)
    }
}

impl ServerTls {
    /// [`crate::server_config`] of a node's directory.
    ///
    /// # Errors
    /// As there.
    pub fn of_directory(dir: &Path) -> Result<Self, TlsError> {
        let dir = dir.to_owned();
        Self::new(node_files(&dir), move || config::server_config(&dir))
    }

    /// [`crate::http_config`] of these files.
    ///
    /// # Errors
    /// As there.
    pub fn http(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let (cert, key, client_ca) = (cert.to_owned(), key.to_owned(), client_ca.map(Path::to_owned));
        let files = [Some(&cert), Some(&key), client_ca.as_ref()].into_iter().flatten().cloned().collect();
        Self::new(files, move || config::http_config(&cert, &key, client_ca.as_deref()))
    }
}

impl ClientTls {
    /// [`crate::client_config`] of a node's directory.
    ///
    /// # Errors
    /// As there.
    pub fn of_directory(dir: &Path) -> Result<Self, TlsError> {
        let dir = dir.to_owned();
        Self::new(node_files(&dir), move || config::client_config(&dir))
    }
}

fn node_files(dir: &Path) -> Vec<PathBuf> {
    [CA_CERTIFICATE, CERTIFICATE, KEY].map(|name| dir.join(name)).to_vec()
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
    };
    files.iter().map(stamp).collect()
}
