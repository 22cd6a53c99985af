//! Fabrics: namespaces, interconnection, port groups, jobs.

use super::*;

complex_types! {
    DeviceCredentialList {
        device_credential: [DeviceCredential],
    }
    DeviceCredential {
        credential: UserCredentials,
        vendor: String,
        device_family: String,
    }
    SerialNumListType {
        serial_num: [String],
    }
    FabricNetworkTag {
        network_type: FabricNetworkType,
    }
    NamespaceValue {
        ipv4_cidr: SubnetListType,
        asn: AutonomousSystemsType,
        mac_addr: MacAddressesType,
        asn_ranges: [AsnRangeType],
        serial_nums: [String],
    }
    AutonomousSystemsType {
        asn: [AutonomousSystemType],
    }
    LogicalRouterPRListType {
        logical_router_list: [LogicalRouterPRListParams],
    }
    LogicalRouterPRListParams {
        logical_router_uuid: String,
        physical_router_uuid_list: [String],
    }
    VpgInterfaceParametersType {
        ae_num: i64,
    }
    PortProfileParameters {
        port_params: PortParameters,
        flow_control: bool,
        lacp_params: LacpParams,
        bpdu_loop_protection: bool,
        port_cos_untrust: bool,
    }
    PortParameters {
        port_disable: bool,
        port_mtu: PortMtu,
        port_description: String,
    }
    LacpParams {
        lacp_enable: bool,
        lacp_interval: LacpInterval,
        lacp_mode: LacpMode,
    }
    StormControlParameters {
        storm_control_actions: [StormControlActionType],
        recovery_timeout: i64,
        no_unregistered_multicast: bool,
        no_registered_multicast: bool,
        no_unknown_unicast: bool,
        no_multicast: bool,
        no_broadcast: bool,
        bandwidth_percent: i64,
    }
    NodeProfileRolesType {
        role_mappings: [NodeProfileRoleType],
    }
    NodeProfileRoleType {
        physical_role: String,
        rb_roles: [String],
    }
    ExecutableInfoListType {
        executable_info: [ExecutableInfoType],
    }
    ExecutableInfoType {
        executable_path: String,
        executable_args: String,
        job_completion_weightage: i64,
    }
    PlaybookInfoListType {
        playbook_info: [PlaybookInfoType],
    }
    PlaybookInfoType {
        playbook_uri: String,
        multi_device_playbook: bool,
        refresh_token: bool,
        vendor: String,
        device_family: String,
        job_completion_weightage: i64,
        sequence_no: i64,
    }
}
