//! Answering one question as seen from one network. Pure: what must be asked of a server outside is returned as such.

use std::net::SocketAddr;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use ipnet::IpNet;

use super::{Domain, HOST_TTL, Method, NEGATIVE_TTL, Network, Next, Zones};
use crate::names;

/// Aliases followed for one question.
const MAX_ALIASES: usize = 8;
/// Virtual DNSs searched for one question.
const MAX_CHAIN: usize = 8;
/// Records of one name in an answer; order changes from answer to answer, so all of more get their turn.
const MAX_RECORDS: usize = 24;

/// An answer that is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The response code.
    pub code: ResponseCode,
    /// Aliases on the way, then the records asked for.
    pub answers: Vec<Record>,
    /// The start of authority, in negative answers.
    pub authorities: Vec<Record>,
}

/// What to do with a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// Answer it so.
    Answer(Answer),
    /// Ask outside for `name` and put `aliases` before what comes back.
    Forward {
        /// Aliases that led from the question to `name`.
        aliases: Vec<Record>,
        /// The name to ask for.
        name: Name,
        /// The server to ask; `None` for the forwarders of the service.
        server: Option<SocketAddr>,
    },
}

impl Resolution {
    fn code(code: ResponseCode) -> Self {
        Self::Answer(Answer { code, answers: Vec::new(), authorities: Vec::new() })
    }
}

/// What is known about one name.
enum Lookup {
    /// Records of the type asked for; none if the name exists without any.
    Records(Vec<Record>, Vec<Record>),
    Alias(Box<Record>, Name),
    /// The name would have to be ours and is not there.
    Absent(Vec<Record>),
    /// Not ours.
    Outside,
}

/// All that one network may see.
struct View<'a> {
    network: Option<&'a Network>,
    /// Its virtual DNS, that one's next, and so on.
    chain: Vec<&'a Domain>,
    /// The server the chain ends with.
    server: Option<SocketAddr>,
    turn: u64,
}

impl Zones {
    /// Answers `query` for the network named; `None` is someone outside of any network. `turn` should differ from
    /// question to question: it decides the order of records of virtual DNSs whose order is not fixed.
    ///
    /// A network that is not known (yet) gets SERVFAIL, so that the resolver tries again.
    pub fn resolve(&self, network: Option<&str>, query: &Query, turn: u64) -> Resolution {
        if query.query_class() != DNSClass::IN || is_transfer(query.query_type()) {
            return Resolution::code(ResponseCode::Refused);
        }
        let name = query.name().to_lowercase();
        match network {
            None => self.resolve_outside(&name, query.query_type(), turn),
            Some(network) => match self.networks.get(network) {
                None => Resolution::code(ResponseCode::ServFail),
                Some(network) if network.method == Method::None => Resolution::code(ResponseCode::Refused),
                Some(network) => self.view(network, turn).resolve(name, query.query_type()),
            },
        }
    }

    fn view<'a>(&'a self, network: &'a Network, turn: u64) -> View<'a> {
        let (mut chain, mut server): (Vec<&Domain>, _) = (Vec::new(), None);
        let mut next = network.virtual_dns.as_ref();
        while let Some(domain) = next.and_then(|name| self.domains.get(name)) {
            if chain.len() == MAX_CHAIN || chain.iter().any(|seen| std::ptr::eq(*seen, &**domain)) {
                break;
            }
            chain.push(domain);
            next = match &domain.next {
                Some(Next::Domain(name)) => Some(name),
                Some(Next::Server(address)) => {
                    server = Some(*address);
                    None
                }
                None => None,
            };
        }
        View { network: Some(network), chain, server, turn }
    }

    /// Only virtual DNSs that say so can be seen from outside, and nothing is asked elsewhere.
    fn resolve_outside(&self, name: &Name, query_type: RecordType, turn: u64) -> Resolution {
        let visible = self.domains.values().filter(|domain| domain.external && domain.name.zone_of(name));
        let Some(best) = visible.max_by_key(|domain| names::label_count(&domain.name)) else {
            return Resolution::code(ResponseCode::Refused);
        };
        match (View { network: None, chain: vec![best], server: None, turn })
            .resolve(name.clone(), query_type)
        {
            Resolution::Forward { aliases, .. } => Resolution::Answer(Answer {
                code: ResponseCode::NoError,
                answers: aliases,
                authorities: Vec::new(),
            }),
            answer => answer,
        }
    }
}

