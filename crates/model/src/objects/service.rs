//! Services inserted between networks, and their appliances.

use super::*;

object_types! {
    ServiceTemplate {
        parents: [Domain],
        refs: [ServiceApplianceSet],
        props: {
            service_config_managed: bool = false,
            service_template_properties: ServiceTemplateType,
        }
    }
    ServiceInstance {
        parents: [Project],
        refs: [InstanceIp(system) { ServiceInterfaceTag }, ServiceTemplate],
        props: {
            service_instance_bgp_enabled: bool = true,
            service_instance_bindings: @map "key" KeyValuePairs,
            service_instance_properties: ServiceInstanceType,
        }
    }
    PortTuple {
        parents: [ServiceInstance],
        refs: [LogicalRouter, VirtualNetwork],
        props: {}
    }
    ServiceHealthCheck {
        parents: [Project],
        refs: [ServiceInstance { ServiceInterfaceTag }],
        props: {
            service_health_check_properties: ServiceHealthCheckType,
        }
    }
    ServiceApplianceSet {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            service_appliance_driver: String,
            service_appliance_ha_mode: String,
            service_appliance_set_properties: KeyValuePairs,
            service_appliance_set_virtualization_type: ServiceVirtualizationType,
        }
    }
    ServiceAppliance {
        parents: [ServiceApplianceSet],
        refs: [PhysicalInterface { ServiceApplianceInterfaceType }],
        props: {
            service_appliance_ip_address: IpAddressType,
            service_appliance_properties: KeyValuePairs,
            service_appliance_user_credentials: UserCredentials,
            service_appliance_virtualization_type: ServiceVirtualizationType,
        }
    }
    HostBasedService {
        parents: [Project],
        refs: [VirtualNetwork { ServiceVirtualNetworkType }],
        props: {
            host_based_service_type: HostBasedServiceType = "firewall",
        }
    }
    ServiceConnectionModule {
        parents: [],
        refs: [ServiceObject],
        props: {
            e2_service: E2servicetype,
            service_type: ServiceConnectionType,
        }
    }
    ServiceEndpoint {
        parents: [],
        refs: [PhysicalRouter, ServiceConnectionModule, ServiceObject],
        props: {}
    }
    ServiceObject {
        parents: [],
        refs: [],
        props: {}
    }
    PeeringPolicy {
        parents: [],
        refs: [],
        props: {
            peering_service: PeeringServiceType,
        }
    }
    E2ServiceProvider {
        parents: [],
        refs: [PeeringPolicy, PhysicalRouter],
        props: {
            e2_service_provider_promiscuous: bool,
        }
    }
}
