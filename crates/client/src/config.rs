//! The user's contexts: which server a command talks to, and who it is there.
//!
//! The file is `$WEFT_CONFIG` or `~/.config/weft/config.yaml`; as it may hold tokens, only its owner may read it:
//! `current: lab` and `contexts: {lab: {server: "https://...", ca: ca.pem, token: "..", agents: {host1: "unix:/..."}}}`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::http::Access;
use crate::{ClientError, Endpoint, HttpClient};

/// Mode of the file: its owner's alone.
const FILE_MODE: u32 = 0o600;
/// Mode of the directory, where it has to be made.
const DIRECTORY_MODE: u32 = 0o700;

/// A token: never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret, without blanks and newlines around it; none when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Takes a text as it is; none when it is empty.
    pub fn exact(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The secret itself, for a server.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// One server and, where they are not reached at their own addresses, its hosts' agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// REST API of the controller.
    pub server: Endpoint,
    /// Authorities (PEM file) that may have signed the server's certificate, instead of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The client's certificate (PEM file) ..
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// .. and its key (PEM file).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whoever answers is taken for the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// What the server knows the user by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Who that is, for the user to read: `admin in project demo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When the token ends, as Keystone says it (ISO 8601).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Introspection endpoints of agents by host name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, Endpoint>,
}

impl Context {
    /// A context with a server alone.
    pub fn new(server: Endpoint) -> Self {
        let (ca, cert, key, token, user, expires) = Default::default();
        Self { server, ca, cert, key, insecure: false, token, user, expires, agents: BTreeMap::new() }
    }

    /// How the server is reached.
    pub fn access(&self) -> Access {
        Access {
            token: self.token.clone(),
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            insecure: self.insecure,
        }
    }

    /// A client of the server.
    ///
    /// # Errors
    /// As [`HttpClient::with_access`].
    pub fn client(&self) -> Result<HttpClient, ClientError> {
        HttpClient::with_access(self.server.clone(), &self.access())
    }
}

impl Default for Context {
    /// A controller on this machine at its standard port.
    fn default() -> Self {
        Self::new(Endpoint::Http(format!("http://127.0.0.1:{}", weft_model::defaults::API_PORT)))
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

    /// Writes the file whole, through a temporary file beside it; nobody but its owner may read it.
    ///
    /// # Errors
    /// When the directory or file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ClientError> {
        let bad = |reason: String| ClientError::Config { path: path.to_owned(), reason };
        let text = serde_saphyr::to_string(self).map_err(|e| bad(e.to_string()))?;
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        let temporary = path.with_extension(format!("tmp{}", std::process::id()));
        let write = || {
            std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&temporary)?;
            // The file may have been there, left by a crash.
            file.set_permissions(std::fs::Permissions::from_mode(FILE_MODE))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|e: std::io::Error| {
            let _ = std::fs::remove_file(&temporary);
            bad(e.to_string())
        })
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

    /// The names of all contexts, for a message.
    pub fn names(&self) -> String {
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
        config.set_current("lab", Context { agents, ..Context::new("unix:/run/api.sock".parse().unwrap()) });
        config.save(&path).unwrap();
        let again = Config::load(&path).unwrap();
        assert_eq!(again, config);
        assert!(again.context(Some("other"), &path).unwrap_err().to_string().contains("known: lab"));
        config.remove("lab");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn tokens_are_kept_from_others_and_from_messages() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weft/config.yaml");
        std::fs::create_dir(directory.path().join("weft")).unwrap();
        std::fs::write(&path, "current: old\ncontexts: {old: {server: \"http://h:1\"}}\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut config = Config::load(&path).unwrap();
        let mut context = Context::new("https://h:8082".parse().unwrap());
        context.token = Secret::new(" s3cret-token\n");
        (context.ca, context.insecure) = (Some("/etc/ca.pem".into()), true);
        config.set_current("new", context);
        config.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Config::load(&path).unwrap();
        assert_eq!(again, config);
        assert_eq!(again.contexts["new"].token.as_ref().unwrap().reveal(), "s3cret-token");
        assert!(!format!("{again:?}").contains("s3cret"));
        assert_eq!(Secret::new(" \n"), None);
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
