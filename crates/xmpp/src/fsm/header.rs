//! The stream header: writing it, and reading the peer's.

use super::types::CloseReason;
use crate::element::Element;
use crate::writer::Writer;
use crate::{NS_CLIENT, NS_STREAM};

/// Longest name accepted of a peer, in bytes.
const MAX_PEER_NAME: usize = 255;
/// The id a server gives every stream, as the existing system does.
pub(super) const STREAM_ID: &str = "++123";

/// A stream header. The namespace of the prefix comes last and is followed by `>` at once: existing
/// readers find the header's end by that.
pub(super) fn open(from: &str, to: &str, id: Option<&str>, sub_cluster: Option<&str>) -> String {
    let mut out = String::from("<?xml version='1.0'?>");
    let mut w = Writer::new(&mut out);
    w.start("stream:stream").attr("from", from).attr("to", to);
    if let Some(id) = id {
        w.attr("id", id);
    }
    w.attr("version", "1.0").attr("xml:lang", "en");
    w.attr("xmlns", sub_cluster.unwrap_or(NS_CLIENT)).attr("xmlns:stream", NS_STREAM);
    out.push('>');
    out
}

/// The peer's name: its `from` without resource.
pub(super) fn peer_name(header: &Element) -> Result<String, CloseReason> {
    let from = header.attribute("from").unwrap_or_default();
    let name = from.split('/').next().unwrap_or_default();
    if name.is_empty()
        || name.len() > MAX_PEER_NAME
        || name.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Err(CloseReason::BadPeerName(from.chars().take(64).collect()));
    }
    Ok(name.to_owned())
}

/// Checks the default namespace, which names the sub-cluster.
pub(super) fn check_sub_cluster(header: &Element, own: Option<&str>) -> Result<(), CloseReason> {
    let given = header.attribute("xmlns");
    let same = match own {
        Some(own) => given == Some(own),
        None => matches!(given, None | Some(NS_CLIENT | "jabber:server")),
    };
    if same {
        Ok(())
    } else {
        Err(CloseReason::SubCluster(given.unwrap_or_default().chars().take(64).collect()))
    }
}
