//! The examples, run by the built binary as a user would. Needs root; each lab has a name of its own and cleans up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

const WEFT: &str = env!("CARGO_BIN_EXE_weft");

/// One lab at a time: what is measured in one must not depend on the others.
static TURN: Mutex<()> = Mutex::new(());

/// A lab's name; the lab is ended when this is dropped, whatever happened to it.
struct Name(String, #[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Name {
    fn new(test: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self(format!("t{}-{test}", std::process::id()), turn)
    }

    fn weft(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(WEFT);
        command.args(arguments).env("WEFT_CONFIG", self.config());
        command
    }

    fn config(&self) -> PathBuf {
        std::env::temp_dir().join(format!("weft-{}.yaml", self.0))
    }

    /// What is left of the lab on this machine.
    fn left(&self) -> Vec<String> {
        let names = |directory: &str| -> Vec<String> {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
        };
        let mut left: Vec<String> = [names("/run/netns"), names("/run/weft/lab")].concat();
        left.retain(|n| n.contains(&self.0));
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        left.extend(mounts.lines().filter(|l| l.contains(&self.0)).map(str::to_owned));
        left
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = self.weft(&["lab", "down", &self.0]).stderr(Stdio::null()).status();
        let _ = std::fs::remove_file(self.config());
    }
}

