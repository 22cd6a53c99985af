//! `weft-tidy`: the project's own style checks, run by `make test`.
//!
//! It parses every Rust file that git knows and fails on what rustfmt and clippy leave alone: functions and
//! files too long to take in, modules without a header, `unwrap`/`expect` outside tests, and `unsafe`
//! outside the modules named for it. Every finding is printed as `path:line: message`.

mod check;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    match run(Path::new(&root)) {
        Ok((files, findings)) if findings.is_empty() => {
            println!("tidy: {files} files, nothing to say");
            ExitCode::SUCCESS
        }
        Ok((files, findings)) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            eprintln!("tidy: {} findings in {files} files", findings.len());
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("tidy: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Checks every Rust file below `root`; returns how many there were and what was found.
fn run(root: &Path) -> Result<(usize, Vec<String>), String> {
    let files = rust_files(root)?;
    let mut findings = Vec::new();
    for file in &files {
        let text =
            std::fs::read_to_string(root.join(file)).map_err(|e| format!("{}: {e}", file.display()))?;
        for finding in check::file(file, &text) {
            findings.push(format!("{}:{}: {}", file.display(), finding.line, finding.message));
        }
    }
    Ok((files.len(), findings))
}

/// The Rust files git tracks or would track: build products and virtual environments are not ours to check.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cannot run git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut files: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .filter(|path| root.join(path).exists())
        .collect();
    files.sort();
    Ok(files)
}
