//! The `ip` command: the lab's only way of making namespaces, links, addresses and routes.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::LabError;

/// Runs lines of `ip` commands (without the word `ip`) in one process, in a namespace or in the one we are in.
///
/// # Errors
/// At the first line that fails, with `ip`'s own words.
pub(crate) fn batch(namespace: Option<&str>, lines: &[String]) -> Result<(), LabError> {
    let mut command = Command::new("ip");
    if let Some(name) = namespace {
        command.args(["-n", name]);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |reason: String| LabError::Ip { reason };
    let mut child = command.spawn().map_err(|e| failed(format!("{e}; is iproute2 installed?")))?;
    if let Some(mut input) = child.stdin.take() {
        let text = lines.join("\n") + "\n";
        input.write_all(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let line = words.rsplit_once("failed -:").and_then(|(_, n)| n.trim().parse::<usize>().ok());
    let line = line.and_then(|n| lines.get(n - 1)).map(String::as_str).unwrap_or("");
    Err(failed(format!("ip {line}: {words}")))
}
