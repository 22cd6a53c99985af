//! Lines that say what the lab is doing. They go to standard error: standard output is for results.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    shown: bool,
    colour: bool,
}

impl Progress {
    /// Lines on standard error, in colour when that is a terminal.
    pub fn lines() -> Self {
        Self {
            shown: true,
            colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// Nothing at all.
    pub fn silent() -> Self {
        Self { shown: false, colour: false }
    }

    /// Something was done.
    pub fn done(self, what: &str, since: Instant) {
        self.line("32", "ok", what, Some(since.elapsed()));
    }

    /// Something is announced.
    pub fn note(self, what: &str) {
        self.line("36", "--", what, None);
    }

    /// Something did not hold.
    pub fn failed(self, what: &str, since: Instant) {
        self.line("31", "FAIL", what, Some(since.elapsed()));
    }

    fn line(self, colour: &str, mark: &str, what: &str, took: Option<Duration>) {
        if !self.shown {
            return;
        }
        let took = took.map(|t| format!(" ({:.1} s)", t.as_secs_f64())).unwrap_or_default();
        let mark = format!("{mark:>4}");
        let mark = if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark };
        // A closed standard error must not end the lab before it has cleaned up.
        let _ = writeln!(std::io::stderr(), "{mark}  {what}{took}");
    }
}
