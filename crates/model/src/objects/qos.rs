//! Quality of service.

use super::*;

object_types! {
    GlobalQosConfig {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            control_traffic_dscp: ControlTrafficDscpType,
        }
    }
    QosConfig {
        parents: [GlobalQosConfig, Project],
        refs: [GlobalSystemConfig(system)],
        props: {
            default_forwarding_class_id: ForwardingClassId = 0,
            dscp_entries: @map "key" QosIdForwardingClassPairs,
            mpls_exp_entries: @map "key" QosIdForwardingClassPairs,
            qos_config_type: QosConfigType,
            vlan_priority_entries: @map "key" QosIdForwardingClassPairs,
        }
    }
    ForwardingClass {
        parents: [GlobalQosConfig],
        refs: [QosQueue],
        props: {
            forwarding_class_dscp: DscpValueType,
            forwarding_class_id: ForwardingClassId = 0,
            forwarding_class_mpls_exp: MplsExpType,
            forwarding_class_vlan_priority: VlanPriorityType,
        }
    }
    QosQueue {
        parents: [GlobalQosConfig],
        refs: [],
        props: {
            max_bandwidth: i64,
            min_bandwidth: i64,
            qos_queue_identifier: i64,
        }
    }
}
