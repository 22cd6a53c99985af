//! How fast routes go through: announced into one instance, replicated into another, drained by its subscribers.
//! `cargo run --release -p weft-rib --example throughput [ROUTES] [SUBSCRIBERS]`

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use weft_model::RouteTarget;
use weft_rib::{Attributes, EncapSet, Limits, PeerId, Prefix, RiConfig, Rib, RibError};

fn argument(at: usize, default: u32) -> u32 {
    std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), RibError> {
    let (routes, subscribers) = (argument(1, 200_000), argument(2, 10));
    let target = |n| RouteTarget::new(64512, n).into_iter().collect::<BTreeSet<_>>();
    let mut rib = Rib::new(Limits::default());
    for (name, export) in [("red", 1), ("blue", 2)] {
        rib.configure(RiConfig {
            name: name.into(),
            virtual_network: name.into(),
            import: target(1).union(&target(2)).copied().collect(),
            export: target(export),
        });
    }
    rib.subscribe(PeerId(0), "red", 1, true)?;
    for peer in 1..=u64::from(subscribers) {
        rib.subscribe(PeerId(peer), "blue", 1, true)?;
    }
    let start = Instant::now();
    for n in 0..routes {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        let path =
            Attributes::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 16 + n % 1_000_000, EncapSet::UDP);
        rib.announce(PeerId(0), "red", Prefix::unicast(address.into()), path)?;
    }
    let announced = start.elapsed();
    let drained = std::iter::from_fn(|| rib.poll()).count();
    let total = start.elapsed();
    println!(
        "{routes} routes, {subscribers} subscribers: announced and replicated {:.0}/s, {drained} updates drained {:.0}/s, whole {:.0} updates/s",
        f64::from(routes) / announced.as_secs_f64(),
        drained as f64 / (total - announced).as_secs_f64(),
        drained as f64 / total.as_secs_f64(),
    );
    Ok(())
}
