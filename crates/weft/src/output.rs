//! Results on standard output: tables, JSON, YAML.

use std::io::{IsTerminal, Write};

use comfy_table::{Cell, Color, Table, TableStyle};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Format;

/// Writes text; a reader who went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Whether results may be coloured: only in a terminal, and not if the user does not like it (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && liked()
}

fn liked() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Colours for text, where they may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self(colour())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && liked())
    }

    fn paint(self, code: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something that is gone or wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint(31, text)
    }

    /// Something that is new or well.
    pub(crate) fn green(self, text: &str) -> String {
        self.paint(32, text)
    }

    /// Something that changed or is on its way.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint(33, text)
    }

    /// A place.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint(36, text)
    }
}

/// The colour of a word that says how something is.
fn state_colour(word: &str) -> Option<Color> {
    match word.to_ascii_lowercase().as_str() {
        "up" | "ok" | "active" | "established" | "running" | "ready" => Some(Color::Green),
        "down" | "wrong" | "failed" | "lost" | "expired" | "insecure" | "error" => Some(Color::Red),
        "connecting" | "starting" | "stale" | "idle" | "connect" | "opensent" | "openconfirm" => {
            Some(Color::Yellow)
        }
        _ => None,
    }
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
        Format::Name => {
            for row in rows {
                print(&format!("{}\n", columns.first().map(|c| cell(row, c)).unwrap_or_default()));
            }
            Ok(())
        }
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
    let colour = colour();
    let paint = |text: String| match state_colour(&text).filter(|_| colour) {
        Some(colour) => Cell::new(text).fg(colour),
        None => Cell::new(text),
    };
    let rows = rows.into_iter().map(|row| row.into_iter().map(paint).collect::<Vec<_>>());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_for_states_have_colours() {
        assert_eq!(state_colour("Established"), Some(Color::Green));
        assert_eq!(state_colour("WRONG"), Some(Color::Red));
        assert_eq!(state_colour("default-domain:acme:up"), None);
        assert_eq!(Paint(false).red("x"), "x");
        assert_eq!(Paint(true).red("x"), "\x1b[31mx\x1b[0m");
    }
}
