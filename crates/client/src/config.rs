//! The user's contexts: which server a command talks to.
//!
//! The file is `$WEFT_CONFIG` or `~/.config/weft/config.yaml`:
//! `current: lab` and `contexts: {lab: {server: "unix:/...", agents: {host1: "unix:/..."}}}`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ClientError, Endpoint};

/// One server and, where they are not reached at their own addresses, its hosts' agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// REST API of the controller.
    pub server: Endpoint,
    /// Introspection endpoints of agents by host name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, Endpoint>,
}

impl Default for Context {
    /// A controller on this machine at its standard port.
    fn default() -> Self {
        let server = Endpoint::Http(format!("http://127.0.0.1:{}", weft_model::defaults::API_PORT));
        Self { server, agents: BTreeMap::new() }
    }
}

/// The configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the context used when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Config {
    /// Where the file is: `$WEFT_CONFIG`, else `~/.config/weft/config.yaml`.
    pub fn path() -> PathBuf {
        if let Some(path) = std::env::var_os("WEFT_CONFIG") {
            return PathBuf::from(path);
        }
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("/"));
        home.join(".config/weft/config.yaml")
    }

    /// Reads the file; an absent one is empty.
    ///
    /// # Errors
    /// When it is unreadable or not of the form above.
    pub fn load(path: &Path) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::Config { path: path.to_owned(), reason };
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Ok(Self::default()),
            Ok(text) => serde_saphyr::from_str(&text).map_err(|e| bad(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(bad(e.to_string())),
        }
    }

    /// Writes the file whole, through a temporary file beside it.
    ///
    /// # Errors
    /// When the directory or file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ClientError> {
        let bad = |reason: String| ClientError::Config { path: path.to_owned(), reason };
        let text = serde_saphyr::to_string(self).map_err(|e| bad(e.to_string()))?;
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        let temporary = path.with_extension(format!("tmp{}", std::process::id()));
        std::fs::create_dir_all(directory).map_err(|e| bad(e.to_string()))?;
        std::fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|e| bad(e.to_string()))
    }

    /// The context of that name, else the current one, else this machine's controller.
    ///
    /// # Errors
    /// When a named context does not exist.
    pub fn context(&self, name: Option<&str>, path: &Path) -> Result<Context, ClientError> {
        let Some(name) = name.or(self.current.as_deref()) else { return Ok(Context::default()) };
        self.contexts.get(name).cloned().ok_or_else(|| ClientError::Config {
            path: path.to_owned(),
            reason: format!("no context {name}; known: {}", self.names()),
        })
    }

    /// Adds or replaces a context and makes it the current one.
    pub fn set_current(&mut self, name: &str, context: Context) {
        self.contexts.insert(name.to_owned(), context);
        self.current = Some(name.to_owned());
    }

    /// Forgets a context; the current one, if it was that, becomes none.
    pub fn remove(&mut self, name: &str) {
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
    }

    fn names(&self) -> String {
        if self.contexts.is_empty() {
            return "none".into();
        }
        self.contexts.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_saving_and_loading() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/config.yaml");
        let mut config = Config::load(&path).unwrap();
        assert_eq!(config.context(None, &path).unwrap(), Context::default());
        let agents = [("h1".to_owned(), "unix:/run/h1.sock".parse().unwrap())].into();
        config.set_current("lab", Context { server: "unix:/run/api.sock".parse().unwrap(), agents });
        config.save(&path).unwrap();
        let again = Config::load(&path).unwrap();
        assert_eq!(again, config);
        assert!(again.context(Some("other"), &path).unwrap_err().to_string().contains("known: lab"));
        config.remove("lab");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, "contexts:\n  lab:\n    sever: unix:/x\n").unwrap();
        let message = Config::load(&path).unwrap_err().to_string();
        assert!(message.contains("line 3") && message.contains("sever"), "{message}");
    }
}
