//! A virtual DNS and its records, from configuration to lookup form.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR};
use hickory_proto::rr::{Name, RData};
use weft_model::types::{VirtualDnsRecordType, VirtualDnsType};

use super::{Domain, Entry, NEGATIVE_TTL, Next};
use crate::names;

/// Port of a server that is given by address alone.
const SERVER_PORT: u16 = 53;
/// Seconds a record may be cached where neither it nor its virtual DNS says.
const RECORD_TTL: u32 = 86_400;
/// Preference of a mail exchanger that has none.
const MX_PREFERENCE: u16 = 10;

/// The lookup form; `None` if the domain name is missing or no domain name.
pub(super) fn domain<'a>(
    data: &VirtualDnsType,
    records: impl Iterator<Item = &'a VirtualDnsRecordType>,
) -> Option<Domain> {
    let name = names::domain(data.domain_name.as_deref()?)?;
    let ttl = seconds(data.default_ttl_seconds).unwrap_or(RECORD_TTL);
    let negative = data.soa_record.as_ref().and_then(|soa| seconds(soa.negative_cache_ttl_seconds));
    let mut domain = Domain {
        ttl,
        negative_ttl: negative.unwrap_or(NEGATIVE_TTL),
        fixed_order: data.record_order.as_deref() == Some("fixed"),
        reverse: data.reverse_resolution.unwrap_or(true),
        external: data.external_visible.unwrap_or(false),
        next: data.next_virtual_DNS.as_deref().and_then(next),
        records: BTreeMap::new(),
        name,
    };
    for record in records {
        if let Some((owner, entry)) = entry(record, &domain) {
            add(&mut domain, owner, entry);
        }
    }
    Some(domain)
}

fn seconds(value: Option<i64>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok())
}

/// The next virtual DNS by name, or a server by address.
fn next(text: &str) -> Option<Next> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Next::Server(SocketAddr::new(address, SERVER_PORT)));
    }
    (!text.is_empty()).then(|| Next::Domain(text.to_owned()))
}

fn entry(record: &VirtualDnsRecordType, domain: &Domain) -> Option<(Name, Entry)> {
    let data = record.record_data.as_deref()?.trim();
    let target = || names::target(data, &domain.name);
    let data = match record.record_type.as_deref()? {
        "A" => RData::A(A(data.parse().ok()?)),
        "AAAA" => RData::AAAA(AAAA(data.parse().ok()?)),
        "CNAME" => RData::CNAME(CNAME(target()?)),
        "PTR" => RData::PTR(PTR(target()?)),
        "NS" => RData::NS(NS(target()?)),
        "MX" => {
            let preference = record.record_mx_preference.and_then(|p| u16::try_from(p).ok());
            RData::MX(MX::new(preference.unwrap_or(MX_PREFERENCE), target()?))
        }
        _ => return None,
    };
    let name = record.record_name.as_deref()?.trim();
    let owner = match name.parse::<IpAddr>() {
        Ok(address) if matches!(data, RData::PTR(_)) => Name::from(address),
        _ => {
            let name = name.trim_end_matches('.');
            let reverse = name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa");
            if reverse {
                names::domain(name)?
            } else {
                names::owner(record.record_name.as_deref()?, &domain.name)?
            }
        }
    };
    let ttl = seconds(record.record_ttl_seconds).unwrap_or(domain.ttl);
    Some((owner, Entry { ttl, data }))
}

/// Adds a record, and the names between it and the domain, which exist although they have none.
fn add(domain: &mut Domain, owner: Name, entry: Entry) {
    let mut between = owner.base_name();
    while names::strip(&between, &domain.name).is_some() {
        domain.records.entry(between.clone()).or_default();
        between = between.base_name();
    }
    let entries = domain.records.entry(owner).or_default();
    if !entries.contains(&entry) {
        entries.push(entry);
        // Whatever order the records were created in, the zone is the same.
        entries.sort_by(|a, b| a.data.cmp(&b.data).then(a.ttl.cmp(&b.ttl)));
    }
}
