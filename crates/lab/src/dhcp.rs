//! Workloads' addresses: ISC dhclient in the workload's namespace, with files of its own in the lab's directory.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::LabError;
use crate::file::plan::Family;
use crate::netns::Netns;
use crate::process;
use crate::sys::OwnView;

/// Configuration: ask at once and often, take the first offer.
const CONFIG: &str = "\
timeout 30;
retry 1;
reboot 1;
initial-interval 1;
backoff-cutoff 2;
select-timeout 0;
request subnet-mask, broadcast-address, routers, rfc3442-classless-static-routes, domain-name, domain-name-servers,
        interface-mtu, dhcp6.name-servers, dhcp6.domain-search;
";

/// What dhclient runs at every event. It touches the namespace and the file named by RESOLV, nothing of the host.
const SCRIPT: &str = r#"#!/bin/sh
# Called by dhclient inside a workload's namespace: addresses, default route, resolver.
resolver() { # family, domain, servers
    {
        [ -n "$2" ] && echo "search $2"
        for server in $3; do echo "nameserver $server"; done
    } >"$RESOLV.$1"
    cat "$RESOLV".? >"$RESOLV"
}
case "$reason" in
PREINIT | PREINIT6)
    ip link set dev "$interface" up
    ;;
BOUND | RENEW | REBIND | REBOOT)
    [ -n "$new_interface_mtu" ] && ip link set dev "$interface" mtu "$new_interface_mtu"
    ip -4 address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    for router in $new_routers; do
        ip -4 route replace default via "$router" dev "$interface" && break
    done
    resolver 4 "$new_domain_name" "$new_domain_name_servers"
    ;;
BOUND6 | RENEW6 | REBIND6)
    ip -6 address replace "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface"
    resolver 6 "$new_dhcp6_domain_search" "$new_dhcp6_name_servers"
    ;;
EXPIRE | RELEASE | STOP | FAIL)
    [ -n "$old_ip_address" ] && ip -4 address flush dev "$interface"
    ;;
EXPIRE6 | RELEASE6 | STOP6)
    [ -n "$old_ip6_address" ] && ip -6 address delete "$old_ip6_address/${old_ip6_prefixlen:-128}" dev "$interface"
    ;;
esac
exit 0
"#;

/// Writes the configuration and the script that all workloads of a lab share.
pub(crate) fn prepare(directory: &Path) -> Result<(), LabError> {
    let config = directory.join("dhclient.conf");
    std::fs::write(&config, CONFIG).map_err(LabError::io(&config))?;
    let script = directory.join("dhclient-script");
    std::fs::write(&script, SCRIPT).map_err(LabError::io(&script))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).map_err(LabError::io(&script))
}

/// A workload as its DHCP clients see it.
pub(crate) struct Client<'a> {
    /// Name, for host name and errors.
    pub(crate) name: &'a str,
    /// Its namespace.
    pub(crate) namespace: Netns,
    /// The lab's directory.
    pub(crate) shared: &'a Path,
    /// The workload's directory.
    pub(crate) own: &'a Path,
}

impl Client<'_> {
    /// Asks for an address of that family and returns once the interface has it. The client stays and renews its lease.
    pub(crate) async fn acquire(&self, family: Family, limit: Duration) -> Result<(), LabError> {
        let version = if family == Family::V4 { "4" } else { "6" };
        let own = |file: &str| self.own.join(format!("dhclient{version}.{file}"));
        let resolv = self.own.join("resolv.conf");
        let log = own("log");
        let output = std::fs::File::create(&log).map_err(LabError::io(&log))?;
        let errors = output.try_clone().map_err(LabError::io(&log))?;
        let mut command = Command::new("dhclient");
        command.arg(format!("-{version}")).args(["-1", "-v"]);
        command.arg("-pf").arg(own("pid")).arg("-lf").arg(own("leases"));
        command
            .arg("-cf")
            .arg(self.shared.join("dhclient.conf"))
            .arg("-sf")
            .arg(self.shared.join("dhclient-script"));
        command.arg("-e").arg(format!("RESOLV={}", resolv.display()));
        command.args(if version == "6" { &["-D", "LL", "eth0"][..] } else { &["eth0"][..] });
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).kill_on_drop(true);
        let view = OwnView { resolv_conf: &resolv, hostname: self.name };
        self.namespace.enter(command.as_std_mut(), Some(view))?;
        let failed = |reason: String| LabError::role(&format!("DHCPv{version} of {}", self.name), reason);
        let mut child = command.spawn().map_err(|e| failed(format!("{e}; is isc-dhcp-client installed?")))?;
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("{status}\n{}", process::log_end(&log)))),
            Ok(Err(e)) => Err(failed(e.to_string())),
            Err(_) => {
                Err(failed(format!("no answer within {} s\n{}", limit.as_secs(), process::log_end(&log))))
            }
        }
    }
}
