//! Physical devices, their interfaces and hardware, and servers.

use super::*;

object_types! {
    PhysicalRouter {
        parents: [GlobalSystemConfig],
        refs: [
            BgpRouter, DeviceChassis, DeviceFunctionalGroup, DeviceImage, Fabric, IntentMap,
            NodeProfile, OverlayRole, PhysicalRole, TelemetryProfile, VirtualNetwork, VirtualRouter,
        ],
        props: {
            physical_router_autonomous_system: AutonomousSystemsType,
            physical_router_cli_commit_state: CommitStateType = "in_sync",
            physical_router_dataplane_ip: IpAddress,
            physical_router_device_family: String,
            physical_router_dhcp_parameters: DnsmasqLeaseParameters,
            physical_router_encryption_type: CredentialEncryptionType,
            physical_router_hostname: String,
            physical_router_junos_service_ports: JunosServicePorts,
            physical_router_lldp: bool,
            physical_router_loopback_ip: IpAddress,
            physical_router_managed_state: ManagedStateType = "active",
            physical_router_management_ip: IpAddress,
            physical_router_management_mac: String,
            physical_router_onboarding_state: OnboardingStateType,
            physical_router_os_version: String,
            physical_router_product_name: String,
            physical_router_replicator_loopback_ip: IpAddress,
            physical_router_role: PhysicalRouterRole,
            physical_router_serial_number: String,
            physical_router_snmp: bool,
            physical_router_snmp_credentials: SNMPCredentials,
            physical_router_supplemental_config: String,
            physical_router_underlay_config: String,
            physical_router_underlay_managed: bool = false,
            physical_router_user_credentials: UserCredentials,
            physical_router_vendor_name: String,
            physical_router_vnc_managed: bool,
            routing_bridging_roles: RoutingBridgingRolesType,
            telemetry_info: TelemetryStateInfo,
        }
    }
    PhysicalInterface {
        parents: [PhysicalRouter],
        refs: [PhysicalInterface, Port],
        props: {
            ethernet_segment_identifier: String,
            physical_interface_flow_control: bool = false,
            physical_interface_lacp_force_up: bool = false,
            physical_interface_mac_addresses: MacAddressesType,
            physical_interface_port_id: String,
            physical_interface_port_params: PortParameters,
            physical_interface_type: PhysicalInterfaceType,
        }
    }
    LogicalInterface {
        parents: [PhysicalInterface, PhysicalRouter],
        refs: [VirtualMachineInterface],
        props: {
            logical_interface_port_params: PortParameters,
            logical_interface_type: LogicalInterfaceType,
            logical_interface_vlan_tag: i64,
        }
    }
    LinkAggregationGroup {
        parents: [PhysicalRouter],
        refs: [PhysicalInterface, VirtualMachineInterface],
        props: {
            link_aggregation_group_lacp_enabled: bool,
        }
    }
    DeviceFunctionalGroup {
        parents: [Project],
        refs: [PhysicalRole],
        props: {
            device_functional_group_description: String,
            device_functional_group_os_version: String,
            device_functional_group_routing_bridging_roles: RoutingBridgingRolesType,
        }
    }
    DeviceImage {
        parents: [GlobalSystemConfig],
        refs: [Hardware],
        props: {
            device_image_device_family: String,
            device_image_file_name: String,
            device_image_file_uri: String,
            device_image_md5: String,
            device_image_os_version: String,
            device_image_sha1: String,
            device_image_size: i64,
            device_image_supported_platforms: DevicePlatformListType,
            device_image_vendor_name: String,
        }
    }
    DeviceChassis {
        parents: [],
        refs: [],
        props: {
            device_chassis_type: String,
        }
    }
    Hardware {
        parents: [],
        refs: [Card],
        props: {}
    }
    Card {
        parents: [],
        refs: [],
        props: {
            interface_map: InterfaceMapType,
        }
    }
    HardwareInventory {
        parents: [PhysicalRouter],
        refs: [],
        props: {
            hardware_inventory_inventory_info: String,
        }
    }
    CliConfig {
        parents: [PhysicalRouter],
        refs: [],
        props: {
            accepted_cli_config: String,
            commit_diff_list: @list CliDiffListType,
        }
    }
    NetworkDeviceConfig {
        parents: [],
        refs: [PhysicalRouter],
        props: {}
    }
    Node {
        parents: [GlobalSystemConfig],
        refs: [NodeProfile],
        props: {
            bms_info: BaremetalServerInfo,
            cloud_info: CloudInstanceInfo,
            disk_partition: String,
            esxi_info: ESXIHostInfo,
            hostname: String,
            interface_name: String,
            ip_address: String,
            mac_address: String,
            node_type: NodeType,
        }
    }
    Port {
        parents: [Node],
        refs: [],
        props: {
            bms_port_info: BaremetalPortInfo,
            esxi_port_info: ESXIProperties,
            label: String,
            port_group_uuid: String,
        }
    }
    PortGroup {
        parents: [Node],
        refs: [Port],
        props: {
            bms_port_group_info: BaremetalPortGroupInfo,
        }
    }
}
