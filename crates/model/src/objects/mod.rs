//! The object types: one declaration each, one file per subject.
//!
//! [`ObjectType`] lists their names: in Rust, in URLs and in JSON fields. A declaration gives
//! `parents`, optionally `derived: true` (made by the compiler, read-only), `refs` (`(system)` when only the system
//! writes them, `{ Attribute }` when the link carries one) and `props` (`@list` and `@map "key"` for properties whose
//! elements can be changed one by one, `@system` for hidden numbers, `= default` for what an absent value stands for).
//! Objects of every type may also refer to tags (wire-facts section 1): the declarations do not repeat that.

use crate::Typed;
use crate::schema::{Complex, PropInfo, PropKind, RefInfo, Schema, TAG_REFERENCE, TypeInfo};
use crate::types::*;

mod bgp;
mod device;
mod fabric;
mod firewall;
mod interface;
mod loadbalancer;
mod network;
mod nodes;
mod policy;
mod qos;
mod routing;
mod service;
mod system;
mod telemetry;

pub use bgp::*;
pub use device::*;
pub use fabric::*;
pub use firewall::*;
pub use interface::*;
pub use loadbalancer::*;
pub use network::*;
pub use nodes::*;
pub use policy::*;
pub use qos::*;
pub use routing::*;
pub use service::*;
pub use system::*;
pub use telemetry::*;

