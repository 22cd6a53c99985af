//! Networks, addresses, pools and virtual DNS.

use super::*;

object_types! {
    NetworkIpam {
        parents: [Project],
        refs: [VirtualDns],
        props: {
            ipam_subnet_method: SubnetMethodType,
            ipam_subnets: @list IpamSubnets,
            ipam_subnetting: bool,
            network_ipam_mgmt: IpamType,
        }
    }
    VirtualNetwork {
        parents: [Project],
        refs: [
            Bgpvpn, IntentMap, MulticastPolicy, NetworkIpam { VnSubnetsType },
            NetworkPolicy { VirtualNetworkPolicyType }, QosConfig, RouteTable,
            RoutingPolicy { RoutingPolicyType }, SecurityLoggingObject, ServiceHealthCheck,
            VirtualNetwork,
        ],
        props: {
            address_allocation_mode: AddressAllocationModeType,
            ecmp_hashing_include_fields: EcmpHashingIncludeFields,
            export_route_target_list: RouteTargetList,
            external_ipam: bool,
            fabric_snat: bool = false,
            flood_unknown_unicast: bool = false,
            igmp_enable: bool = false,
            import_route_target_list: RouteTargetList,
            is_provider_network: bool = false,
            is_shared: bool,
            layer2_control_word: bool = false,
            mac_aging_time: MACAgingTime = 300,
            mac_ip_learning_enable: bool = false,
            mac_learning_enabled: bool = false,
            mac_limit_control: MACLimitControlType,
            mac_move_control: MACMoveLimitControlType,
            mtu: NetworkMtuType,
            multi_policy_service_chains_enabled: bool,
            pbb_etree_enable: bool = false,
            pbb_evpn_enable: bool = false,
            port_security_enabled: bool = true,
            provider_properties: ProviderDetails,
            route_target_list: RouteTargetList,
            router_external: bool,
            virtual_network_category: VirtualNetworkCategory = "tenant",
            virtual_network_fat_flow_protocols: @list FatFlowProtocols,
            virtual_network_network_id: i64,
            virtual_network_properties: VirtualNetworkType,
            virtual_network_routed_properties: VirtualNetworkRoutedPropertiesType,
            weft_route_target_number: @system i64,
        }
    }
    Subnet {
        parents: [],
        refs: [VirtualMachineInterface],
        props: {
            subnet_ip_prefix: SubnetType,
        }
    }
    InstanceIp {
        parents: [],
        refs: [
            FlowNode, LogicalInterface, NetworkIpam, PhysicalRouter, VirtualMachineInterface,
            VirtualNetwork, VirtualRouter,
        ],
        props: {
            instance_ip_address: IpAddressType,
            instance_ip_family: IpAddressFamilyType,
            instance_ip_local_ip: bool = false,
            instance_ip_mode: AddressMode,
            instance_ip_secondary: bool = false,
            instance_ip_subnet: SubnetType,
            instance_ip_subscriber_tag: String,
            secondary_ip_tracking_ip: SubnetType,
            service_health_check_ip: bool = false,
            service_instance_ip: bool = false,
            subnet_uuid: String,
        }
    }
    FloatingIpPool {
        parents: [VirtualNetwork],
        refs: [],
        props: {
            floating_ip_pool_subnets: FloatingIpPoolSubnetType,
        }
    }
    FloatingIp {
        parents: [FloatingIpPool, InstanceIp],
        refs: [Project, VirtualMachineInterface],
        props: {
            floating_ip_address: IpAddressType,
            floating_ip_address_family: IpAddressFamilyType,
            floating_ip_fixed_ip_address: IpAddressType,
            floating_ip_is_virtual_ip: bool,
            floating_ip_port_mappings: @list PortMappings,
            floating_ip_port_mappings_enable: bool = false,
            floating_ip_traffic_direction: TrafficDirectionType = "both",
        }
    }
    AliasIpPool {
        parents: [VirtualNetwork],
        refs: [],
        props: {}
    }
    AliasIp {
        parents: [AliasIpPool],
        refs: [Project, VirtualMachineInterface],
        props: {
            alias_ip_address: IpAddressType,
            alias_ip_address_family: IpAddressFamilyType,
        }
    }
    BridgeDomain {
        parents: [VirtualNetwork],
        refs: [],
        props: {
            isid: IsidType,
            mac_aging_time: MACAgingTime = 300,
            mac_learning_enabled: bool = false,
            mac_limit_control: MACLimitControlType,
            mac_move_control: MACMoveLimitControlType,
        }
    }
    MulticastPolicy {
        parents: [Project],
        refs: [],
        props: {
            multicast_source_groups: @list MulticastSourceGroups,
        }
    }
    VirtualDns {
        parents: [Domain],
        refs: [],
        props: {
            virtual_DNS_data: VirtualDnsType,
        }
    }
    VirtualDnsRecord {
        parents: [VirtualDns],
        refs: [],
        props: {
            virtual_DNS_record_data: VirtualDnsRecordType,
        }
    }
}
