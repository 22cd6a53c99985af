//! Physical devices and servers, their ports and credentials.

use super::*;

complex_types! {
    DnsmasqLeaseParameters {
        lease_expiry_time: i64,
        client_id: String,
    }
    JunosServicePorts {
        service_port: [String],
    }
    SNMPCredentials {
        version: i64,
        local_port: i64,
        retries: i64,
        timeout: i64,
        v2_community: String,
        v3_security_name: String,
        v3_security_level: String,
        v3_security_engine_id: String,
        v3_context: String,
        v3_context_engine_id: String,
        v3_authentication_protocol: String,
        v3_authentication_password: String,
        v3_privacy_protocol: String,
        v3_privacy_password: String,
        v3_engine_id: String,
        v3_engine_boots: i64,
        v3_engine_time: i64,
    }
    RoutingBridgingRolesType {
        rb_roles: [String],
    }
    TelemetryStateInfo {
        resource: [TelemetryResourceInfo],
        server_ip: String,
        server_port: i64,
    }
    TelemetryResourceInfo {
        name: String,
        path: String,
        rate: String,
    }
    DevicePlatformListType {
        platform_name: [String],
    }
    InterfaceMapType {
        port_info: [PortInfoType],
    }
    PortInfoType {
        name: String,
        type_: InterfaceType,
        port_speed: PortSpeedType,
        channelized: bool,
        channelized_port_speed: PortSpeedType,
        port_group: String,
        labels: [String],
    }
    CliDiffListType {
        commit_diff_info: [CliDiffInfoType],
    }
    CliDiffInfoType {
        username: String,
        time: String,
        config_changes: String,
    }
    BaremetalServerInfo {
        network_interface: String,
        driver: String,
        properties: BaremetalProperties,
        driver_info: DriverInfo,
        name: String,
    }
    BaremetalProperties {
        memory_mb: i64,
        cpu_arch: String,
        local_gb: i64,
        cpus: i64,
        capabilities: String,
    }
    DriverInfo {
        ipmi_address: String,
        deploy_ramdisk: String,
        ipmi_password: String,
        ipmi_port: String,
        ipmi_username: String,
        deploy_kernel: String,
    }
    CloudInstanceInfo {
        os_version: String,
        operating_system: String,
        roles: [String],
        availability_zone: String,
        instance_type: String,
        machine_id: String,
        volume_size: i64,
    }
    ESXIHostInfo {
        username: String,
        datacenter: String,
        esxi_name: String,
        cluster: String,
        mac: String,
        datastore: String,
        password: String,
        vcenter_server: String,
    }
    BaremetalPortInfo {
        pxe_enabled: bool,
        local_link_connection: LocalLinkConnection,
        node_uuid: String,
        address: String,
    }
    LocalLinkConnection {
        switch_info: String,
        port_index: String,
        port_id: String,
        switch_id: String,
    }
    ESXIProperties {
        dvs_name: String,
        dvs_id: String,
    }
    BaremetalPortGroupInfo {
        standalone_ports_supported: bool,
        node_uuid: String,
        properties: PortGroupProperties,
        address: String,
        mode: String,
    }
    PortGroupProperties {
        miimon: i64,
        xmit_hash_policy: String,
    }
}
