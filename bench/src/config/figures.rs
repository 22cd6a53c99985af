//! What was measured: tables for people, JSON for programs.

use super::load::Sample;
use comfy_table::{CellAlignment, Table};
use serde_json::json;
use std::time::Duration;

/// All figures of a run.
#[derive(Default)]
pub(super) struct Figures {
    samples: Vec<(&'static str, &'static str, usize, Sample)>,
    memory: Vec<(&'static str, u64, u64)>,
    start_up: Option<Duration>,
    objects: Option<(usize, u64)>,
}

/// The raw puts every rate of writing is compared with.
const RAW: &str = "raw etcd put";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Figures {
    pub(super) fn add(&mut self, who: &'static str, what: &'static str, clients: usize, sample: Sample) {
        self.samples.push((who, what, clients, sample));
    }

    /// Resident memory and its peak (0: not of interest), in KiB.
    pub(super) fn memory(&mut self, when: &'static str, resident: u64, peak: u64) {
        self.memory.push((when, resident, peak));
    }

    pub(super) fn start_up(&mut self, time: Duration) {
        self.start_up = Some(time);
    }

    /// How many objects made how many KiB.
    pub(super) fn objects(&mut self, count: usize, kib: u64) {
        self.objects = Some((count, kib));
    }

    fn rows(&self) -> Vec<(&'static str, &'static str, usize)> {
        let mut rows = Vec::new();
        for (who, what, clients, _) in &self.samples {
            if !rows.contains(&(*who, *what, *clients)) {
                rows.push((who, what, *clients));
            }
        }
        rows
    }

    fn of(&self, row: (&str, &str, usize)) -> Sample {
        let own = || self.samples.iter().filter(|s| (s.0, s.1, s.2) == row).map(|s| s.3);
        Sample {
            rate: median(own().map(|s| s.rate).collect()),
            p50: median(own().map(|s| s.p50).collect()),
            p99: median(own().map(|s| s.p99).collect()),
        }
    }

    /// Its rate divided by that of raw puts with as many clients.
    fn ratio(&self, row: (&str, &str, usize)) -> Option<f64> {
        let raw = self.of((RAW, "create", row.2)).rate;
        let writes = ["create", "update", "reference change"].contains(&row.1);
        (writes && raw > 0.0).then(|| self.of(row).rate / raw)
    }

    pub(super) fn tables(&self) {
        println!(
            "\nConfiguration service (medians; x raw: rate divided by that of raw etcd puts, as many clients)"
        );
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "", "clients", "per second", "p50 ms", "p99 ms", "x raw"]);
        for row in self.rows() {
            let sample = self.of(row);
            let ratio = self.ratio(row).map_or("-".into(), |ratio| format!("{ratio:.2}"));
            let millis = |micros: f64| format!("{:.2}", micros / 1e3);
            let cells = [
                row.2.to_string(),
                format!("{:.0}", sample.rate),
                millis(sample.p50),
                millis(sample.p99),
                ratio,
            ];
            table.add_row([row.0.to_owned(), row.1.to_owned()].into_iter().chain(cells));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}");
        for (when, resident, peak) in &self.memory {
            println!("memory, {when}: {} MiB (peak {} MiB)", resident / 1024, peak / 1024);
        }
        if let Some((count, kib)) = self.objects {
            println!(
                "memory per object, beyond an empty controller: {} bytes",
                kib * 1024 / count.max(1) as u64
            );
        }
        if let Some(time) = self.start_up {
            println!("start with that configuration: {:.1} s", time.as_secs_f64());
        }
    }

    pub(super) fn json(&self) {
        let rows = self.rows().into_iter().map(|row| {
            let sample = self.of(row);
            json!({"who": row.0, "what": row.1, "clients": row.2, "per_second": sample.rate,
                   "p50_us": sample.p50, "p99_us": sample.p99, "ratio_to_raw_etcd": self.ratio(row)})
        });
        let memory = self.memory.iter().map(|m| json!({"when": m.0, "resident_kib": m.1, "peak_kib": m.2}));
        let objects = self.objects.map(|(count, kib)| json!({"objects": count, "kib": kib}));
        println!(
            "{}",
            json!({"rows": rows.collect::<Vec<_>>(), "memory": memory.collect::<Vec<_>>(), "objects": objects,
                   "start_seconds": self.start_up.map(|t| t.as_secs_f64())})
        );
    }
}
