//! From the written file to the plan: names are looked up, and what cannot be found is named with its line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_saphyr::Spanned;
use weft_client::documents::{self, Document};
use weft_model::{ObjectType, defaults};

use super::expand;
use super::format::{Family, LabFile, Workload};
use super::plan::{HostPlan, Plan, WorkloadPlan, nth_address};
use super::steps;
use crate::etcd;

/// Most hosts of a lab: their addresses start at the eleventh of the underlay.
const MAX_HOSTS: usize = 200;
/// Position of the first host's address in the underlay.
const FIRST_HOST_ADDRESS: u32 = 11;
/// Longest name of a lab, host or workload.
const MAX_NAME: usize = 40;
/// Names of the lab's own namespaces.
const RESERVED: [&str; 2] = ["controller", "underlay"];

/// Something wrong at a line.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) line: u64,
    pub(crate) text: String,
}

/// The same as a result.
pub(crate) fn mistake<T>(line: u64, text: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { line, text: text.into() })
}

/// Names that later parts of the file may use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) hosts: Vec<String>,
    pub(crate) workloads: Vec<String>,
    /// Networks by full name, with the families of their subnets.
    pub(crate) networks: BTreeMap<Vec<String>, BTreeSet<Family>>,
    pub(crate) security_groups: Vec<Vec<String>>,
    /// Members of the store.
    pub(crate) store: Vec<String>,
}

/// Turns the written file into a plan.
pub(crate) fn plan(file: &LabFile, default_name: &str) -> Result<Plan, Mistake> {
    let name = file.name.clone().unwrap_or_else(|| default_name.to_owned());
    check_name("lab", &name, 1)?;
    check_underlay(file)?;
    let mut names =
        Names { hosts: hosts(file)?, store: etcd::members(file.controller.store), ..Names::default() };
    let objects = objects(file, &mut names)?;
    let workloads = workloads(file, &mut names)?;
    let families = |name: &str| {
        workloads.iter().find(|w| w.name == name).map(|w| w.families.clone()).unwrap_or_default()
    };
    let steps = steps::plan(&file.steps, &names, &families)?;
    let hosts = (FIRST_HOST_ADDRESS..).zip(&names.hosts);
    let hosts =
        hosts.map(|(n, name)| HostPlan { name: name.clone(), address: nth_address(&file.underlay, n) });
    Ok(Plan {
        name,
        description: file.description.clone(),
        underlay: file.underlay.clone(),
        store: file.controller.store,
        hosts: hosts.collect(),
        objects,
        workloads,
        steps,
    })
}

fn check_name(what: &str, name: &str, line: u64) -> Result<(), Mistake> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fine) || name.starts_with('-') {
        return mistake(
            line,
            format!("{what} name {name:?}: 1 to {MAX_NAME} letters, digits and dashes are allowed"),
        );
    }
    if RESERVED.contains(&name) {
        return mistake(line, format!("{what} name {name}: reserved for the lab itself"));
    }
    Ok(())
}

fn check_underlay(file: &LabFile) -> Result<(), Mistake> {
    if !(1280..=9216).contains(&file.underlay.mtu) {
        return mistake(1, format!("underlay: mtu {} is not within 1280 to 9216", file.underlay.mtu));
    }
    if file.underlay.subnet.prefix_len() > 24 {
        return mistake(1, format!("underlay: subnet {} is smaller than /24", file.underlay.subnet));
    }
    if file.underlay.cable && file.hosts.len() != 2 {
        return mistake(1, format!("underlay: a cable joins 2 hosts, not {}", file.hosts.len()));
    }
    Ok(())
}

fn hosts(file: &LabFile) -> Result<Vec<String>, Mistake> {
    let mut seen = Vec::new();
    for host in &file.hosts {
        let line = host.referenced.line();
        check_name("host", &host.value, line)?;
        if seen.contains(&host.value) {
            return mistake(line, format!("host {} is there twice", host.value));
        }
        seen.push(host.value.clone());
    }
    match seen.len() {
        0 => mistake(1, "hosts: at least one is needed"),
        n if n > MAX_HOSTS => mistake(1, format!("hosts: {n} are more than {MAX_HOSTS}")),
        _ => Ok(seen),
    }
}

