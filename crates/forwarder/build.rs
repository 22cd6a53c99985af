//! Builds the eBPF object and leaves it where `include_bytes!` finds it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let ebpf = here.join("../../ebpf");
    for watched in ["src", "build.sh", "Cargo.toml", "Cargo.lock", "../crates/dataplane/src"] {
        println!("cargo:rerun-if-changed={}", ebpf.join(watched).display());
    }
    let output = Command::new(ebpf.join("build.sh")).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("ebpf/build.sh failed; its message is above. Is the eBPF tool chain there? Run `make setup`".into());
    }
    let object = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let bytes = fs::read(&object)?;
    if bytes.is_empty() {
        return Err(format!("{} is empty", object.display()).into());
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("weft-ebpf"), bytes)?;
    Ok(())
}
