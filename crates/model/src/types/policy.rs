//! Network policies, security groups and access lists.

use super::*;

complex_types! {
    MatchConditionType {
        protocol: String,
        src_address: AddressType,
        src_port: PortType,
        dst_address: AddressType,
        dst_port: PortType,
        ethertype: EtherType,
    }
    AddressType {
        subnet: SubnetType,
        virtual_network: String,
        security_group: String,
        network_policy: String,
        subnet_list: [SubnetType],
    }
    PortType {
        start_port: L4PortType,
        end_port: L4PortType,
    }
    PolicyEntriesType {
        policy_rule: [PolicyRuleType],
    }
    PolicyRuleType {
        rule_sequence: SequenceType,
        rule_uuid: String,
        direction: DirectionType,
        protocol: String,
        src_addresses: [AddressType],
        src_ports: [PortType],
        application: [String],
        dst_addresses: [AddressType],
        dst_ports: [PortType],
        action_list: ActionListType,
        ethertype: EtherType,
        created: String,
        last_modified: String,
        description: String,
    }
    ActionListType {
        simple_action: SimpleActionType,
        gateway_name: String,
        apply_service: [String],
        service_properties: ServicePropertiesType,
        mirror_to: MirrorActionType,
        assign_routing_instance: String,
        log: bool,
        alert: bool,
        qos_action: String,
        host_based_service: bool,
    }
    ServicePropertiesType {
        retain_as_path: bool,
    }
    AclEntriesType {
        dynamic: bool,
        acl_rule: [AclRuleType],
    }
    AclRuleType {
        match_condition: MatchConditionType,
        action_list: ActionListType,
        rule_uuid: String,
        direction: DirectionType,
    }
    SecurityLoggingObjectRuleListType {
        rule: [SecurityLoggingObjectRuleEntryType],
    }
    SecurityLoggingObjectRuleEntryType {
        rule_uuid: String,
        rate: i64,
    }
}
