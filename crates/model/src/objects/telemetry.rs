//! Telemetry profiles and structured syslog.

use super::*;

object_types! {
    TelemetryProfile {
        parents: [Project],
        refs: [GrpcProfile, NetconfProfile, SflowProfile, SnmpProfile],
        props: {
            telemetry_profile_is_default: bool = false,
        }
    }
    SflowProfile {
        parents: [Project],
        refs: [],
        props: {
            sflow_parameters: SflowParameters,
            sflow_profile_is_default: bool = false,
        }
    }
    GrpcProfile {
        parents: [Project],
        refs: [],
        props: {
            grpc_parameters: GrpcParameters,
            grpc_profile_is_default: bool = false,
        }
    }
    NetconfProfile {
        parents: [Project],
        refs: [],
        props: {
            netconf_parameters: NetconfParameters,
            netconf_profile_is_default: bool = false,
        }
    }
    SnmpProfile {
        parents: [Project],
        refs: [],
        props: {
            snmp_parameters: SnmpParameters,
            snmp_profile_is_default: bool = false,
        }
    }
    StructuredSyslogConfig {
        parents: [GlobalAnalyticsConfig, Project],
        refs: [],
        props: {}
    }
    StructuredSyslogMessage {
        parents: [StructuredSyslogConfig],
        refs: [],
        props: {
            structured_syslog_message_forward: StructuredSyslogMessageForwardType,
            structured_syslog_message_integer_fields: FieldNamesList,
            structured_syslog_message_process_and_store: bool = false,
            structured_syslog_message_process_and_summarize: bool = false,
            structured_syslog_message_process_and_summarize_user: bool = false,
            structured_syslog_message_tagged_fields: FieldNamesList,
        }
    }
    StructuredSyslogApplicationRecord {
        parents: [StructuredSyslogConfig],
        refs: [],
        props: {
            structured_syslog_app_category: String,
            structured_syslog_app_groups: String,
            structured_syslog_app_risk: String,
            structured_syslog_app_service_tags: String,
            structured_syslog_app_subcategory: String,
        }
    }
    StructuredSyslogHostnameRecord {
        parents: [StructuredSyslogConfig],
        refs: [],
        props: {
            structured_syslog_device: String,
            structured_syslog_hostaddr: String,
            structured_syslog_hostname_tags: String,
            structured_syslog_lan_segment_list: StructuredSyslogLANSegmentList,
            structured_syslog_linkmap: StructuredSyslogLinkmap,
            structured_syslog_location: String,
            structured_syslog_tenant: String,
        }
    }
    StructuredSyslogSlaProfile {
        parents: [StructuredSyslogConfig],
        refs: [],
        props: {
            structured_syslog_sla_params: String,
        }
    }
    StructuredSyslogTenantRecord {
        parents: [StructuredSyslogConfig],
        refs: [],
        props: {
            structured_syslog_dscpmap: StructuredSyslogDSCPMap,
            structured_syslog_tenant: String,
            structured_syslog_tenant_tags: String,
            structured_syslog_tenantaddr: String,
        }
    }
}
