//! Ageing: removing sessions that have been idle for their time, in bounded steps.
//!
//! A session goes only when both of its directions are idle, and both entries go together.

use std::sync::Mutex;

use weft_dataplane::Pod;
use weft_dataplane::flow::{FLOW_REVERSE, Flow, FlowKey};
use weft_dataplane::packet::protocol;
use weft_dataplane::tcp;

use crate::datapath::{AgeOptions, AgeReport};
use crate::sys::{self, Cursor};
use crate::table::Table;
use crate::{ForwarderError, TimeoutRule};

/// Where the next step goes on.
#[derive(Default)]
pub(crate) struct Ageing {
    state: Mutex<Position>,
}

#[derive(Default)]
struct Position {
    second_table: bool,
    cursor: Cursor,
}

impl Ageing {
    /// One step over both tables.
    pub(crate) fn step<A, B>(
        &self,
        first: &Table<A, Flow>,
        second: &Table<B, Flow>,
        options: &AgeOptions,
    ) -> Result<AgeReport, ForwarderError>
    where
        A: Pod + FlowKey,
        B: Pod + FlowKey,
    {
        let mut position = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut report = AgeReport::default();
        let now = sys::now();
        let Position { second_table, cursor } = &mut *position;
        while report.scanned < options.budget {
            let end = if *second_table {
                sweep(second, cursor, options, now, &mut report)?
            } else {
                sweep(first, cursor, options, now, &mut report)?
            };
            if end {
                report.complete = *second_table;
                *second_table = !*second_table;
                *cursor = None;
                if report.complete {
                    break;
                }
            }
        }
        Ok(report)
    }
}

/// One batch of one table; true at its end.
fn sweep<K: Pod + FlowKey>(
    table: &Table<K, Flow>,
    cursor: &mut Cursor,
    options: &AgeOptions,
    now: u64,
    report: &mut AgeReport,
) -> Result<bool, ForwarderError> {
    let mut entries = Vec::new();
    let end = match table.batch(cursor, &mut entries) {
        Ok(end) => end,
        Err(error) => {
            // The entry the cursor stood on may be gone: start again rather than stop for ever.
            *cursor = None;
            return Err(error);
        }
    };
    report.scanned += entries.len().max(1);
    for (key, flow) in entries {
        let limit = idle_limit(&key, &flow, options);
        if now.saturating_sub(flow.last_seen) < limit {
            continue;
        }
        let other_key = key.reversed(flow.reverse_zone);
        let other = table.get(&other_key)?;
        if let Some(other) = other {
            let limit = limit.max(idle_limit(&other_key, &other, options));
            if now.saturating_sub(other.last_seen) < limit {
                continue;
            }
            report.removed += usize::from(table.delete(&other_key)?);
        }
        report.removed += usize::from(table.delete(&key)?);
    }
    Ok(end)
}

/// How long a direction may be idle, in nanoseconds.
fn idle_limit<K: FlowKey>(key: &K, flow: &Flow, options: &AgeOptions) -> u64 {
    let is_tcp = key.protocol() == protocol::TCP;
    if is_tcp && tcp::is_closed(flow.tcp) {
        return nanoseconds(options.tcp_closed);
    }
    let (source, destination) = key.ports();
    let port = if flow.flags & FLOW_REVERSE != 0 { source } else { destination };
    let port = u16::from_be_bytes(port);
    let of_protocol = |rule: &&TimeoutRule| rule.protocol == key.protocol();
    let exact = options.rules.iter().filter(of_protocol).find(|rule| rule.port == Some(port));
    let rule = exact.or_else(|| options.rules.iter().filter(of_protocol).find(|rule| rule.port.is_none()));
    match rule {
        Some(rule) => nanoseconds(rule.idle),
        None if is_tcp && flow.tcp & tcp::STATE_ESTABLISHED != 0 => nanoseconds(options.tcp_established),
        None => nanoseconds(options.idle),
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
