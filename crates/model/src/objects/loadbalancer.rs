//! Load balancers.

use super::*;

object_types! {
    Loadbalancer {
        parents: [Project],
        refs: [ServiceApplianceSet, ServiceInstance(system), VirtualMachineInterface(system)],
        props: {
            loadbalancer_properties: LoadbalancerType,
            loadbalancer_provider: String,
        }
    }
    LoadbalancerListener {
        parents: [Project],
        refs: [Loadbalancer],
        props: {
            loadbalancer_listener_properties: LoadbalancerListenerType,
        }
    }
    LoadbalancerPool {
        parents: [Project],
        refs: [
            LoadbalancerHealthmonitor, LoadbalancerListener, ServiceApplianceSet(system),
            ServiceInstance(system), VirtualMachineInterface(system),
        ],
        props: {
            loadbalancer_pool_custom_attributes: KeyValuePairs,
            loadbalancer_pool_properties: LoadbalancerPoolType,
            loadbalancer_pool_provider: String,
        }
    }
    LoadbalancerMember {
        parents: [LoadbalancerPool],
        refs: [],
        props: {
            loadbalancer_member_properties: LoadbalancerMemberType,
        }
    }
    LoadbalancerHealthmonitor {
        parents: [Project],
        refs: [],
        props: {
            loadbalancer_healthmonitor_properties: LoadbalancerHealthmonitorType,
        }
    }
    VirtualIp {
        parents: [Project],
        refs: [LoadbalancerPool, VirtualMachineInterface],
        props: {
            virtual_ip_properties: VirtualIpType,
        }
    }
}
