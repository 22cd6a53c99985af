//! Errors of the public operations.

use thiserror::Error;

/// Why an operation on the [`Rib`](crate::Rib) was refused. A refused operation changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RibError {
    /// The peer is already subscribed to the instance.
    #[error("already subscribed to routing instance {0}")]
    AlreadySubscribed(String),
    /// The peer is not subscribed to the instance.
    #[error("not subscribed to routing instance {0}")]
    NotSubscribed(String),
    /// The peer has reached its limit of announced routes.
    #[error("the peer announces more than {0} routes")]
    TooManyRoutes(usize),
    /// The peer has reached its limit of routes announced into instances that are not configured.
    #[error("the peer announces more than {0} routes into unknown routing instances")]
    TooManyParkedRoutes(usize),
    /// The peer has reached its limit of subscriptions.
    #[error("the peer subscribes to more than {0} routing instances")]
    TooManySubscriptions(usize),
}