object_names! {
    ConfigRoot "config-root" "config_root",
    ConfigProperties "config-properties" "config_properties",
    Domain "domain" "domain",
    Project "project" "project",
    Namespace "namespace" "namespace",
    GlobalSystemConfig "global-system-config" "global_system_config",
    GlobalVrouterConfig "global-vrouter-config" "global_vrouter_config",
    GlobalAnalyticsConfig "global-analytics-config" "global_analytics_config",
    ApiAccessList "api-access-list" "api_access_list",
    FeatureFlag "feature-flag" "feature_flag",
    Alarm "alarm" "alarm",
    PolicyManagement "policy-management" "policy_management",
    SubCluster "sub-cluster" "sub_cluster",
    ControlNodeZone "control-node-zone" "control_node_zone",
    NetworkIpam "network-ipam" "network_ipam",
    VirtualNetwork "virtual-network" "virtual_network",
    Subnet "subnet" "subnet",
    InstanceIp "instance-ip" "instance_ip",
    FloatingIpPool "floating-ip-pool" "floating_ip_pool",
    FloatingIp "floating-ip" "floating_ip",
    AliasIpPool "alias-ip-pool" "alias_ip_pool",
    AliasIp "alias-ip" "alias_ip",
    BridgeDomain "bridge-domain" "bridge_domain",
    MulticastPolicy "multicast-policy" "multicast_policy",
    VirtualDns "virtual-DNS" "virtual_DNS",
    VirtualDnsRecord "virtual-DNS-record" "virtual_DNS_record",
    VirtualMachine "virtual-machine" "virtual_machine",
    VirtualMachineInterface "virtual-machine-interface" "virtual_machine_interface",
    VirtualRouter "virtual-router" "virtual_router",
    ProviderAttachment "provider-attachment" "provider_attachment",
    CustomerAttachment "customer-attachment" "customer_attachment",
    NetworkPolicy "network-policy" "network_policy",
    SecurityGroup "security-group" "security_group",
    AccessControlList "access-control-list" "access_control_list",
    SecurityLoggingObject "security-logging-object" "security_logging_object",
    TagType "tag-type" "tag_type",
    Tag "tag" "tag",
    ApplicationPolicySet "application-policy-set" "application_policy_set",
    FirewallPolicy "firewall-policy" "firewall_policy",
    FirewallRule "firewall-rule" "firewall_rule",
    ServiceGroup "service-group" "service_group",
    AddressGroup "address-group" "address_group",
    RoutingInstance "routing-instance" "routing_instance",
    RouteTarget "route-target" "route_target",
    RouteTable "route-table" "route_table",
    InterfaceRouteTable "interface-route-table" "interface_route_table",
    RoutingPolicy "routing-policy" "routing_policy",
    RouteAggregate "route-aggregate" "route_aggregate",
    LogicalRouter "logical-router" "logical_router",
    Bgpvpn "bgpvpn" "bgpvpn",
    BgpRouter "bgp-router" "bgp_router",
    BgpAsAService "bgp-as-a-service" "bgp_as_a_service",
    GlobalQosConfig "global-qos-config" "global_qos_config",
    QosConfig "qos-config" "qos_config",
    ForwardingClass "forwarding-class" "forwarding_class",
    QosQueue "qos-queue" "qos_queue",
    ServiceTemplate "service-template" "service_template",
    ServiceInstance "service-instance" "service_instance",
    PortTuple "port-tuple" "port_tuple",
    ServiceHealthCheck "service-health-check" "service_health_check",
    ServiceApplianceSet "service-appliance-set" "service_appliance_set",
    ServiceAppliance "service-appliance" "service_appliance",
    HostBasedService "host-based-service" "host_based_service",
    ServiceConnectionModule "service-connection-module" "service_connection_module",
    ServiceEndpoint "service-endpoint" "service_endpoint",
    ServiceObject "service-object" "service_object",
    PeeringPolicy "peering-policy" "peering_policy",
    E2ServiceProvider "e2-service-provider" "e2_service_provider",
    Loadbalancer "loadbalancer" "loadbalancer",
    LoadbalancerListener "loadbalancer-listener" "loadbalancer_listener",
    LoadbalancerPool "loadbalancer-pool" "loadbalancer_pool",
    LoadbalancerMember "loadbalancer-member" "loadbalancer_member",
    LoadbalancerHealthmonitor "loadbalancer-healthmonitor" "loadbalancer_healthmonitor",
    VirtualIp "virtual-ip" "virtual_ip",
    Fabric "fabric" "fabric",
    FabricNamespace "fabric-namespace" "fabric_namespace",
    IntentMap "intent-map" "intent_map",
    DataCenterInterconnect "data-center-interconnect" "data_center_interconnect",
    VirtualPortGroup "virtual-port-group" "virtual_port_group",
    PortProfile "port-profile" "port_profile",
    StormControlProfile "storm-control-profile" "storm_control_profile",
    NodeProfile "node-profile" "node_profile",
    RoleConfig "role-config" "role_config",
    RoleDefinition "role-definition" "role_definition",
    PhysicalRole "physical-role" "physical_role",
    OverlayRole "overlay-role" "overlay_role",
    Feature "feature" "feature",
    FeatureConfig "feature-config" "feature_config",
    JobTemplate "job-template" "job_template",
    PhysicalRouter "physical-router" "physical_router",
    PhysicalInterface "physical-interface" "physical_interface",
    LogicalInterface "logical-interface" "logical_interface",
    LinkAggregationGroup "link-aggregation-group" "link_aggregation_group",
    DeviceFunctionalGroup "device-functional-group" "device_functional_group",
    DeviceImage "device-image" "device_image",
    DeviceChassis "device-chassis" "device_chassis",
    Hardware "hardware" "hardware",
    Card "card" "card",
    HardwareInventory "hardware-inventory" "hardware_inventory",
    CliConfig "cli-config" "cli_config",
    NetworkDeviceConfig "network-device-config" "network_device_config",
    Node "node" "node",
    Port "port" "port",
    PortGroup "port-group" "port_group",
    TelemetryProfile "telemetry-profile" "telemetry_profile",
    SflowProfile "sflow-profile" "sflow_profile",
    GrpcProfile "grpc-profile" "grpc_profile",
    NetconfProfile "netconf-profile" "netconf_profile",
    SnmpProfile "snmp-profile" "snmp_profile",
    StructuredSyslogConfig "structured-syslog-config" "structured_syslog_config",
    StructuredSyslogMessage "structured-syslog-message" "structured_syslog_message",
    StructuredSyslogApplicationRecord "structured-syslog-application-record" "structured_syslog_application_record",
    StructuredSyslogHostnameRecord "structured-syslog-hostname-record" "structured_syslog_hostname_record",
    StructuredSyslogSlaProfile "structured-syslog-sla-profile" "structured_syslog_sla_profile",
    StructuredSyslogTenantRecord "structured-syslog-tenant-record" "structured_syslog_tenant_record",
    AnalyticsNode "analytics-node" "analytics_node",
    AnalyticsAlarmNode "analytics-alarm-node" "analytics_alarm_node",
    AnalyticsSnmpNode "analytics-snmp-node" "analytics_snmp_node",
    ConfigNode "config-node" "config_node",
    ConfigDatabaseNode "config-database-node" "config_database_node",
    DatabaseNode "database-node" "database_node",
    DevicemgrNode "devicemgr-node" "devicemgr_node",
    WebuiNode "webui-node" "webui_node",
    FlowNode "flow-node" "flow_node",
    DiscoveryServiceAssignment "discovery-service-assignment" "discovery_service_assignment",
    DsaRule "dsa-rule" "dsa_rule",
}
