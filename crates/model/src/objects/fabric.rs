//! Fabrics, their roles, port groups and jobs.

use super::*;

object_types! {
    Fabric {
        parents: [GlobalSystemConfig],
        refs: [IntentMap, NodeProfile { SerialNumListType }, VirtualNetwork { FabricNetworkTag }],
        props: {
            disable_vlan_vn_uniqueness_check: bool = false,
            fabric_credentials: @list DeviceCredentialList,
            fabric_enterprise_style: bool = true,
            fabric_os_version: String,
            fabric_ztp: bool,
        }
    }
    FabricNamespace {
        parents: [Fabric],
        refs: [],
        props: {
            fabric_namespace_type: NamespaceType,
            fabric_namespace_value: NamespaceValue,
        }
    }
    IntentMap {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            intent_map_intent_type: IntentType,
        }
    }
    DataCenterInterconnect {
        parents: [GlobalSystemConfig],
        refs: [Fabric, LogicalRouter, RoutingPolicy, VirtualNetwork],
        props: {
            data_center_interconnect_bgp_address_families: AddressFamilies,
            data_center_interconnect_bgp_hold_time: BgpHoldTime,
            data_center_interconnect_configured_route_target_list: RouteTargetList,
            data_center_interconnect_mode: DataCenterInterconnectModes,
            data_center_interconnect_type: DataCenterInterConnectType,
            destination_physical_router_list: LogicalRouterPRListType,
        }
    }
    VirtualPortGroup {
        parents: [Fabric, Project],
        refs: [
            PhysicalInterface { VpgInterfaceParametersType }, PortProfile, SecurityGroup,
            VirtualMachineInterface,
        ],
        props: {
            virtual_port_group_lacp_enabled: bool,
            virtual_port_group_trunk_port_id: String,
            virtual_port_group_type: VpgType = "access",
            virtual_port_group_user_created: bool = true,
        }
    }
    PortProfile {
        parents: [Project],
        refs: [StormControlProfile],
        props: {
            port_profile_params: PortProfileParameters,
        }
    }
    StormControlProfile {
        parents: [Project],
        refs: [],
        props: {
            storm_control_parameters: StormControlParameters,
        }
    }
    NodeProfile {
        parents: [GlobalSystemConfig],
        refs: [Hardware, JobTemplate, RoleDefinition],
        props: {
            node_profile_device_family: String,
            node_profile_hitless_upgrade: bool,
            node_profile_roles: NodeProfileRolesType,
            node_profile_type: NodeProfileType = "physical-router",
            node_profile_vendor: String,
        }
    }
    RoleConfig {
        parents: [NodeProfile],
        refs: [],
        props: {
            role_config_config: String,
        }
    }
    RoleDefinition {
        parents: [GlobalSystemConfig],
        refs: [Feature, OverlayRole, PhysicalRole],
        props: {}
    }
    PhysicalRole {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {}
    }
    OverlayRole {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {}
    }
    Feature {
        parents: [GlobalSystemConfig],
        refs: [Feature],
        props: {}
    }
    FeatureConfig {
        parents: [RoleDefinition],
        refs: [],
        props: {
            feature_config_additional_params: KeyValuePairs,
            feature_config_vendor_config: KeyValuePairs,
        }
    }
    JobTemplate {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            job_template_concurrency_level: JobConcurrencyLevelType,
            job_template_description: String,
            job_template_executables: @list ExecutableInfoListType,
            job_template_input_schema: String,
            job_template_input_ui_schema: String,
            job_template_output_schema: String,
            job_template_output_ui_schema: String,
            job_template_playbooks: @list PlaybookInfoListType,
            job_template_recovery_playbooks: @list PlaybookInfoListType,
            job_template_synchronous_job: bool,
            job_template_type: JobTemplateType,
        }
    }
}
