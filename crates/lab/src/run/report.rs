//! The result of a lab: one entry for each step, as JSON or as tables.

use comfy_table::{Attribute, Cell, Color, Table, TableStyle};
use serde::Serialize;
use serde_json::Value;

use crate::file::plan::Family;

/// The result of all steps.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// One entry for each step, in the order of the file.
    pub steps: Vec<StepReport>,
    /// Whether every step held.
    pub ok: bool,
}

/// The result of one step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// `check`, `matrix`, `apply`, ...
    pub kind: &'static str,
    /// What should have been.
    pub expected: Value,
    /// What was.
    pub observed: Value,
    /// Whether it held.
    pub ok: bool,
    /// How long it took.
    pub millis: u64,
    /// The pairs of a matrix.
    #[serde(skip)]
    pub pairs: Vec<PairReport>,
}

/// One pair of a matrix, or one family of a check.
#[derive(Debug, Clone, Serialize)]
pub struct PairReport {
    /// Who asked.
    pub from: String,
    /// Who was asked.
    pub to: String,
    /// `icmp`, `tcp/80`, ..
    pub probe: String,
    /// `v4` or `v6`.
    pub family: &'static str,
    /// The address asked.
    pub address: String,
    /// `pass` or `drop`.
    pub expected: &'static str,
    /// What happened, in words; begins with `pass` or `drop`.
    pub observed: String,
    /// Where and why the packet was dropped, as far as a forwarder said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
    /// Whether it is as expected.
    pub ok: bool,
}

/// A family in words.
pub(crate) fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

impl Report {
    /// As tables for a terminal: each matrix, then all steps.
    pub fn tables(&self, colour: bool) -> String {
        let mut text = String::new();
        for step in self.steps.iter().filter(|s| !s.pairs.is_empty()) {
            text.push_str(&format!("\n{} ({})\n", step.name, step.kind));
            text.push_str(&matrices(step, colour));
            text.push_str(&refusals(step, colour));
        }
        text.push_str(&format!("\n{}\n", self.steps_table(colour)));
        let held = self.steps.iter().filter(|s| s.ok).count();
        let verdict = if self.ok { "every step held" } else { "NOT every step held" };
        text.push_str(&format!("{verdict}: {held} of {}\n", self.steps.len()));
        text
    }

    fn steps_table(&self, colour: bool) -> Table {
        let mut table = new_table(&["", "STEP", "KIND", "EXPECTED", "OBSERVED", "TIME"]);
        for step in &self.steps {
            table.add_row(vec![
                mark(step.ok, colour),
                Cell::new(&step.name),
                Cell::new(step.kind),
                Cell::new(short(&step.expected)),
                Cell::new(short(&step.observed)),
                Cell::new(format!("{} ms", step.millis)),
            ]);
        }
        table
    }
}

fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header.iter().copied());
    table
}

fn mark(ok: bool, colour: bool) -> Cell {
    let cell = Cell::new(if ok { "ok" } else { "FAIL" });
    match (colour, ok) {
        (false, _) => cell,
        (true, true) => cell.fg(Color::Green),
        (true, false) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

/// A value in one line; the parts of a matrix are left to its own table.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => match map.get("summary").and_then(Value::as_str) {
            Some(summary) => summary.to_owned(),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// Who reached whom: a square table for each probe and family.
fn matrices(step: &StepReport, colour: bool) -> String {
    let mut kinds: Vec<(&str, &str)> = step.pairs.iter().map(|p| (p.probe.as_str(), p.family)).collect();
    kinds.dedup();
    kinds.sort_unstable();
    kinds.dedup();
    let mut text = String::new();
    for (probe, family) in kinds {
        let pairs: Vec<&PairReport> =
            step.pairs.iter().filter(|p| p.probe == probe && p.family == family).collect();
        let mut names: Vec<&str> = Vec::new();
        for name in pairs.iter().flat_map(|p| [p.from.as_str(), p.to.as_str()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let heading = format!("{probe} {family}: from \\ to");
        let header: Vec<&str> = std::iter::once(heading.as_str()).chain(names.iter().copied()).collect();
        let mut table = new_table(&header);
        for from in &names {
            let cells =
                names.iter().map(|to| cell(pairs.iter().find(|p| p.from == *from && p.to == *to), colour));
            table.add_row(std::iter::once(Cell::new(from)).chain(cells));
        }
        text.push_str(&format!("{table}\n\n"));
    }
    text
}

fn cell(pair: Option<&&PairReport>, colour: bool) -> Cell {
    let Some(pair) = pair else { return Cell::new("-") };
    let passed = pair.observed.starts_with("pass");
    let text = match (pair.ok, passed) {
        (true, true) => "pass",
        (true, false) => "drop",
        (false, true) => "PASS!",
        (false, false) => "DROP!",
    };
    let cell = Cell::new(text);
    match (colour, pair.ok, passed) {
        (false, ..) => cell,
        (true, true, true) => cell.fg(Color::Green),
        (true, true, false) => cell.fg(Color::DarkGrey),
        (true, false, _) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

/// Refused pairs with the place and the reason, pairs alike in one row; then every pair that is not as expected.
fn refusals(step: &StepReport, colour: bool) -> String {
    let mut rows: Vec<(Vec<String>, String, bool)> = Vec::new();
    for pair in step.pairs.iter().filter(|p| !p.observed.starts_with("pass") || !p.ok) {
        let what = format!("{} -> {}", pair.from, pair.to);
        let how = format!("{} {}", pair.probe, pair.family);
        let why = match &pair.dropped {
            Some(place) => format!("{}; {place}", pair.observed),
            None => pair.observed.clone(),
        };
        match rows.iter_mut().find(|r| r.0[0] == what && r.1 == why && r.2 == pair.ok) {
            Some(row) => row.0.push(how),
            None => rows.push((vec![what, how], why, pair.ok)),
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut table = new_table(&["", "REFUSED", "PROBES", "WHERE AND WHY"]);
    for (what, why, ok) in rows {
        let (pair, probes) =
            what.split_first().map(|(p, rest)| (p.clone(), rest.join(", "))).unwrap_or_default();
        table.add_row(vec![mark(ok, colour), Cell::new(pair), Cell::new(probes), Cell::new(why)]);
    }
    format!("{table}\n")
}
