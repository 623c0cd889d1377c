//! What works through which gateway: the tables of `docs/gateways-compared.md`, which hold what the tests saw. With
//! UPDATE_DOCS=1 their cells are written anew.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/gateways-compared.md";

/// A gateway, and its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The appliance as it is by default.
    Portico = 1,
    /// The kernel's NAT with its helpers.
    NftablesWithHelper = 2,
    /// The kernel's NAT.
    Nftables = 3,
}

/// What came of a scenario, by its title.
pub type Outcome = (&'static str, Result<()>);

/// What happened is what the section's table says of this gateway; with UPDATE_DOCS=1 the table will say so.
///
/// # Panics
/// When it is not so.
pub fn assert_as_written(section: &str, column: Column, outcomes: &[Outcome]) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let mut page = Page::read().expect(PAGE);
        words(outcomes).for_each(|(title, word)| page.set(section, title, column, word));
        page.write().expect(PAGE);
    }
    assert_like(section, column, outcomes);
}

/// What happened is what the section's table says of this gateway, though it was another or otherwise configured.
///
/// # Panics
/// When it is not so.
pub fn assert_like(section: &str, column: Column, outcomes: &[Outcome]) {
    for (title, outcome) in outcomes {
        let said = outcome.as_ref().map_or_else(|error| format!("fails: {error:#}"), |()| "works".to_owned());
        println!("{title}: {said}");
    }
    let page = Page::read().expect(PAGE);
    let is_other = |(title, word): &(&str, &str)| page.cell(section, title, column) != Some(word);
    let others: Vec<_> = words(outcomes).filter(is_other).collect();
    assert!(
        others.is_empty(),
        "{section}, {column:?}: the page does not say {others:?} (UPDATE_DOCS=1 writes it)"
    );
}

fn words(outcomes: &[Outcome]) -> impl Iterator<Item = (&'static str, &'static str)> {
    outcomes.iter().map(|(title, outcome)| (*title, if outcome.is_ok() { "works" } else { "fails" }))
}

/// The page's lines.
struct Page {
    path: PathBuf,
    lines: Vec<String>,
}

impl Page {
    fn read() -> Result<Page> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
        let text = fs::read_to_string(&path)?;
        Ok(Page { path, lines: text.lines().map(str::to_owned).collect() })
    }

    fn write(&self) -> Result<()> {
        fs::write(&self.path, self.lines.join("\n") + "\n").context("cannot write the page")
    }

    /// The rows of the section's table, as numbers of lines; after them a new one may be put.
    fn rows(&self, section: &str) -> Result<std::ops::Range<usize>> {
        let heading = format!("## {section}");
        let start = self.lines.iter().position(|line| *line == heading);
        let start = start.with_context(|| format!("no section {section}"))?;
        let is_rule = |line: &String| line.starts_with("|---");
        let table = self.lines[start..].iter().position(is_rule).context("no table")? + start + 1;
        let end = self.lines[table..].iter().position(|line| !line.starts_with('|'));
        ensure!(table > start, "no table");
        Ok(table..end.map_or(self.lines.len(), |len| table + len))
    }

    fn row(&self, section: &str, title: &str) -> Option<usize> {
        self.rows(section).ok()?.find(|&line| cells(&self.lines[line]).first() == Some(&title))
    }

    fn cell(&self, section: &str, title: &str, column: Column) -> Option<&str> {
        cells(&self.lines[self.row(section, title)?]).get(column as usize).copied()
    }

    fn set(&mut self, section: &str, title: &str, column: Column, word: &str) {
        let line = self.row(section, title).unwrap_or_else(|| {
            let end = self.rows(section).expect("the section's table").end;
            self.lines.insert(end, format!("| {title} | | | |"));
            end
        });
        let mut row: Vec<String> = cells(&self.lines[line]).into_iter().map(str::to_owned).collect();
        row[column as usize] = word.to_owned();
        self.lines[line] = format!("| {} |", row.join(" | "));
    }
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim().trim_start_matches('|');
    line.strip_suffix('|').unwrap_or(line).split('|').map(str::trim).collect()
}
