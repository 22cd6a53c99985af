//! Subnets and address management as the services need them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use weft_model::types::{DhcpOptionsListType, IpamSubnetType, IpamType, RouteTableType};

use super::acl::subnet_of;
use crate::services::RawOption;

/// Option number of domain name servers, which `dhcp_option_list` may set by name or number.
const OPTION_DNS: u8 = 6;
/// Option number of the domain name.
const OPTION_DOMAIN: u8 = 15;
/// Host routes kept per subnet.
const MAX_HOST_ROUTES: usize = 64;

/// Who answers a network's DNS queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum DnsMethod {
    /// The controller's DNS service, by forwarding.
    #[default]
    Default,
    /// The tenant's own servers.
    Tenant,
    /// A virtual DNS.
    Virtual,
    /// Nobody.
    None,
}

/// The address management that a subnet belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ipam {
    /// Who answers DNS.
    pub dns_method: DnsMethod,
    /// The tenant's name servers.
    pub tenant_servers: Vec<IpAddr>,
    /// The domain of its virtual DNS.
    pub domain: Option<String>,
    /// DHCP options for all its subnets.
    pub options: Vec<RawOption>,
}

impl Ipam {
    /// From `network_ipam_mgmt`, and the domain of the virtual DNS it refers to.
    pub fn from_config(mgmt: Option<&IpamType>, domain: Option<String>) -> Self {
        let Some(mgmt) = mgmt else {
            return Self { domain, ..Self::default() };
        };
        let dns_method = match mgmt.ipam_dns_method.as_deref() {
            Some("tenant-dns-server") => DnsMethod::Tenant,
            Some("virtual-dns-server") => DnsMethod::Virtual,
            Some("none") => DnsMethod::None,
            _ => DnsMethod::Default,
        };
        let servers = mgmt.ipam_dns_server.as_ref().and_then(|s| s.tenant_dns_server_address.as_ref());
        let addresses = servers.map(|s| s.ip_address.as_slice()).unwrap_or_default();
        Self {
            dns_method,
            tenant_servers: addresses.iter().filter_map(|a| a.parse().ok()).collect(),
            domain,
            options: options_of(mgmt.dhcp_option_list.as_ref()),
        }
    }
}

/// One subnet of a virtual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subnet {
    /// Its addresses.
    pub prefix: IpNet,
    /// The gateway, answered for by the vRouter.
    pub gateway: Option<IpAddr>,
    /// The service address: DNS queries to it are trapped.
    pub dns_server: Option<IpAddr>,
    /// Name servers that workloads are given instead.
    pub nameservers: Vec<IpAddr>,
    /// Whether DHCP answers.
    pub dhcp: bool,
    /// Host routes for option 121.
    pub host_routes: Vec<(IpNet, IpAddr)>,
    /// DHCP options.
    pub options: Vec<RawOption>,
    /// Its address management.
    pub ipam: Ipam,
}

impl Subnet {
    /// From an element of `ipam_subnets`. `None` without a valid prefix (a subnet-less reference to an IPAM).
    pub fn from_config(subnet: &IpamSubnetType, ipam: &Ipam) -> Option<Self> {
        let prefix = subnet.subnet.as_ref().and_then(subnet_of)?;
        // 0.0.0.0 says "no gateway" in the existing system.
        let address = |text: &Option<String>| {
            let ip: IpAddr = text.as_deref()?.parse().ok()?;
            (!ip.is_unspecified() && ip.is_ipv4() == prefix.addr().is_ipv4()).then_some(ip)
        };
        Some(Self {
            prefix,
            gateway: address(&subnet.default_gateway),
            dns_server: address(&subnet.dns_server_address),
            nameservers: subnet.dns_nameservers.iter().filter_map(|a| a.parse().ok()).collect(),
            dhcp: subnet.enable_dhcp.unwrap_or(true),
            host_routes: host_routes(subnet.host_routes.as_ref(), prefix),
            options: options_of(subnet.dhcp_option_list.as_ref()),
            ipam: ipam.clone(),
        })
    }

    /// The name servers a workload is told: configured ones, else by the address management's method.
    pub fn servers_for_workloads(&self) -> Vec<IpAddr> {
        let same = |a: &&IpAddr| a.is_ipv4() == self.prefix.addr().is_ipv4();
        let configured = self.nameservers.iter();
        let own: Vec<IpAddr> = configured.filter(same).filter(|a| !a.is_unspecified()).copied().collect();
        if !own.is_empty() {
            return own;
        }
        match self.ipam.dns_method {
            DnsMethod::Default | DnsMethod::Virtual => self.dns_server.into_iter().collect(),
            DnsMethod::Tenant => self.ipam.tenant_servers.iter().filter(same).copied().collect(),
            DnsMethod::None => Vec::new(),
        }
    }

