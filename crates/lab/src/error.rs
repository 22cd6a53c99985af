//! What can go wrong in a lab, apart from a step that does not hold.

use std::path::{Path, PathBuf};

use weft_client::ClientError;

use crate::file::FileError;

/// A lab that cannot be made, run or ended.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab file is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// Network namespaces need root.
    #[error("a lab makes network namespaces and needs root: run it with sudo")]
    NotRoot,
    /// A lab of that name runs.
    #[error("lab {0} is already up: `weft lab exec {0} ...` uses it, `weft lab down {0}` ends it")]
    Exists(String),
    /// No lab of that name.
    #[error("no lab named {name}; running: {running}")]
    Unknown {
        /// Name asked for.
        name: String,
        /// Labs there are.
        running: String,
    },
    /// A place in a lab that does not exist.
    #[error("lab {lab} has no {place}; it has {known}")]
    NoPlace {
        /// Name of the lab.
        lab: String,
        /// Place asked for.
        place: String,
        /// Places there are.
        known: String,
    },
    /// `ip` refused.
    #[error("{reason}")]
    Ip {
        /// Its words.
        reason: String,
    },
    /// A namespace cannot be used.
    #[error("namespace {name}: {reason}")]
    Namespace {
        /// The namespace.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A role ended or did not get ready. The end of its log is in the text.
    #[error("{role}: {reason}")]
    Role {
        /// Which.
        role: String,
        /// What happened.
        reason: String,
    },
    /// A request to controller or agent failed.
    #[error("{what}: {source}")]
    Client {
        /// What was wanted.
        what: String,
        /// Why not.
        source: ClientError,
    },
    /// A signal ended the lab.
    #[error("interrupted")]
    Interrupted,
}

impl LabError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn client(what: impl Into<String>) -> impl FnOnce(ClientError) -> Self {
        let what = what.into();
        move |source| Self::Client { what, source }
    }

    pub(crate) fn role(role: &str, reason: impl Into<String>) -> Self {
        Self::Role { role: role.to_owned(), reason: reason.into() }
    }
}
