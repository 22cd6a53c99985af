//! Counters of the service.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the service has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DnsStats {
    /// Datagrams received.
    pub queries: u64,
    /// Answered from our own zones, negative answers included.
    pub answered: u64,
    /// Answered that the name does not exist, by us or by a forwarder.
    pub nxdomain: u64,
    /// Refused: not for the asker, or nowhere to ask.
    pub refused: u64,
    /// Passed to a forwarder.
    pub forwarded: u64,
    /// Of these, those no forwarder answered.
    pub forward_failed: u64,
    /// Answered with SERVFAIL because too many were with forwarders already.
    pub overloaded: u64,
    /// Not a well-formed query.
    pub malformed: u64,
    /// Marked with a network that is not configured.
    pub unknown_network: u64,
    /// Responses that could not be sent.
    pub send_failed: u64,
}

macro_rules! counters {
    ($($name:ident),*) => {
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64),*
        }

        impl Counters {
            pub(crate) fn read(&self) -> DnsStats {
                DnsStats { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters!(
    queries,
    answered,
    nxdomain,
    refused,
    forwarded,
    forward_failed,
    overloaded,
    malformed,
    unknown_network,
    send_failed
);

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
