//! Weft itself, as its users run it: a lab of one controller and two hosts, policy on, flow table on.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Path, Topology};
use crate::netns::run;

/// The lab, relative to the project's root.
const LAB: &str = "bench/weft.yaml";

/// A lab that is up; dropping it takes it down.
struct Lab {
    weft: String,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = run(&self.weft, &["lab", "down", "bench"]);
    }
}

/// Brings the lab up; both networks' policy lets exactly the measured ports through.
pub(crate) fn up() -> Result<Topology> {
    let weft = binary()?;
    run(&weft, &["lab", "up", LAB])?;
    let path = |to: &str, address: &str| Path {
        from_namespace: "weft-bench-a1".into(),
        to_namespace: format!("weft-bench-{to}"),
        address: address.into(),
    };
    Ok(Topology {
        one_host: path("a2", "10.1.1.12"),
        two_hosts: path("b1", "10.1.1.21"),
        _parts: vec![Box::new(Lab { weft })],
    })
}

/// `weft` beside this binary.
fn binary() -> Result<String> {
    let directory: PathBuf = std::env::current_exe()?.parent().context("no directory")?.into();
    Ok(directory.join("weft").display().to_string())
}
