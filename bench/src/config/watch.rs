//! How long after the answer to a write a watcher has the change.

use super::figures::Figures;
use super::load::sample;
use super::steps::Scene;
use anyhow::{Context, Result};
use serde_json::json;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Writes measured.
const WRITES: usize = 500;
/// Pause between writes: the machine is to be idle.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures one watcher and one writer.
pub(super) fn latency(scene: &Scene<'_>, figures: &mut Figures) -> Result<()> {
    let mut watcher = scene.connect()?;
    watcher.stream(
        "/watch?resource_type=virtual-machine-interface&virtual_machine_interface_fields=display_name",
    )?;
    // What there is comes first: that is not what is measured.
    while !watcher.line()?.starts_with(b"event: init") {}
    watcher.line()?;
    let mut writer = scene.connect()?;
    let (seen, events) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut number = 0usize;
        while number < WRITES {
            let Ok(line) = watcher.line() else { return };
            let wanted = format!("latency-{number}\"");
            if line.windows(wanted.len()).any(|w| w == wanted.as_bytes()) {
                if seen.send(Instant::now()).is_err() {
                    return;
                }
                number += 1;
            }
        }
    });
    let begin = Instant::now();
    let mut times = Vec::new();
    for number in 0..WRITES {
        let path = format!("/virtual-machine-interface/{}", scene.uuid(number)?);
        let body = json!({"virtual-machine-interface": {"display_name": format!("latency-{number}")}});
        // A write whose name is there already changes nothing: rounds must differ.
        let reset = json!({"virtual-machine-interface": {"display_name": "waiting"}});
        writer.ok("PUT", &path, &reset.to_string())?;
        writer.ok("PUT", &path, &body.to_string())?;
        let answered = Instant::now();
        let event = events.recv_timeout(PATIENCE).context("a change did not reach the watcher")?;
        times.push(event.saturating_duration_since(answered));
        std::thread::sleep(PAUSE);
    }
    let _ = reader.join();
    figures.add(scene.name(), "write to watcher", 1, sample(times, begin.elapsed()));
    Ok(())
}
