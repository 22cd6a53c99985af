//! Builds the eBPF object and leaves it where `include_bytes!` finds it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let ebpf = here.join("../../ebpf");
    for watched in ["src", "build.sh", "Cargo.toml", "Cargo.lock", "../crates/dataplane/src"] {
        println!("cargo:rerun-if-changed={}", ebpf.join(watched).display());
    }
    let object = PathBuf::from(env::var("OUT_DIR")?).join("weft-ebpf");
    let status = Command::new(ebpf.join("build.sh")).arg(&object).status()?;
    if !status.success() {
        return Err(
            "ebpf/build.sh failed; its message is above. Is the tool chain there? Run `make setup`".into()
        );
    }
    Ok(())
}
