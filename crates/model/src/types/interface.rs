//! Workload interfaces.

use super::*;

complex_types! {
    PolicyBasedForwardingRuleType {
        direction: TrafficDirectionType,
        vlan_tag: i64,
        src_mac: String,
        dst_mac: String,
        mpls_label: i64,
        service_chain_address: IpAddress,
        ipv6_service_chain_address: IpAddressType,
        protocol: String,
    }
    AllowedAddressPairs {
        allowed_address_pair: [AllowedAddressPair],
    }
    AllowedAddressPair {
        ip: SubnetType,
        mac: String,
        address_mode: AddressMode,
    }
    MacAddressesType {
        mac_address: [String],
    }
    VirtualMachineInterfacePropertiesType {
        service_interface_type: ServiceInterfaceType,
        interface_mirror: InterfaceMirrorType,
        local_preference: i64,
        sub_interface_vlan_tag: i64,
        max_flows: MaxFlowsType,
    }
    InterfaceMirrorType {
        traffic_direction: TrafficDirectionType,
        mirror_to: MirrorActionType,
    }
    MirrorActionType {
        analyzer_name: String,
        encapsulation: String,
        analyzer_ip_address: IpAddress,
        analyzer_mac_address: String,
        routing_instance: String,
        udp_port: i64,
        juniper_header: bool,
        nh_mode: NHModeType,
        static_nh_header: StaticMirrorNhType,
        nic_assisted_mirroring: bool,
        nic_assisted_mirroring_vlan: VlanIdType,
    }
    StaticMirrorNhType {
        vtep_dst_ip_address: IpAddress,
        vtep_dst_mac_address: String,
        vni: VxlanNetworkIdentifierType,
    }
    VrfAssignTableType {
        vrf_assign_rule: [VrfAssignRuleType],
    }
    VrfAssignRuleType {
        match_condition: MatchConditionType,
        vlan_tag: i64,
        routing_instance: String,
        ignore_acl: bool,
    }
    BridgeDomainMembershipType {
        vlan_tag: Dot1QTagType,
    }
    VMIVirtualPortGroupAttributes {
        vlan_tag: VlanIdType,
        native_vlan_tag: VlanIdType,
    }
    AttachmentAddressType {
    }
}
