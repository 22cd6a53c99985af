//! What the agent remembers across a restart, written so that a crash leaves the old or the new version, whole.
//!
//! Two files: `numbers.json` (allotted numbers; written before the tables that use them) and `config.json` (the
//! configuration as last delivered, so that services and policy go on while no controller can be reached).

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};

use crate::desired::SavedNumbers;

/// Version of the files' form. Another version is not read.
const VERSION: u32 = 1;
/// Most bytes read from a state file.
const MAX_FILE: u64 = 1 << 30;

/// A state file could not be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// The contents could not be encoded.
    #[error("encoding state: {0}")]
    Encode(#[from] serde_json::Error),
}

/// Replace `path` by a file with `bytes`: on stable storage when this returns.
///
/// # Errors
/// [`StateError::Io`]; the old file is then still there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    std::fs::rename(&temporary, path).map_err(io)?;
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Numbered<T> {
    version: u32,
    contents: T,
}

/// A node or link, as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SavedElement {
    Node {
        node_type: String,
        name: String,
        uuid: Option<Uuid>,
        properties: serde_json::Map<String, serde_json::Value>,
    },
    Link {
        left: (String, String),
        right: (String, String),
        metadata: String,
    },
}

impl From<ConfigOp> for SavedElement {
    fn from(op: ConfigOp) -> Self {
        match op {
            ConfigOp::Update(ConfigElement::Node(n)) | ConfigOp::Delete(ConfigElement::Node(n)) => {
                Self::Node { node_type: n.node_type, name: n.name, uuid: n.uuid, properties: n.properties }
            }
            ConfigOp::Update(ConfigElement::Link(l)) | ConfigOp::Delete(ConfigElement::Link(l)) => {
                Self::Link { left: l.left, right: l.right, metadata: l.metadata }
            }
        }
    }
}

impl From<SavedElement> for ConfigOp {
    fn from(element: SavedElement) -> Self {
        Self::Update(match element {
            SavedElement::Node { node_type, name, uuid, properties } => {
                ConfigElement::Node(ConfigNode { node_type, name, uuid, properties })
            }
            SavedElement::Link { left, right, metadata } => {
                ConfigElement::Link(ConfigLink { left, right, metadata })
            }
        })
    }
}

/// The state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    dir: PathBuf,
}

impl StateDir {
    /// The directory `dir`, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(dir).map_err(|source| StateError::Io { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Where port files are.
    pub fn ports(&self) -> PathBuf {
        self.dir.join("ports")
    }

    /// The numbers of the last run; none when the file is missing or cannot be understood (which is logged: the
    /// forwarder's entries are then replaced rather than kept).
    pub fn load_numbers(&self) -> SavedNumbers {
        self.load("numbers.json").unwrap_or_default()
    }

    /// Save the numbers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_numbers(&self, numbers: SavedNumbers) -> Result<(), StateError> {
        self.save("numbers.json", numbers)
    }

    /// The configuration of the last run, as operations.
    pub fn load_config(&self) -> Vec<ConfigOp> {
        let saved: Vec<SavedElement> = self.load("config.json").unwrap_or_default();
        saved.into_iter().map(ConfigOp::from).collect()
    }

    /// Save the configuration.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_config(&self, ops: impl Iterator<Item = ConfigOp>) -> Result<(), StateError> {
        self.save("config.json", ops.map(SavedElement::from).collect::<Vec<_>>())
    }

    fn load<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let path = self.dir.join(name);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "state file cannot be opened");
                return None;
            }
            Ok(file) => {
                if let Err(error) = file.take(MAX_FILE).read_to_end(&mut bytes) {
                    tracing::warn!(path = %path.display(), %error, "state file cannot be read");
                    return None;
                }
            }
        }
        match serde_json::from_slice::<Numbered<T>>(&bytes) {
            Ok(file) if file.version == VERSION => Some(file.contents),
            Ok(file) => {
                tracing::warn!(path = %path.display(), version = file.version, "state file of another version");
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "state file is not understood");
                None
            }
        }
    }

    fn save<T: Serialize>(&self, name: &str, contents: T) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(&Numbered { version: VERSION, contents })?;
        write_atomically(&self.dir.join(name), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let ops = vec![
            ConfigOp::Update(ConfigElement::Node(ConfigNode::named("virtual-network", "a:b:c"))),
            ConfigOp::Update(ConfigElement::Link(ConfigLink {
                left: ("a".into(), "x".into()),
                right: ("b".into(), "y".into()),
                metadata: "m".into(),
            })),
        ];
        assert!(state.load_config().is_empty());
        state.save_config(ops.clone().into_iter()).unwrap();
        assert_eq!(state.load_config(), ops);
        std::fs::write(dir.path().join("config.json"), b"{\"version\":1,\"contents\":").unwrap();
        assert!(state.load_config().is_empty());
    }
}