/// Short forms and verbatim objects, in the order tenants, networks, groups, policies, objects.
fn objects(file: &LabFile, names: &mut Names) -> Result<Vec<Document>, Mistake> {
    let mut tenants: Vec<String> = vec![defaults::PROJECT.to_owned()];
    let mut made = Vec::new();
    for tenant in &file.tenants {
        check_name("tenant", &tenant.value, tenant.referenced.line())?;
        tenants.push(tenant.value.clone());
        made.push((tenant.referenced.line(), expand::tenant(&tenant.value)));
    }
    let verbatim = verbatim(file)?;
    tenants.extend(
        verbatim
            .iter()
            .filter(|(_, d)| d.kind == ObjectType::Project)
            .map(|(_, d)| d.fq_name[d.fq_name.len() - 1].clone()),
    );
    for network in &file.networks {
        let line = network.referenced.line();
        check_tenant(network.value.tenant.as_deref(), &tenants, line)?;
        made.push((line, expand::network(&network.value)));
    }
    for group in &file.security_groups {
        let line = group.referenced.line();
        check_tenant(group.value.tenant.as_deref(), &tenants, line)?;
        let object = expand::security_group(&group.value).map_err(|text| Mistake { line, text })?;
        names.security_groups.push(full_name(group.value.tenant.as_deref(), &group.value.name));
        made.push((line, object));
    }
    let mut documents = Vec::new();
    for (line, object) in made {
        documents.extend(documents::from_map(object).map_err(|e| Mistake { line, text: e.to_string() })?);
    }
    documents.extend(verbatim.into_iter().map(|(_, document)| document));
    learn(&documents, names);
    policies(file, &tenants, names, &mut documents)?;
    Ok(documents)
}

fn verbatim(file: &LabFile) -> Result<Vec<(u64, Document)>, Mistake> {
    let mut found = Vec::new();
    for object in &file.objects {
        let line = object.referenced.line();
        let documents = documents::from_map(object.value.clone());
        let documents = documents.map_err(|e| Mistake { line, text: e.to_string() })?;
        found.extend(documents.into_iter().map(|d| (line, d)));
    }
    Ok(found)
}

/// Remembers the networks and security groups among the objects.
fn learn(documents: &[Document], names: &mut Names) {
    for document in documents {
        match document.kind {
            ObjectType::VirtualNetwork => {
                names.networks.insert(document.fq_name.clone(), families_of(document));
            }
            ObjectType::SecurityGroup if !names.security_groups.contains(&document.fq_name) => {
                names.security_groups.push(document.fq_name.clone());
            }
            _ => {}
        }
    }
}

fn families_of(network: &Document) -> BTreeSet<Family> {
    let list = |v: Option<&Value>| v.and_then(Value::as_array).cloned().unwrap_or_default();
    let ipams = list(network.fields.get("network_ipam_refs"));
    let subnets = ipams.iter().flat_map(|r| list(r.pointer("/attr/ipam_subnets")));
    subnets
        .filter_map(|s| s.pointer("/subnet/ip_prefix").and_then(Value::as_str).map(|p| p.contains(':')))
        .map(|v6| if v6 { Family::V6 } else { Family::V4 })
        .collect()
}

fn policies(
    file: &LabFile,
    tenants: &[String],
    names: &Names,
    documents: &mut Vec<Document>,
) -> Result<(), Mistake> {
    for policy in &file.policies {
        let line = policy.referenced.line();
        let tenant = policy.value.tenant.as_deref();
        check_tenant(tenant, tenants, line)?;
        let network = |name: &str| find_network(names, tenant, name).map_err(|text| Mistake { line, text });
        let object = expand::policy(&policy.value, &network)?;
        let made = documents::from_map(object).map_err(|e| Mistake { line, text: e.to_string() })?;
        documents.extend(made);
        let name = full_name(tenant, &policy.value.name);
        for attached in &policy.value.networks {
            let target = network(attached)?;
            let found =
                documents.iter_mut().find(|d| d.kind == ObjectType::VirtualNetwork && d.fq_name == target);
            if let Some(document) = found {
                expand::attach(&mut document.fields, &name);
            }
        }
    }
    Ok(())
}