fn example(file: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("examples").join(file).to_string_lossy().into_owned()
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

/// Runs an example; every step must hold and nothing may be left.
fn holds(file: &str, test: &str) {
    let name = Name::new(test);
    let output =
        name.weft(&["lab", "test", &example(file), "--name", &name.0, "-o", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(report["ok"], true);
    let steps = report["steps"].as_array().unwrap();
    assert!(!steps.is_empty());
    for step in steps {
        for key in ["name", "kind", "expected", "observed", "ok", "millis"] {
            assert!(!step[key].is_null(), "{key} in {step}");
        }
        assert_eq!(step.as_object().unwrap().len(), 6, "{step}");
    }
    assert_eq!(name.left(), Vec::<String>::new());
}

#[test]
fn two_tenants() {
    holds("two-tenants.yaml", "tenants");
}

#[test]
fn agent_restart() {
    holds("agent-restart.yaml", "agent");
}

#[test]
fn controller_restart() {
    holds("controller-restart.yaml", "control");
}

#[test]
fn controller_over_etcd() {
    holds("etcd.yaml", "etcd");
}

#[test]
fn policy_change() {
    holds("policy-change.yaml", "policy");
}

#[test]
fn full_size_packets() {
    holds("full-size-packets.yaml", "sizes");
}

#[test]
fn edges() {
    holds("edges.yaml", "edges");
}

fn lab_file(directory: &tempfile::TempDir, content: &str) -> String {
    let path = directory.path().join("lab.yaml");
    std::fs::write(&path, content).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_step_that_does_not_hold_fails_the_test() {
    let name = Name::new("fails");
    let directory = tempfile::tempdir().unwrap();
    let file = lab_file(
        &directory,
        "hosts: [h1]\nsteps:\n  - run: {host: h1, command: 'exit 3'}\n  - run: {host: h1, command: 'exit 3', expect_exit: 3}\n",
    );
    let output = name.weft(&["lab", "test", &file, "--name", &name.0, "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["steps"][0]["ok"], &report["steps"][1]["ok"]),
        (&false.into(), &false.into(), &true.into())
    );
    assert_eq!(name.left(), Vec::<String>::new());
}

#[test]
fn a_typo_is_named_with_its_line() {
    let name = Name::new("typo");
    let directory = tempfile::tempdir().unwrap();
    let file = lab_file(&directory, "hosts: [h1]\nsteps:\n  - check: {form: a, to: b, expect: pass}\n");
    let output = name.weft(&["lab", "test", &file, "--name", &name.0]).output().unwrap();
    let text = text(&output);
    assert!(!output.status.success() && text.contains("line 3") && text.contains("form"), "{text}");
}

/// Sends a signal to a lab that runs, and waits until it has ended.
fn interrupted(test: &str, signal: &str) {
    let name = Name::new(test);
    let directory = tempfile::tempdir().unwrap();
    let file = lab_file(&directory, "hosts: [h1, h2]\nsteps:\n  - wait: 60\n");
    let mut child =
        name.weft(&["lab", "test", &file, "--name", &name.0]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !PathBuf::from(format!("/run/weft/lab/{}/h2/agent.sock", name.0)).exists() {
        let running = child.try_wait().unwrap().is_none();
        assert!(start.elapsed() < Duration::from_secs(60) && running, "lab did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    if signal == "-KILL" {
        let down = name.weft(&["lab", "down", &name.0]).output().unwrap();
        assert!(down.status.success(), "{}", text(&down));
    } else {
        assert_eq!(status.code(), Some(130));
    }
    assert_eq!(name.left(), Vec::<String>::new());
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    interrupted("int", "-INT");
}

#[test]
fn sigterm_leaves_nothing_behind() {
    interrupted("term", "-TERM");
}

#[test]
fn a_killed_lab_is_cleaned_up_by_down() {
    interrupted("kill", "-KILL");
}

/// A lab that stays up is explored with the command line, as a user would.
#[test]
fn the_command_line_explores_a_lab() {
    let name = Name::new("cli");
    let up = name.weft(&["lab", "up", &example("policy-change.yaml"), "--name", &name.0]).output().unwrap();
    assert!(up.status.success(), "{}", text(&up));
    let says = |arguments: &[&str], words: &str| {
        let output = name.weft(arguments).output().unwrap();
        let text = text(&output);
        assert!(output.status.success() && text.contains(words), "{arguments:?}: {text}");
        text
    };
    says(&["status"], "host2");
    says(&["get", "vn"], "default-domain:acme:web");
    says(&["get", "virtual-network", "acme:web", "-o", "yaml"], "network_ipam_refs");
    says(&["describe", "vn", "acme:web"], "network-policy default-domain:acme:web-to-db");
    says(&["routes"], "target:64512:");
    says(&["routes", "acme:web"], "host1");
    says(&["routes", "acme:web", "--host", "host1"], "mpls-over-udp");
    says(&["interfaces", "-o", "wide"], "active");
    says(&["drops"], "REASON");
    says(&["lab", "list"], "web1");
    says(&["lab", "exec", &name.0, "web1", "--", "ip", "-4", "address", "show", "eth0"], "10.1.0.");
    says(&["lab", "exec", &name.0, "web1", "--", "ping", "-c1", "-W2", "10.1.0.254"], "1 received");
    // What `get` prints, `apply` takes back and finds nothing to do.
    let yaml = name.weft(&["get", "virtual-network", "acme:db", "-o", "yaml"]).output().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = lab_file(&directory, &String::from_utf8_lossy(&yaml.stdout));
    says(&["apply", "-f", &file], "unchanged");
    let file = lab_file(
        &directory,
        "virtual-network: {fq_name: \"default-domain:acme:db\", network_policy_refs: []}\n",
    );
    let difference = says(&["apply", "-f", &file, "--dry-run"], "updated (dry run)");
    assert!(difference.contains("- network_policy_refs[default-domain:acme:web-to-db]"), "{difference}");
    says(&["apply", "-f", &file, "--dry-run"], "updated (dry run)");
    let file = lab_file(&directory, "security-group: {fq_name: \"default-domain:acme:sg\"}\n");
    says(&["apply", "-f", &file], "created");
    says(&["delete", "sg", "acme:sg"], "deleted");
    let missing = name.weft(&["get", "vn", "nothing"]).output().unwrap();
    assert!(!missing.status.success() && text(&missing).contains("no virtual-network named nothing"));
}
