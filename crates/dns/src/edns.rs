//! The mark that tells the service which network a query comes from: an EDNS option with the network's fully
//! qualified name.
//!
//! The agent puts it into each query it passes on and takes it out of whatever workloads send: a workload cannot speak
//! for another network.

use hickory_proto::op::{Edns, Message, MessageType};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// Code of the option, from the range for local use (RFC 6891, 65001 to 65534).
pub const NETWORK_OPTION: u16 = 65_100;
/// Longest network name, bytes.
pub const MAX_NETWORK: usize = 2048;
/// Longest message taken, bytes: more than any query a workload sends needs.
pub const MAX_MESSAGE: usize = 4096;

/// Why a message could not be marked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EdnsError {
    /// The bytes are not a DNS message.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// It is a response where a query must be, or the other way round.
    #[error("not a {0}")]
    Direction(&'static str),
    /// The message or the network's name is too long.
    #[error("{what} of {size} bytes")]
    TooLong {
        /// What is.
        what: &'static str,
        /// How long.
        size: usize,
    },
}

/// Marks `query` as coming from `network`, whatever mark it had before.
///
/// # Errors
/// If it is not a DNS query, or anything is too long: then it should be dropped.
pub fn tag_query(query: &[u8], network: &str) -> Result<Vec<u8>, EdnsError> {
    if network.len() > MAX_NETWORK {
        return Err(EdnsError::TooLong { what: "network name", size: network.len() });
    }
    let mut message = decode(query)?;
    if message.metadata.message_type != MessageType::Query {
        return Err(EdnsError::Direction("query"));
    }
    // A workload that knows no EDNS takes 512 bytes: what the default says.
    let edns = message.edns.get_or_insert_with(Edns::new);
    edns.options_mut().remove(EdnsCode::Unknown(NETWORK_OPTION));
    edns.options_mut().insert(EdnsOption::Unknown(NETWORK_OPTION, network.as_bytes().to_vec()));
    encode(&message)
}

/// Makes the response to a marked query fit for the workload that sent `query`: no mark, and no EDNS if the query had
/// none.
///
/// # Errors
/// If either is not a DNS message: then the response should be dropped.
pub fn untag_response(response: &[u8], query: &[u8]) -> Result<Vec<u8>, EdnsError> {
    let (mut message, query) = (decode(response)?, decode(query)?);
    if message.metadata.message_type != MessageType::Response {
        return Err(EdnsError::Direction("response"));
    }
    match (&mut message.edns, query.edns) {
        (Some(edns), Some(_)) => edns.options_mut().remove(EdnsCode::Unknown(NETWORK_OPTION)),
        (edns, _) => *edns = None,
    }
    encode(&message)
}

/// The network a message is marked with; `None` if it is not marked.
///
/// # Errors
/// [`EdnsError::Malformed`] for a mark that is not UTF-8.
pub fn network(message: &Message) -> Result<Option<&str>, EdnsError> {
    let option = message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Unknown(NETWORK_OPTION)));
    let Some(EdnsOption::Unknown(_, name)) = option else { return Ok(None) };
    std::str::from_utf8(name).map(Some).map_err(|e| EdnsError::Malformed(e.to_string()))
}

/// Decodes a DNS message.
///
/// # Errors
/// [`EdnsError::Malformed`] or [`EdnsError::TooLong`].
pub fn decode(bytes: &[u8]) -> Result<Message, EdnsError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(EdnsError::TooLong { what: "message", size: bytes.len() });
    }
    Message::from_vec(bytes).map_err(|e| EdnsError::Malformed(e.to_string()))
}

fn encode(message: &Message) -> Result<Vec<u8>, EdnsError> {
    message.to_vec().map_err(|e| EdnsError::Malformed(e.to_string()))
}
