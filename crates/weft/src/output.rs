//! Results on standard output: tables, JSON, YAML.

use std::io::{IsTerminal, Write};

use comfy_table::{Table, TableStyle};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Format;

/// Writes text; a reader who went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Whether results may be coloured.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// JSON pointers to the value; the first that is there counts.
    pub(crate) pointers: &'static [&'static str],
    /// Only with `-o wide`.
    pub(crate) wide: bool,
}

/// A column shown always.
pub(crate) const fn column(title: &'static str, pointers: &'static [&'static str]) -> Column {
    Column { title, pointers, wide: false }
}

/// A column shown with `-o wide`.
pub(crate) const fn wide(title: &'static str, pointers: &'static [&'static str]) -> Column {
    Column { title, pointers, wide: true }
}

/// Prints a list of JSON objects in the wanted format; as a table it has those columns.
pub(crate) fn list(format: Format, columns: &[Column], rows: &[Value]) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Yaml => value(format, &rows),
        Format::Table | Format::Wide => {
            let shown: Vec<&Column> = columns.iter().filter(|c| !c.wide || format == Format::Wide).collect();
            let cells = |row: &Value| shown.iter().map(|c| cell(row, c)).collect();
            table(&shown.iter().map(|c| c.title).collect::<Vec<_>>(), rows.iter().map(cells).collect());
            Ok(())
        }
    }
}

/// Prints a table; one without rows says so on standard error.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        eprintln!("nothing found");
        return;
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header.iter().copied()).add_rows(rows);
    // The table puts a blank before every cell, the first as well.
    let text: String = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n")
        .collect();
    print(&text);
}

/// Prints a value as JSON or YAML (also when a table was asked for: some things have none).
pub(crate) fn value<T: Serialize>(format: Format, value: &T) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        _ => serde_saphyr::to_string(value)?,
    };
    print(&text);
    Ok(())
}

fn cell(row: &Value, column: &Column) -> String {
    let found = column.pointers.iter().find_map(|p| row.pointer(p).filter(|v| !v.is_null()));
    found.map(words).unwrap_or_default()
}

/// A value in a cell: lists with commas, names with colons.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(map) => match map.get("to").and_then(Value::as_array) {
            Some(name) => name.iter().map(words).collect::<Vec<_>>().join(":"),
            None => map.iter().map(|(k, v)| format!("{k}={}", words(v))).collect::<Vec<_>>().join(" "),
        },
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
