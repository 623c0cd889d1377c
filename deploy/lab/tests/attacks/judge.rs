//! What came of attacks: the bar, and the table.

use crate::stage::{PHASES, Promise, Row};
use crate::tally::{Got, Visits};
use crate::visits::{Column, KINDS, PAGE};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// Who is new is served within this time, and so are operators.
const BAR: Duration = Duration::from_secs(1);
const DOCS: &str = "docs/attacks.md";

/// How long the phases are, in turns of the witness, each of half a second.
#[derive(Clone, Copy)]
pub struct Length {
    /// Before the attack.
    pub before: usize,
    /// During the attack.
    pub during: usize,
    /// After it.
    pub after: usize,
    /// Who waits longer gets nothing.
    pub patience: Duration,
}

impl Length {
    /// For every test run.
    pub const SHORT: Length = Length { before: 2, during: 8, after: 2, patience: Duration::from_secs(120) };
    /// For the table.
    pub const LONG: Length = Length { before: 8, during: 20, after: 8, patience: Duration::from_secs(10) };
}

/// What came of a row.
pub struct Outcome {
    /// The row.
    pub row: &'static Row,
    /// What the attacker did a second.
    pub rate: f64,
    /// What honest hosts got, by phase.
    pub got: [Got; 3],
    /// What went wrong.
    pub notes: Vec<String>,
    /// Reasons of drops that grew.
    pub grown: Vec<(String, u64)>,
    /// Frames that found no room in the appliance's rings.
    pub missed: u64,
}

impl Outcome {
    fn visits(&self, phase: usize, column: Column) -> Visits {
        let is_meant = |kind: &str| match column {
            Column::Page => kind == PAGE,
            _ => KINDS.iter().any(|one| one.name == kind && one.column == column),
        };
        self.got[phase].visits_of(is_meant)
    }

    /// What does not hold however much time there was.
    pub fn losses(&self) -> Vec<String> {
        let mut broken = Vec::new();
        // What a machine had no time to take from the ring was never the appliance's.
        let lost: u64 = self.got.iter().map(|got| got.lost).sum();
        if lost > self.missed {
            let by_phase = self.got.each_ref().map(|got| got.lost);
            broken.push(format!("{by_phase:?} messages lost, {} frames missed", self.missed));
        }
        broken.extend(
            self.got.iter().all(|got| got.messages == 0).then(|| "the witness said nothing".to_owned()),
        );
        let is_forwarding = self.row.promise == Promise::All;
        broken.extend(self.notes.iter().filter(|_| is_forwarding).cloned());
        broken.into_iter().map(|what| format!("{}: {what}", self.row.name)).collect()
    }

    /// What does not hold.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.losses();
        let columns = match self.row.promise {
            Promise::All => {
                &[Column::Newcomer, Column::Gateway, Column::Notice, Column::Command, Column::Page][..]
            }
            Promise::NothingLost => &[Column::Command],
        };
        for (phase, word) in PHASES.iter().enumerate() {
            for column in columns {
                let visits = self.visits(phase, *column);
                if visits.slowest > BAR || visits.count == 0 {
                    broken.push(format!("{}: {column:?} {word}: {visits:?}", self.row.name));
                }
            }
        }
        let late: u64 = self.got.iter().map(|got| got.late).sum();
        if late > 0 && self.row.promise == Promise::All {
            broken.push(format!("{}: {late} messages later than a second", self.row.name));
        }
        broken
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let three = |of: &dyn Fn(usize) -> String| [of(0), of(1), of(2)].join(" / ");
        let slowest = |column: Column| {
            three(&|phase| {
                let visits = self.visits(phase, column);
                let failed =
                    if visits.failed > 0 { format!(" ({} not)", visits.failed) } else { String::new() };
                format!("{}{failed}", visits.slowest.as_millis())
            })
        };
        let cells = [
            self.row.name.to_owned(),
            if self.rate < 10.0 { format!("{:.1}", self.rate) } else { format!("{:.0}", self.rate) },
            three(&|phase| self.got[phase].lost.to_string()),
            three(&|phase| self.got[phase].late.to_string()),
            slowest(Column::Newcomer),
            slowest(Column::Gateway),
            slowest(Column::Notice),
            slowest(Column::Command),
            slowest(Column::Page),
            three(&|phase| format!("{:.0}", self.got[phase].busy * 100.0)),
            if self.broken().is_empty() { "yes" } else { "**no**" }.to_owned(),
        ];
        format!("| {} |", cells.join(" | "))
    }
}

const HEADER: &str = "\
| Attack | A second | Lost | Late | New host, ms | By a gateway, ms | Notice, ms | Command, ms | Metrics, ms | Busy, % | Holds |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// All lines.
pub fn table(outcomes: &[Outcome]) -> String {
    let lines: Vec<String> = outcomes.iter().map(Outcome::line).collect();
    format!("{HEADER}{}\n", lines.join("\n"))
}

/// Writes the table into its page with UPDATE_DOCS=1.
pub fn write_page(outcomes: &[Outcome]) -> Result<()> {
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(DOCS);
    let text = std::fs::read_to_string(&path)?;
    let start = text.find("| Attack |").context("no table")?;
    let end = text[start..].find("\n\n").map_or(text.len(), |len| start + len + 1);
    let page = [&text[..start], &table(outcomes), &text[end..]].concat();
    std::fs::write(path, page).context("cannot write the page")
}
