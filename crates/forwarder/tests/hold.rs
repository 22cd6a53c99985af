//! Not a test: keeps two hosts up for `WEFT_HOLD` seconds, to measure or look at by hand.

mod common;

use common::*;

#[test]
#[ignore = "waits for a person"]
fn hold() {
    let seconds = std::env::var("WEFT_HOLD").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let mode = match std::env::var("WEFT_MODE").as_deref() {
        Ok("mpls-l2") => Mode::MplsL2,
        Ok("vxlan") => Mode::VxlanL2,
        _ => Mode::MplsL3,
    };
    let p = pair(mode);
    for (name, count) in p.a.dp().verified_instructions().expect("instructions") {
        println!("{name} {count}");
    }
    println!("NS {} {} {} {}", p.w1.ns.name, p.w2.ns.name, p.a.ns.name, p.b.ns.name);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
}
