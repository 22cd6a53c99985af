//! Tables for people, JSON for programs.

use comfy_table::{CellAlignment, Table};

use crate::measure::{Figure, Metric, Place};

/// Prints a table for each place, with each figure's ratio to the bare veth pair's and to Weft's.
pub(crate) fn tables(figures: &[Figure]) {
    for (place, title) in [(Place::OneHost, "on one host"), (Place::TwoHosts, "across two hosts")] {
        println!("\nWorkload to workload {title} (medians; x: Weft's figure divided by this one)");
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        let mut header = vec!["".to_owned()];
        header.extend(Metric::ALL.iter().flat_map(|m| [m.heading().to_owned(), "Weft x".to_owned()]));
        table.set_header(header);
        for candidate in candidates(figures) {
            let mut row = vec![candidate.to_owned()];
            for metric in Metric::ALL {
                row.extend(cells(figures, candidate, place, metric));
            }
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}");
    }
}

fn candidates(figures: &[Figure]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for figure in figures {
        if !names.contains(&figure.candidate) {
            names.push(figure.candidate);
        }
    }
    names
}

fn median(figures: &[Figure], candidate: &str, place: Place, metric: Metric) -> Option<f64> {
    let found = figures.iter().find(|f| f.candidate == candidate && f.place == place && f.metric == metric);
    found.map(Figure::median)
}

fn cells(figures: &[Figure], candidate: &str, place: Place, metric: Metric) -> [String; 2] {
    let Some(value) = median(figures, candidate, place, metric) else {
        return ["-".into(), "-".into()];
    };
    let shown = if metric == Metric::Stream { format!("{value:.1}") } else { format!("{value:.0}") };
    let ratio =
        median(figures, "weft", place, metric).map_or("-".into(), |weft| format!("{:.2}", weft / value));
    [shown, ratio]
}

/// Prints every figure with its rounds.
pub(crate) fn json(figures: &[Figure]) {
    let rows: Vec<_> = figures
        .iter()
        .map(|f| {
            serde_json::json!({
                "candidate": f.candidate,
                "place": format!("{:?}", f.place),
                "metric": f.metric.heading(),
                "median": f.median(),
                "rounds": f.rounds,
            })
        })
        .collect();
    println!("{}", serde_json::Value::from(rows));
}