fn check_tenant(tenant: Option<&str>, tenants: &[String], line: u64) -> Result<(), Mistake> {
    match tenant {
        Some(name) if !tenants.iter().any(|t| t == name) => {
            mistake(line, format!("unknown tenant {name}; known: {}", tenants.join(", ")))
        }
        _ => Ok(()),
    }
}

/// `default-domain:<tenant>:<name>`.
pub(crate) fn full_name(tenant: Option<&str>, name: &str) -> Vec<String> {
    [defaults::DOMAIN, tenant.unwrap_or(defaults::PROJECT), name].map(str::to_owned).to_vec()
}

/// The network of that name: first in the tenant itself, else the one whose full name ends so.
pub(crate) fn find_network(names: &Names, tenant: Option<&str>, name: &str) -> Result<Vec<String>, String> {
    find("network", names.networks.keys(), tenant, name)
}

fn find<'a>(
    what: &str,
    known: impl Iterator<Item = &'a Vec<String>> + Clone,
    tenant: Option<&str>,
    name: &str,
) -> Result<Vec<String>, String> {
    let parts: Vec<String> = name.split([':', '/']).map(str::to_owned).collect();
    let own = full_name(tenant, name);
    if tenant.is_some() && known.clone().any(|n| *n == own) {
        return Ok(own);
    }
    let fits: Vec<&Vec<String>> = known.clone().filter(|n| n.ends_with(&parts)).collect();
    let words = |list: &[&Vec<String>]| list.iter().map(|n| n.join(":")).collect::<Vec<_>>().join(", ");
    match fits.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(format!("unknown {what} {name}; known: {}", words(&known.collect::<Vec<_>>()))),
        several => Err(format!("{what} {name} could be any of {}: write tenant/{name}", words(several))),
    }
}

fn workloads(file: &LabFile, names: &mut Names) -> Result<Vec<WorkloadPlan>, Mistake> {
    let mut plans = Vec::new();
    for Spanned { value: workload, referenced, .. } in &file.workloads {
        let line = referenced.line();
        check_name("workload", &workload.name, line)?;
        if names.hosts.contains(&workload.name) || names.workloads.contains(&workload.name) {
            return mistake(line, format!("workload {}: that name is taken", workload.name));
        }
        known("host", &workload.host, &names.hosts, line)?;
        plans.push(workload_plan(workload, names).map_err(|text| Mistake { line, text })?);
        names.workloads.push(workload.name.clone());
    }
    Ok(plans)
}

fn workload_plan(workload: &Workload, names: &Names) -> Result<WorkloadPlan, String> {
    let tenant = workload.tenant.as_deref();
    let network = find_network(names, tenant, &workload.network)?;
    let families = names.networks.get(&network).cloned().unwrap_or_default();
    let lacks = |family: &str| format!("workload {}: its network has no {family} subnet", workload.name);
    if workload.address.is_some() && !families.contains(&Family::V4) {
        return Err(lacks("IPv4"));
    }
    if workload.address6.is_some() && !families.contains(&Family::V6) {
        return Err(lacks("IPv6"));
    }
    let project = match tenant {
        Some(tenant) => vec![defaults::DOMAIN.to_owned(), tenant.to_owned()],
        None => network[..network.len().saturating_sub(1)].to_vec(),
    };
    let owner = project.last().map(String::as_str);
    let groups = workload.security_groups.iter();
    let security_groups = groups
        .map(|g| find("security group", names.security_groups.iter(), owner, g))
        .collect::<Result<_, _>>()?;
    Ok(WorkloadPlan {
        name: workload.name.clone(),
        host: workload.host.clone(),
        project,
        network,
        families,
        address: workload.address,
        address6: workload.address6,
        security_groups,
    })
}

/// Complains when a name is not among the known ones.
pub(crate) fn known(what: &str, name: &str, among: &[String], line: u64) -> Result<(), Mistake> {
    if among.iter().any(|n| n == name) {
        return Ok(());
    }
    mistake(line, format!("unknown {what} {name}; known: {}", among.join(", ")))
}
