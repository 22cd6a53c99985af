//! Workloads, their interfaces and the hosts they run on.

use super::*;

object_types! {
    VirtualMachine {
        parents: [],
        refs: [ServiceInstance(system)],
        props: {
            server_type: ServerType = "virtual-server",
        }
    }
    VirtualMachineInterface {
        parents: [Project, VirtualMachine, VirtualRouter],
        refs: [
            BgpRouter, BridgeDomain { BridgeDomainMembershipType }, InterfaceRouteTable,
            PhysicalInterface(system), PortProfile, PortTuple, QosConfig,
            RoutingInstance(system) { PolicyBasedForwardingRuleType }, SecurityGroup,
            SecurityLoggingObject, ServiceEndpoint, ServiceHealthCheck, VirtualMachine,
            VirtualMachineInterface, VirtualNetwork,
            VirtualPortGroup { VMIVirtualPortGroupAttributes },
        ],
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
    VirtualRouter {
        parents: [GlobalSystemConfig],
        refs: [NetworkIpam { VirtualRouterNetworkIpamType }, SubCluster, VirtualMachine],
        props: {
            virtual_router_dpdk_enabled: bool,
            virtual_router_ip_address: IpAddressType,
            virtual_router_sriov_physical_networks: @map "key" KeyValuePairs,
            virtual_router_type: VirtualRouterType,
        }
    }
    ProviderAttachment {
        parents: [],
        refs: [VirtualRouter],
        props: {}
    }
    CustomerAttachment {
        parents: [],
        refs: [FloatingIp, VirtualMachineInterface],
        props: {
            attachment_address: AttachmentAddressType,
        }
    }
}
