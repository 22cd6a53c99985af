//! Service chains: templates, instances, health checks.

use super::*;

complex_types! {
    ServiceTemplateType {
        version: i64,
        service_mode: ServiceModeType,
        service_type: ServiceType,
        image_name: String,
        service_scaling: bool,
        interface_type: [ServiceTemplateInterfaceType],
        flavor: String,
        ordered_interfaces: bool,
        service_virtualization_type: ServiceVirtualizationType,
        availability_zone_enable: bool,
        vrouter_instance_type: VRouterInstanceType,
        instance_data: String,
    }
    ServiceTemplateInterfaceType {
        service_interface_type: ServiceInterfaceType,
        shared_ip: bool,
        static_route_enable: bool,
    }
    ServiceInstanceType {
        auto_policy: bool,
        availability_zone: String,
        management_virtual_network: String,
        left_virtual_network: String,
        left_ip_address: IpAddressType,
        right_virtual_network: String,
        right_ip_address: IpAddressType,
        interface_list: [ServiceInstanceInterfaceType],
        scale_out: ServiceScaleOutType,
        ha_mode: AddressMode,
        virtual_router_id: String,
        service_virtualization_type: ServiceVirtualizationType,
    }
    ServiceInstanceInterfaceType {
        virtual_network: String,
        ip_address: IpAddressType,
        static_routes: RouteTableType,
        allowed_address_pairs: AllowedAddressPairs,
    }
    ServiceScaleOutType {
        max_instances: i64,
        auto_scale: bool,
    }
    ServiceHealthCheckType {
        enabled: bool,
        health_check_type: HealthCheckType,
        monitor_type: HealthCheckProtocolType,
        delay: i64,
        delayUsecs: i64,
        timeout: i64,
        timeoutUsecs: i64,
        max_retries: i64,
        http_method: String,
        url_path: String,
        expected_codes: String,
        target_ip_all: bool,
        target_ip_list: IpAddressesType,
    }
    UserCredentials {
        username: String,
        password: String,
    }
    ServiceApplianceInterfaceType {
        interface_type: ServiceInterfaceType,
    }
    ServiceVirtualNetworkType {
        virtual_network_type: ServiceInterfaceType,
    }
}