    /// Options for workloads: the subnet's own before the address management's.
    pub fn options_for_workloads(&self) -> Vec<RawOption> {
        let mut all = self.ipam.options.clone();
        all.retain(|o| !self.options.iter().any(|own| own.code == o.code));
        all.extend(self.options.iter().cloned());
        all
    }
}

fn host_routes(table: Option<&RouteTableType>, subnet: IpNet) -> Vec<(IpNet, IpAddr)> {
    let routes = table.map(|t| t.route.as_slice()).unwrap_or_default();
    routes
        .iter()
        .filter_map(|route| {
            let prefix: IpNet = route.prefix.as_deref()?.parse().ok()?;
            let next_hop: IpAddr = route.next_hop.as_deref()?.parse().ok()?;
            let same = prefix.addr().is_ipv4() == subnet.addr().is_ipv4()
                && next_hop.is_ipv4() == prefix.addr().is_ipv4();
            same.then(|| (prefix.trunc(), next_hop))
        })
        .take(MAX_HOST_ROUTES)
        .collect()
}

/// Options by number, and the common ones by the names that the existing system uses.
fn options_of(list: Option<&DhcpOptionsListType>) -> Vec<RawOption> {
    let options = list.map(|l| l.dhcp_option.as_slice()).unwrap_or_default();
    options
        .iter()
        .filter_map(|o| {
            let code = option_code(o.dhcp_option_name.as_deref()?)?;
            let value = o.dhcp_option_value.as_deref().unwrap_or_default();
            let data = match o.dhcp_option_value_bytes.as_deref().filter(|b| !b.is_empty()) {
                Some(bytes) => {
                    bytes.split_whitespace().map(|b| b.parse().ok()).collect::<Option<Vec<u8>>>()?
                }
                None => option_data(code, value)?,
            };
            (data.len() <= 255).then_some(RawOption { code, data })
        })
        .collect()
}

fn option_code(name: &str) -> Option<u8> {
    let by_name = match name {
        "domain-name-servers" => OPTION_DNS,
        "domain-name" => OPTION_DOMAIN,
        "ntp-servers" => 42,
        "time-servers" => 4,
        "host-name" => 12,
        "interface-mtu" => 26,
        "broadcast-address" => 28,
        "tftp-server-name" => 66,
        "bootfile-name" => 67,
        "domain-search" => 119,
        number => number.parse().ok()?,
    };
    // What the protocol or the interface itself decides cannot be configured.
    (!matches!(by_name, 0 | 1 | 50..=55 | 58 | 59 | 61 | 255)).then_some(by_name)
}

fn option_data(code: u8, value: &str) -> Option<Vec<u8>> {
    match code {
        3..=6 | 28 | 41 | 42 | 44 => {
            let mut data = Vec::new();
            for word in value.split([' ', ',']).filter(|w| !w.is_empty()) {
                data.extend_from_slice(&word.parse::<std::net::Ipv4Addr>().ok()?.octets());
            }
            Some(data)
        }
        26 => Some(value.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        119 => crate::services::dhcp6::encode_name(value),
        _ => Some(value.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_a_subnet_with_options() {
        let subnet: IpamSubnetType = serde_json::from_value(json!({
            "subnet": {"ip_prefix": "10.1.1.0", "ip_prefix_len": 24},
            "default_gateway": "10.1.1.1", "dns_server_address": "10.1.1.2",
            "host_routes": {"route": [{"prefix": "10.9.0.0/16", "next_hop": "10.1.1.7"}, {"prefix": "bad"}]},
            "dhcp_option_list": {"dhcp_option": [
                {"dhcp_option_name": "ntp-servers", "dhcp_option_value": "10.0.0.1 10.0.0.2"},
                {"dhcp_option_name": "43", "dhcp_option_value_bytes": "1 2 255"},
                {"dhcp_option_name": "53", "dhcp_option_value": "x"}
            ]}
        }))
        .unwrap();
        let got = Subnet::from_config(&subnet, &Ipam::default()).unwrap();
        assert!(got.dhcp);
        assert_eq!(got.host_routes.len(), 1);
        assert_eq!(got.servers_for_workloads(), vec!["10.1.1.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            got.options_for_workloads(),
            vec![
                RawOption { code: 42, data: vec![10, 0, 0, 1, 10, 0, 0, 2] },
                RawOption { code: 43, data: vec![1, 2, 255] }
            ]
        );
    }
}
