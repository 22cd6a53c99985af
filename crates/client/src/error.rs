//! What can go wrong between the command line and a server, worded so that the reader knows what to do next.

use std::path::PathBuf;

/// A failed request, a bad document or a bad configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the endpoint.
    #[error(
        "cannot reach {endpoint}: {reason}\n  is it running? `weft lab list` shows labs, `--server` and `--context` choose a server"
    )]
    Unreachable {
        /// Where the request went.
        endpoint: String,
        /// The transport's own words.
        reason: String,
    },
    /// The server answered with an error status; the message is the server's.
    #[error("{method} {path}: {status} {message}")]
    Status {
        /// HTTP method.
        method: &'static str,
        /// Path and query asked for.
        path: String,
        /// HTTP status code.
        status: u16,
        /// Body of the answer, plain text.
        message: String,
    },
    /// The answer was not what the protocol says.
    #[error("{path}: unexpected answer: {reason}")]
    Answer {
        /// Path asked for.
        path: String,
        /// What was wrong with it.
        reason: String,
    },
    /// A document that is no object.
    #[error("{place}: {reason}")]
    Document {
        /// File and position, or position alone.
        place: String,
        /// What was wrong.
        reason: String,
    },
    /// A name that fits no object.
    #[error("no {object_type} named {name}\n  `weft get {object_type}` lists them")]
    NoSuchObject {
        /// Type looked for.
        object_type: String,
        /// Name as given.
        name: String,
    },
    /// A short name that fits several objects.
    #[error("{name} fits several objects of type {object_type}: {}\n  give the full name", candidates.join(", "))]
    Ambiguous {
        /// Type looked for.
        object_type: String,
        /// Name as given.
        name: String,
        /// Full names that fit.
        candidates: Vec<String>,
    },
    /// A type nobody knows.
    #[error(
        "unknown object type {0}\n  types are named as in the REST API, e.g. virtual-network, network-policy"
    )]
    UnknownType(String),
    /// The user's configuration file cannot be used.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// An endpoint that is neither `unix:PATH` nor `http://HOST:PORT`.
    #[error("{0}: an endpoint is written unix:/path/to/socket or http://host:port")]
    Endpoint(String),
}

impl ClientError {
    /// True when the server says that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. } | Self::NoSuchObject { .. })
    }
}
