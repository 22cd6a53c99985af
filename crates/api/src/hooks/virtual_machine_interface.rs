//! virtual-machine-interface: its MAC address, limits on allowed address pairs.

use super::{property, set};
use crate::ApiError;
use weft_model::types::{AllowedAddressPairs, MacAddressesType};
use weft_model::{MacAddress, Object};

const MACS: &str = "virtual_machine_interface_mac_addresses";
/// Shortest prefixes of an active-standby address pair.
const MIN_PAIR_PREFIX_V4: i64 = 24;
const MIN_PAIR_PREFIX_V6: i64 = 120;

pub(super) fn put(new: &mut Object) -> Result<(), ApiError> {
    let given = property::<MacAddressesType>(new, MACS)?.unwrap_or_default().mac_address;
    let mut macs = Vec::with_capacity(given.len().max(1));
    for text in given.iter().filter(|t| !t.is_empty()) {
        let mac: MacAddress = text.parse()?;
        if mac.is_multicast() || mac == MacAddress::default() {
            return Err(ApiError::bad_request(format!(
                "MAC address {mac} is not the address of one interface"
            )));
        }
        macs.push(mac.to_string());
    }
    if macs.is_empty() {
        macs.push(MacAddress::from_uuid(new.uuid).to_string());
    }
    set(new, MACS, &MacAddressesType { mac_address: macs })?;
    address_pairs(new)
}

fn address_pairs(new: &Object) -> Result<(), ApiError> {
    let pairs: Option<AllowedAddressPairs> =
        property(new, "virtual_machine_interface_allowed_address_pairs")?;
    for pair in pairs.unwrap_or_default().allowed_address_pair {
        if let Some(mac) = pair.mac.as_deref().filter(|m| !m.is_empty()) {
            mac.parse::<MacAddress>()?;
        }
        let Some(ip) = pair.ip else { continue };
        let (prefix, length) = (ip.ip_prefix.unwrap_or_default(), ip.ip_prefix_len.unwrap_or(0));
        let least = if prefix.contains(':') { MIN_PAIR_PREFIX_V6 } else { MIN_PAIR_PREFIX_V4 };
        if pair.address_mode.as_deref() == Some("active-standby") && length < least {
            return Err(ApiError::bad_request(format!(
                "IP Prefix length {length} of allowed address pair {prefix} is below {least} (active-standby)"
            )));
        }
    }
    Ok(())
}
