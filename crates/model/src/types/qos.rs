//! Quality of service.

use super::*;

complex_types! {
    ControlTrafficDscpType {
        control: DscpValueType,
        analytics: DscpValueType,
        dns: DscpValueType,
    }
    QosIdForwardingClassPairs {
        qos_id_forwarding_class_pair: [QosIdForwardingClassPair],
    }
    QosIdForwardingClassPair {
        key: i64,
        forwarding_class_id: ForwardingClassId,
    }
}
