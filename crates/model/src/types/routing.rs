//! Routing: instances, static routes, routed networks.

use super::*;

complex_types! {
    VirtualNetworkRoutedPropertiesType {
        routed_properties: [RoutedProperties],
        shared_across_all_lrs: bool,
    }
    RoutedProperties {
        physical_router_uuid: String,
        logical_router_uuid: String,
        routed_interface_ip_address: IpAddressType,
        loopback_ip_address: IpAddressType,
        routing_protocol: RoutingProtocolType,
        bgp_params: BgpParameters,
        ospf_params: OspfParameters,
        pim_params: PimParameters,
        static_route_params: StaticRouteParameters,
        bfd_params: BfdParameters,
        routing_policy_params: RoutingPolicyParameters,
    }
    BgpParameters {
        peer_autonomous_system: i64,
        peer_ip_address: IpAddress,
        peer_ip_address_list: [IpAddress],
        hold_time: BgpHoldTime,
        auth_data: AuthenticationData,
        local_autonomous_system: i64,
        multihop_ttl: i64,
    }
    AuthenticationData {
        key_type: AuthenticationKeyType,
        key_items: [AuthenticationKeyItem],
    }
    AuthenticationKeyItem {
        key_id: AuthenticationKeyId,
        key: String,
    }
    OspfParameters {
        auth_data: AuthenticationData,
        hello_interval: i64,
        dead_interval: i64,
        area_id: IpAddress,
        area_type: OspfAreaType,
        advertise_loopback: bool,
        orignate_summary_lsa: bool,
    }
    PimParameters {
        rp_ip_address: [IpAddress],
        mode: PimMode,
        enable_all_interfaces: bool,
    }
    StaticRouteParameters {
        interface_route_table_uuid: [String],
        next_hop_ip_address: [IpAddress],
    }
    BfdParameters {
        time_interval: i64,
        detection_time_multiplier: i64,
    }
    RoutingPolicyParameters {
        import_routing_policy_uuid: [String],
        export_routing_policy_uuid: [String],
    }
    InstanceTargetType {
        import_export: ImportExportType,
    }
    ConnectionType {
        destination_instance: String,
    }
    DefaultProtocolType {
        bgp: ProtocolBgpType,
        ospf: ProtocolOspfType,
    }
    ProtocolBgpType {
        autonomous_system: i64,
    }
    ProtocolOspfType {
        area: i64,
    }
    ServiceChainInfo {
        routing_instance: String,
        prefix: [String],
        service_chain_address: IpAddress,
        service_instance: String,
        source_routing_instance: String,
        service_chain_id: String,
        sc_head: bool,
        retain_as_path: bool,
    }
    StaticRouteEntriesType {
        route: [StaticRouteType],
    }
    StaticRouteType {
        prefix: String,
        next_hop: String,
        route_target: [String],
        community: [String],
    }
}
