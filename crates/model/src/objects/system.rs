//! The frame everything hangs in: root, domains, projects, global configuration.

use super::*;

object_types! {
    ConfigRoot {
        parents: [],
        refs: [],
        props: {}
    }
    ConfigProperties {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            properties: KeyValuePairs,
        }
    }
    Domain {
        parents: [ConfigRoot],
        refs: [],
        props: {
            domain_limits: DomainLimitsType,
        }
    }
    Project {
        parents: [Domain],
        refs: [AliasIpPool, ApplicationPolicySet(system), FloatingIpPool, Namespace { SubnetType }],
        props: {
            alarm_enable: bool,
            enable_security_policy_draft: bool = false,
            quota: QuotaType,
            vxlan_routing: bool,
        }
    }
    Namespace {
        parents: [Domain],
        refs: [],
        props: {
            namespace_cidr: SubnetType,
        }
    }
    GlobalSystemConfig {
        parents: [ConfigRoot],
        refs: [BgpRouter],
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
    GlobalVrouterConfig {
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
    GlobalAnalyticsConfig {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {}
    }
    ApiAccessList {
        parents: [Domain, GlobalSystemConfig, Project],
        refs: [],
        props: {
            api_access_list_entries: RbacRuleEntriesType,
        }
    }
    FeatureFlag {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            enable_feature: bool = false,
            feature_description: String,
            feature_flag_version: String,
            feature_id: FeatureIdType,
            feature_release: String,
            feature_state: FeatureStateType,
        }
    }
    Alarm {
        parents: [GlobalSystemConfig, Project],
        refs: [],
        props: {
            alarm_rules: @list AlarmOrList,
            alarm_severity: AlarmSeverity,
            uve_keys: UveKeysType,
        }
    }
    PolicyManagement {
        parents: [ConfigRoot, Project],
        refs: [],
        props: {}
    }
    SubCluster {
        parents: [],
        refs: [],
        props: {
            sub_cluster_asn: AutonomousSystemType,
            sub_cluster_id: SubClusterIdType,
        }
    }
    ControlNodeZone {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {}
    }
}
