//! Telemetry, structured syslog and alarms.

use super::*;

complex_types! {
    SflowParameters {
        stats_collection_frequency: StatsCollectionFrequency,
        agent_id: IpAddress,
        adaptive_sample_rate: AdativeSampleRate,
        enabled_interface_type: EnabledInterfaceType,
        enabled_interface_params: [EnabledInterfaceParams],
    }
    StatsCollectionFrequency {
        sample_rate: SampleRate,
        polling_interval: PollingInterval,
        direction: SampleDirection,
    }
    EnabledInterfaceParams {
        name: String,
        stats_collection_frequency: StatsCollectionFrequency,
    }
    GrpcParameters {
        allow_clients: SubnetListType,
        enabled_sensor_params: EnabledSensorParams,
        secure_mode: SecureModeType,
    }
    EnabledSensorParams {
        physical_health: bool,
        interface_health: bool,
        control_plane_health: bool,
        service_layer_health: bool,
    }
    NetconfParameters {
        enabled_sensor_params: EnabledSensorParams,
    }
    SnmpParameters {
        enabled_sensor_params: EnabledSensorParams,
    }
    FieldNamesList {
        field_names: [String],
    }
    StructuredSyslogLANSegmentList {
        LANSegmentList: [StructuredSyslogLANSegmentType],
    }
    StructuredSyslogLANSegmentType {
        vpn: String,
        network_ranges: String,
    }
    StructuredSyslogLinkmap {
        links: [StructuredSyslogLinkType],
    }
    StructuredSyslogLinkType {
        overlay: String,
        underlay: String,
        link_type: String,
        traffic_destination: String,
        metadata: String,
    }
    StructuredSyslogDSCPMap {
        dscpListIPv4: [StructuredSyslogDSCPType],
        dscpListIPv6: [StructuredSyslogDSCPType],
    }
    StructuredSyslogDSCPType {
        dscp_value: String,
        alias_code: String,
    }
}
