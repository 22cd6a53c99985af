//! A veth pair and nothing else: the most that these machines can do.

use anyhow::Result;

use super::{Path, Topology, WORKLOAD_MTU};
use crate::netns::{Netns, veth};

/// Two namespaces joined directly; "across hosts" is the same pair.
pub(crate) fn up() -> Result<Topology> {
    let (a, b) = (Netns::new("bare-a")?, Netns::new("bare-b")?);
    veth((&a, "eth0"), (&b, "eth0"), WORKLOAD_MTU)?;
    a.run("ip addr add 10.99.0.1/24 dev eth0")?;
    b.run("ip addr add 10.99.0.2/24 dev eth0")?;
    Ok(Topology {
        one_host: Path::new(&a, &b, "10.99.0.2"),
        two_hosts: Path::new(&a, &b, "10.99.0.2"),
        _parts: vec![Box::new(a), Box::new(b)],
    })
}