fn is_transfer(query_type: RecordType) -> bool {
    matches!(query_type, RecordType::AXFR | RecordType::IXFR | RecordType::OPT | RecordType::ZERO)
}

impl View<'_> {
    fn resolve(&self, mut name: Name, query_type: RecordType) -> Resolution {
        let mut answers = Vec::new();
        for _ in 0..=MAX_ALIASES {
            let (code, authorities) = match self.lookup(&name, query_type) {
                Lookup::Alias(record, target) => {
                    answers.push(*record);
                    name = target;
                    continue;
                }
                Lookup::Records(records, authorities) => {
                    answers.extend(records);
                    (ResponseCode::NoError, authorities)
                }
                Lookup::Absent(authorities) => (ResponseCode::NXDomain, authorities),
                Lookup::Outside if self.network.is_some_and(|n| n.method == Method::Tenant) => (
                    if answers.is_empty() { ResponseCode::Refused } else { ResponseCode::NoError },
                    Vec::new(),
                ),
                Lookup::Outside => {
                    return Resolution::Forward { aliases: answers, name, server: self.server };
                }
            };
            return Resolution::Answer(Answer { code, answers, authorities });
        }
        Resolution::code(ResponseCode::ServFail)
    }

    fn lookup(&self, name: &Name, query_type: RecordType) -> Lookup {
        let found = self
            .host(name, query_type)
            .or_else(|| self.record(name, query_type))
            .or_else(|| self.pointer(name, query_type));
        if let Some(found) = found {
            return found;
        }
        let inside = self.chain.iter().find(|domain| domain.name.zone_of(name));
        let own = self.host_domain().filter(|domain| domain.zone_of(name));
        match (inside, own) {
            (Some(domain), _) if domain.name == *name => Lookup::Records(vec![], vec![domain.soa()]),
            (Some(domain), _) => Lookup::Absent(vec![domain.soa()]),
            (None, Some(domain)) if domain == name => {
                Lookup::Records(vec![], vec![soa(domain, NEGATIVE_TTL)])
            }
            (None, Some(domain)) => Lookup::Absent(vec![soa(domain, NEGATIVE_TTL)]),
            // The bare name of a workload that is not there is nobody else's business.
            (None, None) if is_bare(name) && is_address(query_type) => Lookup::Absent(vec![]),
            (None, None) => Lookup::Outside,
        }
    }

    /// The domain the workloads of the network are in.
    fn host_domain(&self) -> Option<&Name> {
        let own = self.network.map(|network| &network.domain);
        self.network.and(self.chain.first()).map(|domain| &domain.name).or(own)
    }

    fn host_ttl(&self) -> u32 {
        self.chain.first().map_or(HOST_TTL, |domain| domain.ttl)
    }

    /// A workload, by its bare name or in the network's domain.
    fn host(&self, name: &Name, query_type: RecordType) -> Option<Lookup> {
        let (network, domain) = (self.network?, self.host_domain()?);
        let bare = if is_bare(name) { Some(name.clone()) } else { names::strip(name, domain) };
        let addresses = network.hosts.get(&bare?)?;
        let data = addresses.iter().map(|address| match address {
            std::net::IpAddr::V4(address) => RData::A(A(*address)),
            std::net::IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
        });
        let wanted = data.filter(|data| matches(query_type, data.record_type()));
        let records = wanted.map(|data| Record::from_rdata(name.clone(), self.host_ttl(), data)).collect();
        let fixed = self.chain.first().is_some_and(|domain| domain.fixed_order);
        let records = self.ordered(records, fixed);
        let nothing = if records.is_empty() { vec![self.host_soa(domain)] } else { vec![] };
        // A record of the virtual DNS with the same name may have the other types.
        if records.is_empty()
            && matches!(self.record(name, query_type), Some(Lookup::Records(..) | Lookup::Alias(..)))
        {
            return None;
        }
        Some(Lookup::Records(records, nothing))
    }

    fn host_soa(&self, domain: &Name) -> Record {
        self.chain.first().map_or_else(|| soa(domain, NEGATIVE_TTL), |domain| domain.soa())
    }

    /// A record of the first virtual DNS in the chain that has the name; the first also by its bare name.
    fn record(&self, name: &Name, query_type: RecordType) -> Option<Lookup> {
        let mut exists = None;
        for (position, domain) in self.chain.iter().enumerate() {
            let full = if position == 0 && is_bare(name) { names::join(name, &domain.name) } else { None };
            let Some(entries) = domain.records.get(full.as_ref().unwrap_or(name)) else { continue };
            let record =
                |entry: &super::Entry| Record::from_rdata(name.clone(), entry.ttl, entry.data.clone());
            let wanted = entries.iter().filter(|entry| matches(query_type, entry.data.record_type()));
            let records = self.ordered(wanted.map(record).collect(), domain.fixed_order);
            if !records.is_empty() {
                return Some(Lookup::Records(records, vec![]));
            }
            for entry in entries {
                if let RData::CNAME(target) = &entry.data {
                    return Some(Lookup::Alias(Box::new(record(entry)), target.0.to_lowercase()));
                }
            }
            exists.get_or_insert_with(|| Lookup::Records(vec![], vec![domain.soa()]));
        }
        exists
    }

    /// The workload that has an address; an address of the network's own that nobody has.
    fn pointer(&self, name: &Name, query_type: RecordType) -> Option<Lookup> {
        let (network, domain) = (self.network?, self.host_domain()?);
        let asked = name.parse_arpa_name().ok()?;
        let whole = asked.prefix_len() == asked.max_prefix_len();
        let reverse = self.chain.first().is_none_or(|domain| domain.reverse);
        if let Some(names) = network.pointers.get(&asked.addr()).filter(|_| whole && reverse) {
            let wanted = names.iter().filter(|_| matches(query_type, RecordType::PTR));
            let full = wanted.filter_map(|host| names::join(host, domain));
            let ttl = self.host_ttl();
            let records =
                full.map(|host| Record::from_rdata(name.clone(), ttl, RData::PTR(PTR(host)))).collect();
            return Some(Lookup::Records(self.ordered(records, true), vec![]));
        }
        let overlaps = |subnet: &IpNet| subnet.contains(&asked) || asked.contains(subnet);
        let ours = network.subnets.iter().any(overlaps);
        match (ours, whole) {
            (false, _) => None,
            (true, true) => Some(Lookup::Absent(vec![])),
            // Part of the tree above our addresses; a short prefix also covers others' addresses.
            (true, false) => {
                network.subnets.iter().any(|s| s.contains(&asked)).then(|| Lookup::Records(vec![], vec![]))
            }
        }
    }

    fn ordered(&self, mut records: Vec<Record>, fixed: bool) -> Vec<Record> {
        if !fixed && records.len() > 1 {
            let by = self.turn % records.len() as u64;
            records.rotate_left(by as usize);
        }
        records.truncate(MAX_RECORDS);
        records
    }
}

impl Domain {
    fn soa(&self) -> Record {
        soa(&self.name, self.negative_ttl)
    }
}

/// The start of authority of a domain that is ours. Nobody transfers it, so its times mean little.
fn soa(domain: &Name, negative_ttl: u32) -> Record {
    let under = |label: &str| domain.prepend_label(label).unwrap_or_else(|_| domain.clone());
    let data = SOA::new(under("ns"), under("hostmaster"), 1, 3600, 600, 86_400, negative_ttl);
    Record::from_rdata(domain.clone(), negative_ttl, RData::SOA(data))
}

fn matches(query_type: RecordType, record_type: RecordType) -> bool {
    query_type == RecordType::ANY || query_type == record_type
}

fn is_bare(name: &Name) -> bool {
    names::label_count(name) == 1
}

fn is_address(query_type: RecordType) -> bool {
    matches!(query_type, RecordType::A | RecordType::AAAA)
}
