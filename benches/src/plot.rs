//! The history as a drawing: throughput by run at three flow counts, and what a packet costs by sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::history::Record;

const SIZE: (u32, u32) = (1280, 860);
/// Panels of throughput, by flow count.
const FLOWS: [u32; 3] = [1, 65_536, 1_048_576];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Lines by name; a point is hollow when it was not measured in quiet.
type Lines = BTreeMap<String, Vec<(f64, f64, bool)>>;

/// Draws a history into a file.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(records: &[Record], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((2, 2));
    for (panel, flows) in panels.iter().zip(FLOWS) {
        let noun = if flows == 1 { "flow" } else { "flows" };
        let caption = format!("Mpps outbound, 64-byte UDP, {flows} {noun}; a run each");
        panel_of(panel, &caption, &throughput(records, flows), false)?;
    }
    let caption = "ticks a packet of UDP between receiving and sending, by sessions";
    panel_of(&panels[3], caption, &costs(records), true)?;
    root.present()?;
    Ok(())
}

/// Throughput of each system, run by run.
fn throughput(records: &[Record], flows: u32) -> Lines {
    let is_shown = |record: &&Record| {
        record.bench == "wire"
            && (record.phase.as_str(), record.flows) == ("out", flows)
            && (record.protocol.as_str(), record.size.as_str()) == ("udp", "64")
    };
    let shown: Vec<&Record> = records.iter().filter(is_shown).collect();
    let runs: BTreeSet<u64> = shown.iter().map(|record| record.run_s).collect();
    let mut lines = Lines::new();
    for record in shown {
        let run = runs.range(..record.run_s).count() + 1;
        let point = (run as f64, record.mpps.unwrap_or_default(), record.is_quiet);
        lines.entry(record.what.clone()).or_default().push(point);
    }
    lines
}

/// The latest costs of each mode and phase, by sessions.
fn costs(records: &[Record]) -> Lines {
    let mut latest: BTreeMap<(String, u32), &Record> = BTreeMap::new();
    // Set-up costs ten times as much: beside it nothing else would be told apart.
    for record in records.iter().filter(|record| {
        (record.bench.as_str(), record.protocol.as_str()) == ("path", "udp") && record.phase != "set-up"
    }) {
        let name = format!("{} {}", record.what, record.phase);
        let known = latest.entry((name, record.flows)).or_insert(record);
        if known.run_s <= record.run_s {
            *known = record;
        }
    }
    let mut lines = Lines::new();
    for ((name, flows), record) in latest {
        lines.entry(name).or_default().push((f64::from(flows).log2(), record.ticks, record.is_quiet));
    }
    lines
}

fn panel_of(area: &Area<'_>, caption: &str, lines: &Lines, is_log2: bool) -> Result<()> {
    let points = || lines.values().flatten();
    let x_min = points().map(|point| point.0).fold(f64::INFINITY, f64::min).min(1e9);
    let x_max = points().map(|point| point.0).fold(1.0, f64::max);
    let y_max = points().map(|point| point.1).fold(1.0, f64::max) * 1.15;
    let x_min = if points().next().is_none() { 0.0 } else { x_min };
    let wrong = |error: &dyn std::fmt::Display| anyhow!("the plot: {error}");
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(46)
        .build_cartesian_2d(x_min - 0.5..x_max + 0.5, 0.0..y_max)
        .map_err(|error| wrong(&error))?;
    let label = |x: &f64| if is_log2 { quantity(x.exp2()) } else { format!("{x:.0}") };
    chart
        .configure_mesh()
        .x_label_formatter(&label)
        .x_labels(8)
        .light_line_style(WHITE)
        .draw()
        .map_err(|error| wrong(&error))?;
    for (at, (name, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(at).to_rgba();
        let line = LineSeries::new(points.iter().map(|point| (point.0, point.1)), colour.stroke_width(2));
        let series = chart.draw_series(line).map_err(|error| wrong(&error))?;
        series
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        let dot = |&(x, y, is_quiet): &(f64, f64, bool)| {
            Circle::new((x, y), 4, ShapeStyle { color: colour, filled: is_quiet, stroke_width: 1 })
        };
        chart.draw_series(points.iter().map(dot)).map_err(|error| wrong(&error))?;
    }
    if !lines.is_empty() {
        let mut labels = chart.configure_series_labels();
        let labels = labels.position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8));
        labels.border_style(BLACK.mix(0.3)).draw().map_err(|error| wrong(&error))?;
    }
    Ok(())
}

/// A count, shortened.
fn quantity(count: f64) -> String {
    match count {
        0.0..1024.0 => format!("{count:.0}"),
        1024.0..1_048_576.0 => format!("{:.0} k", count / 1024.0),
        _ => format!("{:.0} M", count / 1_048_576.0),
    }
}
