//! What can go wrong between the command line and a server, worded so that the reader knows what to do next.

use std::path::PathBuf;

use weft_model::ObjectType;

use crate::source::Mistake;
use crate::suggest::did_you_mean;

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
    #[error("{method} {path}: {status} {message}{}", advice(*status))]
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
    /// Files that cannot be used, with every mistake that was found.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// A document that is no object.
    #[error("{place}{}{reason}", if place.is_empty() { "" } else { ": " })]
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
    #[error("unknown object type {name}{hint}", name = .0, hint = suggest_type(.0))]
    UnknownType(String),
    /// The user's configuration file cannot be used.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// An endpoint that is neither `unix:PATH` nor a URL.
    #[error("{0}: an endpoint is written unix:/path/to/socket, http://host:port or https://host:port")]
    Endpoint(String),
    /// A certificate or key file of a context cannot be used.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Nobody vouches for the user: a password or token was refused, or there is none.
    #[error("{0}")]
    Login(String),
}

impl ClientError {
    /// True when the server says that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. } | Self::NoSuchObject { .. })
    }
}

/// What to do about an answer of that status.
fn advice(status: u16) -> &'static str {
    match status {
        401 => {
            "\n  the server wants to know who you are: `weft login` stores a token in the context, WEFT_TOKEN overrides it"
        }
        403 => {
            "\n  the user of this context may not do that: `weft context list` shows who you are, `weft login` makes you another"
        }
        _ => "",
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn suggest_type(name: &str) -> String {
    match did_you_mean(name, ObjectType::ALL.iter().map(|t| t.name())) {
        none if none.is_empty() => "; types are named as in the REST API, e.g. virtual-network".to_owned(),
        found => found,
    }
}
