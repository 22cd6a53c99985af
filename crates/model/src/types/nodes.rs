//! The nodes of an installation.

use super::*;

complex_types! {
    DiscoveryServiceAssignmentType {
        publisher: DiscoveryPubSubEndPointType,
        subscriber: [DiscoveryPubSubEndPointType],
    }
    DiscoveryPubSubEndPointType {
        ep_type: String,
        ep_id: String,
        ep_prefix: SubnetType,
        ep_version: String,
    }
}
