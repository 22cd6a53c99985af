//! virtual-DNS and virtual-DNS-record: names and data that a DNS server can serve.

use super::values::{at, prop};
use super::{Context, property};
use crate::ApiError;
use crate::authz::Access;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weft_model::types::{VirtualDnsRecordType, VirtualDnsType};
use weft_model::{FqName, Object, ObjectType};

pub(super) async fn put_server(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let data: VirtualDnsType = property(new, "virtual_DNS_data")?.unwrap_or_default();
    let domain = data.domain_name.unwrap_or_default();
    if !is_name(&domain, false) {
        return Err(ApiError::bad_request(format!(
            "virtual_DNS_data.domain_name {domain:?} is not a domain name"
        )));
    }
    ttl(data.default_ttl_seconds, "virtual_DNS_data.default_ttl_seconds")?;
    let Some(next) = data.next_virtual_DNS.filter(|n| !n.is_empty()) else { return Ok(()) };
    if next.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let held = old.is_some_and(|old| {
        at(prop(old, "virtual_DNS_data"), &["next_virtual_DNS"]).as_str() == Some(next.as_str())
    });
    let name = FqName::from(next.as_str());
    if !held && ctx.named(ObjectType::VirtualDns, &name, Access::READ).await?.is_none() {
        let message =
            format!("next_virtual_DNS {next:?} is neither an address nor a virtual-DNS that exists");
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

pub(super) fn put_record(new: &Object) -> Result<(), ApiError> {
    let record: VirtualDnsRecordType = property(new, "virtual_DNS_record_data")?.unwrap_or_default();
    ttl(record.record_ttl_seconds, "virtual_DNS_record_data.record_ttl_seconds")?;
    let bad = |field: &str, value: &str, expected: &str| {
        let message = format!("virtual_DNS_record_data.{field} {value:?} is not {expected}");
        Err(ApiError::bad_request(message))
    };
    let name = record.record_name.unwrap_or_default();
    let data = record.record_data.unwrap_or_default();
    let kind = record.record_type.unwrap_or_default();
    let address_name = kind == "PTR" && name.parse::<IpAddr>().is_ok();
    if name != "@" && !address_name && !is_name(&name, true) {
        return bad("record_name", &name, "a domain name");
    }
    match kind.as_str() {
        "A" if data.parse::<Ipv4Addr>().is_err() => bad("record_data", &data, "an IPv4 address"),
        "AAAA" if data.parse::<Ipv6Addr>().is_err() => bad("record_data", &data, "an IPv6 address"),
        // A name server may be another virtual-DNS, given by its fully qualified name.
        "CNAME" | "PTR" | "MX" if !is_name(&data, false) => bad("record_data", &data, "a domain name"),
        "NS" if data.is_empty() => bad("record_data", &data, "a name server"),
        "" => bad("record_type", "", "given"),
        _ => match record.record_mx_preference {
            Some(value) if !(0..=65535).contains(&value) => {
                bad("record_mx_preference", &value.to_string(), "0 to 65535")
            }
            _ => Ok(()),
        },
    }
}

/// RFC 2181, section 8: 31 bits.
fn ttl(value: Option<i64>, field: &str) -> Result<(), ApiError> {
    match value {
        Some(seconds) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            Err(ApiError::bad_request(format!("{field} {seconds} is not 0 to {}", i32::MAX)))
        }
        _ => Ok(()),
    }
}

/// Whether the text is a domain name (RFC 1035, section 2.3.4; underscores as services use them).
fn is_name(text: &str, wildcard: bool) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let name = if wildcard { name.strip_prefix("*.").unwrap_or(name) } else { name };
    let label = |l: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        l.len() <= 63 && edge(l.chars().next()) && edge(l.chars().last()) && l.chars().all(legal)
    };
    !name.is_empty() && name.len() <= 253 && name.split('.').all(label)
}
