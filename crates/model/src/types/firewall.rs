//! Application policies: firewall rules, services, tags.

use super::*;

complex_types! {
    FirewallSequence {
        sequence: SequenceNumberType,
    }
    SloRateType {
        rate: i64,
    }
    FirewallRuleEndpointType {
        subnet: SubnetType,
        virtual_network: String,
        address_group: String,
        tags: [String],
        tag_ids: [i64],
        any: bool,
    }
    FirewallRuleMatchTagsTypeIdList {
        tag_type: [i64],
    }
    FirewallRuleMatchTagsType {
        tag_list: [String],
    }
    FirewallServiceType {
        protocol: String,
        protocol_id: i64,
        src_ports: PortType,
        dst_ports: PortType,
    }
    FirewallServiceGroupType {
        firewall_service: [FirewallServiceType],
    }
}
