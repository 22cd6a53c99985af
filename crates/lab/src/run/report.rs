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
        text.push_str(&format!("\n{}", trimmed(&self.steps_table(colour))));
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

/// Who reached whom: a square table for each probe and family; those that are alike are one.
fn matrices(step: &StepReport, colour: bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in step.pairs.iter().flat_map(|p| [p.from.as_str(), p.to.as_str()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut grids: Vec<(Vec<Option<&PairReport>>, Vec<String>)> = Vec::new();
    for how in probes(step) {
        let find =
            |from: &str, to: &str| step.pairs.iter().find(|p| p.from == from && p.to == to && of(p) == how);
        let grid: Vec<Option<&PairReport>> = names
            .iter()
            .flat_map(|from| names.iter().map(move |to| (from, to)))
            .map(|(from, to)| find(from, to))
            .collect();
        match grids.iter_mut().find(|(other, _)| alike(other, &grid)) {
            Some((_, hows)) => hows.push(how),
            None => grids.push((grid, vec![how])),
        }
    }
    let table = |(grid, hows): (Vec<Option<&PairReport>>, Vec<String>)| {
        let header: Vec<&str> = std::iter::once("from \\ to").chain(names.iter().copied()).collect();
        let mut table = new_table(&header);
        for (from, row) in names.iter().zip(grid.chunks(names.len())) {
            table.add_row(std::iter::once(Cell::new(from)).chain(row.iter().map(|pair| cell(*pair, colour))));
        }
        format!("{}:\n{}\n", hows.join(", "), trimmed(&table))
    };
    grids.into_iter().map(table).collect()
}

/// A probe and a family in one word.
fn of(pair: &PairReport) -> String {
    format!("{} {}", pair.probe, pair.family)
}

/// All probes and families of a step, each once.
fn probes(step: &StepReport) -> Vec<String> {
    let mut all = Vec::new();
    for how in step.pairs.iter().map(of) {
        if !all.contains(&how) {
            all.push(how);
        }
    }
    all
}

fn alike(a: &[Option<&PairReport>], b: &[Option<&PairReport>]) -> bool {
    let essence = |pair: &Option<&PairReport>| pair.map(|p| (p.ok, p.observed.starts_with("pass")));
    a.iter().map(essence).eq(b.iter().map(essence))
}

/// A table's text without blanks at the ends of its lines.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn cell(pair: Option<&PairReport>, colour: bool) -> Cell {
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

/// Pairs refused for the same reason.
struct Refusals {
    from: String,
    to: Vec<String>,
    probes: Vec<String>,
    why: String,
    ok: bool,
}

/// Refused pairs with the place and the reason, those alike in one row; and every pair that is not as expected.
fn refusals(step: &StepReport, colour: bool) -> String {
    let mut rows: Vec<Refusals> = Vec::new();
    for pair in step.pairs.iter().filter(|p| !p.observed.starts_with("pass") || !p.ok) {
        let why = pair.dropped.clone().unwrap_or_else(|| pair.observed.clone());
        let same =
            |r: &&mut Refusals| r.from == pair.from && r.to[0] == pair.to && r.why == why && r.ok == pair.ok;
        match rows.iter_mut().find(same) {
            Some(row) => row.probes.push(of(pair)),
            None => rows.push(Refusals {
                from: pair.from.clone(),
                to: vec![pair.to.clone()],
                probes: vec![of(pair)],
                why,
                ok: pair.ok,
            }),
        }
    }
    let all = probes(step).len();
    let mut merged: Vec<Refusals> = Vec::new();
    for row in rows {
        let same = |r: &&mut Refusals| {
            r.from == row.from && r.probes == row.probes && r.why == row.why && r.ok == row.ok
        };
        match merged.iter_mut().find(same) {
            Some(other) => other.to.extend(row.to),
            None => merged.push(row),
        }
    }
    if merged.is_empty() {
        return String::new();
    }
    merged.sort_by_key(|r| r.ok);
    let mut table = new_table(&["", "REFUSED FROM", "TO", "PROBES", "WHERE AND WHY"]);
    for row in merged {
        let probes = if row.probes.len() == all { "all".to_owned() } else { row.probes.join(", ") };
        let texts = [row.from, row.to.join(", "), probes, row.why];
        table.add_row(std::iter::once(mark(row.ok, colour)).chain(texts.into_iter().map(Cell::new)));
    }
    trimmed(&table)
}
