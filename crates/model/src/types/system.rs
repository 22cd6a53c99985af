//! Global configuration.

use super::*;

complex_types! {
    BGPaaServiceParametersType {
        port_start: L4PortType,
        port_end: L4PortType,
    }
    AsnRangeType {
        asn_min: i64,
        asn_max: i64,
    }
    FastConvergenceParametersType {
        enable: bool,
        nh_reachability_check: bool,
        xmpp_hold_time: XmppHoldTimeType,
    }
    GracefulRestartParametersType {
        enable: bool,
        restart_time: GracefulRestartTimeType,
        long_lived_restart_time: LongLivedGracefulRestartTimeType,
        end_of_rib_timeout: EndOfRibTimeType,
        bgp_helper_enable: bool,
        xmpp_helper_enable: bool,
    }
    PluginProperties {
        plugin_property: [PluginProperty],
    }
    PluginProperty {
        property: String,
        value: String,
    }
    DeviceFamilyListType {
        device_family: [String],
    }
    VendorHardwaresType {
        vendor_hardware: [String],
    }
    UserDefinedLogStatList {
        statlist: [UserDefinedLogStat],
    }
    UserDefinedLogStat {
        name: String,
        pattern: String,
    }
    EncapsulationPrioritiesType {
        encapsulation: [EncapsulationType],
    }
    EncryptionTunnelEndpointList {
        endpoint: [EncryptionTunnelEndpoint],
    }
    EncryptionTunnelEndpoint {
        tunnel_remote_ip_address: IpAddressType,
    }
    FlowAgingTimeoutList {
        flow_aging_timeout: [FlowAgingTimeout],
    }
    FlowAgingTimeout {
        protocol: String,
        port: i64,
        timeout_in_seconds: i64,
    }
    LinklocalServicesTypes {
        linklocal_service_entry: [LinklocalServiceEntryType],
    }
    LinklocalServiceEntryType {
        linklocal_service_name: String,
        linklocal_service_ip: IpAddress,
        linklocal_service_port: i64,
        ip_fabric_DNS_service_name: String,
        ip_fabric_service_port: i64,
        ip_fabric_service_ip: [IpAddress],
    }
    PortTranslationPools {
        port_translation_pool: [PortTranslationPool],
    }
    PortTranslationPool {
        protocol: String,
        port_range: PortType,
        port_count: String,
    }
    RbacRuleEntriesType {
        rbac_rule: [RbacRuleType],
    }
    RbacRuleType {
        rule_object: String,
        rule_field: String,
        rule_perms: [RbacPermType],
    }
    RbacPermType {
        role_name: String,
        role_crud: String,
    }
    AlarmOrList {
        or_list: [AlarmAndList],
    }
    AlarmAndList {
        and_list: [AlarmExpression],
    }
    AlarmExpression {
        operation: AlarmOperation,
        operand1: String,
        operand2: AlarmOperand2,
        variables: [String],
    }
    AlarmOperand2 {
        uve_attribute: String,
        json_value: String,
    }
    UveKeysType {
        uve_key: [String],
    }
}
