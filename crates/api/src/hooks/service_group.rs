//! service-group: its services' protocols.

use super::protocols;
use crate::ApiError;
use serde_json::Value;
use weft_model::Object;

pub(super) fn put(new: &mut Object) -> Result<(), ApiError> {
    let list = new.props.get_mut("service_group_firewall_service_list");
    let services = list.and_then(|list| list.get_mut("firewall_service")).and_then(Value::as_array_mut);
    for (index, service) in services.into_iter().flatten().enumerate() {
        let what = format!("service_group_firewall_service_list.firewall_service[{index}]");
        protocols::complete_service(service, &what)?;
    }
    Ok(())
}
