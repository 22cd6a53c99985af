//! The object types: one declaration each.
//!
//! An entry gives the Rust name, the name in URLs and the name in JSON fields, then
//! `parents`, optionally `derived: true` (made by the compiler, read-only), `refs` (`(system)` when only the system
//! writes them, `{ Attribute }` when the link carries one) and `props` (`@list` and `@map "key"` for properties whose
//! elements can be changed one by one, `@system` for hidden numbers, `= default` for what an absent value stands for).

use crate::Typed;
use crate::schema::{Complex, PropInfo, PropKind, RefInfo, Schema, TypeInfo};
use crate::types::*;

object_types! {
    ConfigRoot "config-root" "config_root" {
        parents: [],
        refs: [],
        props: {}
    }
    Domain "domain" "domain" {
        parents: [ConfigRoot],
        refs: [],
        props: {
            domain_limits: DomainLimitsType,
        }
    }
    Project "project" "project" {
        parents: [Domain],
        refs: [],
        props: {
            alarm_enable: bool,
            enable_security_policy_draft: bool = false,
            quota: QuotaType,
            vxlan_routing: bool,
        }
    }
    NetworkIpam "network-ipam" "network_ipam" {
        parents: [Project],
        refs: [VirtualDns],
        props: {
            ipam_subnet_method: SubnetMethodType,
            ipam_subnets: @list IpamSubnets,
            ipam_subnetting: bool,
            network_ipam_mgmt: IpamType,
        }
    }
    VirtualNetwork "virtual-network" "virtual_network" {
        parents: [Project],
        refs: [NetworkIpam { VnSubnetsType }, NetworkPolicy { VirtualNetworkPolicyType }, VirtualNetwork],
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
    Subnet "subnet" "subnet" {
        parents: [],
        refs: [VirtualMachineInterface],
        props: {
            subnet_ip_prefix: SubnetType,
        }
    }
    VirtualMachine "virtual-machine" "virtual_machine" {
        parents: [],
        refs: [],
        props: {
            server_type: ServerType = "virtual-server",
        }
    }
    VirtualMachineInterface "virtual-machine-interface" "virtual_machine_interface" {
        parents: [Project, VirtualMachine, VirtualRouter],
        refs: [RoutingInstance(system){PolicyBasedForwardingRuleType}, SecurityGroup, VirtualMachine, VirtualMachineInterface, VirtualNetwork],
        props: {
            ecmp_hashing_include_fields: EcmpHashingIncludeFields,
            igmp_enable: bool = false,
            port_security_enabled: bool = true,
            virtual_machine_interface_allowed_address_pairs: AllowedAddressPairs,
            virtual_machine_interface_bindings: @map "key" KeyValuePairs,
            virtual_machine_interface_device_owner: String,
            virtual_machine_interface_dhcp_option_list: DhcpOptionsListType,
            virtual_machine_interface_disable_policy: bool = false,
            virtual_machine_interface_fat_flow_protocols: @list FatFlowProtocols,
            virtual_machine_interface_host_routes: RouteTableType,
            virtual_machine_interface_mac_addresses: MacAddressesType,
            virtual_machine_interface_properties: VirtualMachineInterfacePropertiesType,
            vlan_tag_based_bridge_domain: bool = false,
            vrf_assign_table: VrfAssignTableType,
        }
    }
    InstanceIp "instance-ip" "instance_ip" {
        parents: [],
        refs: [NetworkIpam, VirtualMachineInterface, VirtualNetwork, VirtualRouter],
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
    NetworkPolicy "network-policy" "network_policy" {
        parents: [Project],
        refs: [],
        props: {
            network_policy_entries: PolicyEntriesType,
        }
    }
    SecurityGroup "security-group" "security_group" {
        parents: [Project],
        refs: [],
        props: {
            configured_security_group_id: ConfiguredSecurityGroupIdType = 0,
            security_group_entries: PolicyEntriesType,
            security_group_id: SecurityGroupIdType,
        }
    }
    VirtualRouter "virtual-router" "virtual_router" {
        parents: [GlobalSystemConfig],
        refs: [NetworkIpam { VirtualRouterNetworkIpamType }, VirtualMachine],
        props: {
            virtual_router_dpdk_enabled: bool,
            virtual_router_ip_address: IpAddressType,
            virtual_router_sriov_physical_networks: @map "key" KeyValuePairs,
            virtual_router_type: VirtualRouterType,
        }
    }
    RoutingInstance "routing-instance" "routing_instance" {
        parents: [VirtualNetwork],
        derived: true,
        refs: [RouteTarget { InstanceTargetType }, RoutingInstance { ConnectionType }],
        props: {
            default_ce_protocol: DefaultProtocolType,
            evpn_ipv6_service_chain_information: ServiceChainInfo,
            evpn_service_chain_information: ServiceChainInfo,
            ipv6_service_chain_information: ServiceChainInfo,
            routing_instance_fabric_snat: bool = false,
            routing_instance_has_pnf: bool = false,
            routing_instance_is_default: bool = false,
            service_chain_information: ServiceChainInfo,
            static_route_entries: StaticRouteEntriesType,
        }
    }
    RouteTarget "route-target" "route_target" {
        parents: [],
        derived: true,
        refs: [],
        props: {}
    }
    AccessControlList "access-control-list" "access_control_list" {
        parents: [SecurityGroup, VirtualNetwork],
        derived: true,
        refs: [],
        props: {
            access_control_list_entries: AclEntriesType,
            access_control_list_hash: i64,
        }
    }
    GlobalSystemConfig "global-system-config" "global_system_config" {
        parents: [ConfigRoot],
        refs: [],
        props: {
            alarm_enable: bool,
            autonomous_system: AutonomousSystemType,
            bgp_always_compare_med: bool,
            bgpaas_parameters: BGPaaServiceParametersType,
            config_version: String,
            data_center_interconnect_asn_namespace: AsnRangeType,
            data_center_interconnect_loopback_namespace: SubnetListType,
            enable_4byte_as: bool = false,
            enable_security_policy_draft: bool = false,
            fast_convergence_parameters: FastConvergenceParametersType,
            graceful_restart_parameters: GracefulRestartParametersType,
            ibgp_auto_mesh: bool = true,
            igmp_enable: bool = false,
            ip_fabric_subnets: SubnetListType,
            mac_aging_time: MACAgingTime = 300,
            mac_limit_control: MACLimitControlType,
            mac_move_control: MACMoveLimitControlType,
            plugin_tuning: PluginProperties,
            rd_cluster_seed: RdClusterSeedType,
            route_replication_threshold: RouteReplicationThresholdType,
            supported_device_families: DeviceFamilyListType,
            supported_fabric_annotations: KeyValuePairs,
            supported_vendor_hardwares: VendorHardwaresType,
            user_defined_log_statistics: @map "name" UserDefinedLogStatList,
        }
    }
    GlobalVrouterConfig "global-vrouter-config" "global_vrouter_config" {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            ecmp_hashing_include_fields: EcmpHashingIncludeFields,
            enable_security_logging: bool = true,
            encapsulation_priorities: EncapsulationPrioritiesType,
            encryption_mode: EncryptionMode = "none",
            encryption_tunnel_endpoints: @list EncryptionTunnelEndpointList,
            flow_aging_timeout_list: FlowAgingTimeoutList,
            flow_export_rate: i64,
            forwarding_mode: ForwardingModeType,
            linklocal_services: LinklocalServicesTypes,
            port_translation_pools: @list PortTranslationPools,
            vxlan_network_identifier_mode: VxlanNetworkIdentifierModeType,
        }
    }
    VirtualDns "virtual-DNS" "virtual_DNS" {
        parents: [Domain],
        refs: [],
        props: {
            virtual_DNS_data: VirtualDnsType,
        }
    }
    VirtualDnsRecord "virtual-DNS-record" "virtual_DNS_record" {
        parents: [VirtualDns],
        refs: [],
        props: {
            virtual_DNS_record_data: VirtualDnsRecordType,
        }
    }
}
