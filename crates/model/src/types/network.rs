//! Networks, subnets, address management and virtual DNS.

use super::*;

complex_types! {
    IpamSubnets {
        subnets: [IpamSubnetType],
    }
    IpamSubnetType {
        subnet: SubnetType,
        default_gateway: IpAddressType,
        dns_server_address: IpAddressType,
        subnet_uuid: String,
        enable_dhcp: bool,
        dns_nameservers: [String],
        allocation_pools: [AllocationPoolType],
        addr_from_start: bool,
        dhcp_option_list: DhcpOptionsListType,
        host_routes: RouteTableType,
        subnet_name: String,
        alloc_unit: i64,
        created: String,
        last_modified: String,
        subscriber_tag: String,
        vlan_tag: i64,
        dhcp_relay_server: [IpAddressType],
    }
    SubnetType normalized by crate::normalize::subnet {
        ip_prefix: String,
        ip_prefix_len: i64,
    }
    AllocationPoolType {
        start: String,
        end: String,
        vrouter_specific_pool: bool,
    }
    DhcpOptionsListType {
        dhcp_option: [DhcpOptionType],
    }
    DhcpOptionType {
        dhcp_option_name: String,
        dhcp_option_value: String,
        dhcp_option_value_bytes: String,
    }
    RouteTableType {
        route: [RouteType],
    }
    RouteType {
        prefix: String,
        next_hop: String,
        next_hop_type: RouteNextHopType,
        community_attributes: CommunityAttributes,
    }
    CommunityAttributes {
        community_attribute: [CommunityAttribute],
    }
    IpamType {
        ipam_method: IpamMethodType,
        ipam_dns_method: IpamDnsMethodType,
        ipam_dns_server: IpamDnsAddressType,
        dhcp_option_list: DhcpOptionsListType,
        cidr_block: SubnetType,
        host_routes: RouteTableType,
    }
    IpamDnsAddressType {
        tenant_dns_server_address: IpAddressesType,
        virtual_dns_server_name: String,
    }
    IpAddressesType {
        ip_address: [IpAddressType],
    }
    VnSubnetsType {
        ipam_subnets: [IpamSubnetType],
        host_routes: RouteTableType,
    }
    VirtualNetworkPolicyType {
        sequence: SequenceType,
        timer: TimerType,
    }
    SequenceType {
        major: i64,
        minor: i64,
    }
    TimerType {
        start_time: String,
        on_interval: String,
        off_interval: String,
        end_time: String,
    }
    EcmpHashingIncludeFields {
        hashing_configured: bool,
        source_ip: bool,
        destination_ip: bool,
        ip_protocol: bool,
        source_port: bool,
        destination_port: bool,
    }
    RouteTargetList {
        route_target: [String],
    }
    MACLimitControlType {
        mac_limit: i64,
        mac_limit_action: MACLimitExceedActionType,
    }
    MACMoveLimitControlType {
        mac_move_limit: i64,
        mac_move_time_window: MACMoveTimeWindow,
        mac_move_limit_action: MACLimitExceedActionType,
    }
    ProviderDetails {
        segmentation_id: VlanIdType,
        physical_network: String,
    }
    FatFlowProtocols {
        fat_flow_protocol: [ProtocolType],
    }
    ProtocolType {
        protocol: String,
        port: i64,
        ignore_address: FatFlowIgnoreAddressType,
        source_prefix: SubnetType,
        source_aggregate_prefix_length: i64,
        destination_prefix: SubnetType,
        destination_aggregate_prefix_length: i64,
    }
    VirtualNetworkType {
        allow_transit: bool,
        network_id: i64,
        vxlan_network_identifier: VxlanNetworkIdentifierType,
        forwarding_mode: ForwardingModeType,
        rpf: RpfModeType,
        mirror_destination: bool,
        max_flows: MaxFlowsType,
        mtu: NetworkMtuType,
    }
    VirtualRouterNetworkIpamType {
        allocation_pools: [AllocationPoolType],
        subnet: [SubnetType],
    }
    SubnetListType {
        subnet: [SubnetType],
    }
    VirtualDnsType {
        domain_name: String,
        dynamic_records_from_client: bool,
        record_order: DnsRecordOrderType,
        default_ttl_seconds: i64,
        next_virtual_DNS: String,
        floating_ip_record: FloatingIpDnsNotation,
        external_visible: bool,
        reverse_resolution: bool,
        soa_record: DnsSoaRecordType,
    }
    DnsSoaRecordType {
        negative_cache_ttl_seconds: i64,
    }
    VirtualDnsRecordType {
        record_name: String,
        record_type: DnsRecordTypeType,
        record_class: DnsRecordClassType,
        record_data: String,
        record_ttl_seconds: i64,
        record_mx_preference: i64,
        record_source_name: String,
    }
    RoutingPolicyType {
        sequence: SequenceNumberType,
    }
    FloatingIpPoolSubnetType {
        subnet_uuid: [String],
    }
    PortMappings {
        port_mappings: [PortMap],
    }
    PortMap {
        protocol: String,
        src_port: i64,
        dst_port: i64,
    }
    MulticastSourceGroups {
        multicast_source_group: [MulticastSourceGroup],
    }
    MulticastSourceGroup {
        source_address: IpAddressType,
        group_address: IpAddressType,
        action: SimpleActionType,
    }
}
