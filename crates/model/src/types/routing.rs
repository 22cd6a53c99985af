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
    ServiceInterfaceTag {
        interface_type: ServiceInterfaceType,
    }
    PolicyStatementType {
        term: [PolicyTermType],
    }
    PolicyTermType {
        term_match_condition: TermMatchConditionType,
        term_action_list: TermActionListType,
    }
    TermMatchConditionType {
        protocol: [PathSourceType],
        prefix: [PrefixMatchType],
        community: String,
        community_list: [String],
        community_match_all: bool,
        extcommunity_list: [String],
        extcommunity_match_all: bool,
        family: FamilyType,
        as_path: [i64],
        external: ExternalRouteType,
        local_pref: i64,
        nlri_route_type: [i64],
        prefix_list: [PrefixListMatchType],
        route_filter: RouteFilterType,
    }
    PrefixMatchType {
        prefix: String,
        prefix_type: PrefixType,
    }
    PrefixListMatchType {
        interface_route_table_uuid: [String],
        prefix_type: PrefixType,
    }
    RouteFilterType {
        route_filter_properties: [RouteFilterProperties],
    }
    RouteFilterProperties {
        route: String,
        route_type: RouteFType,
        route_type_value: String,
    }
    TermActionListType {
        update: ActionUpdateType,
        action: ActionType,
        action_next_value: ActionNextValue,
        external: ExternalRouteType,
        as_path_expand: String,
        as_path_prepend: String,
    }
    ActionUpdateType {
        as_path: ActionAsPathType,
        community: ActionCommunityType,
        extcommunity: ActionExtCommunityType,
        local_pref: i64,
        med: i64,
    }
    ActionAsPathType {
        expand: AsListType,
    }
    AsListType {
        asn_list: [i64],
    }
    ActionCommunityType {
        add: CommunityListType,
        remove: CommunityListType,
        set: CommunityListType,
    }
    CommunityListType {
        community: [CommunityAttribute],
    }
    ActionExtCommunityType {
        add: ExtCommunityListType,
        remove: ExtCommunityListType,
        set: ExtCommunityListType,
    }
    ExtCommunityListType {
        community: [String],
    }
    RoutingPolicyServiceInstanceType {
        left_sequence: SequenceNumberType,
        right_sequence: SequenceNumberType,
    }
    RouteListType {
        route: [String],
    }
    LogicalRouterVirtualNetworkType {
        logical_router_virtual_network_type: LogicalRouterVirtualNetworkEnumType,
    }
}
