//! Every line of IOS that concerns NAT does what `ios_lines/lines.txt` says of it: a case fails without it, a warning says why it
//! has no effect, or it is refused as not supported.

mod ios_lines;

use std::path::Path;

use control::config::{Diagnostic, Severity, parse};
use ios_lines::{Row, Verdict, rows};
use testkit::bench::{Bench, Setup};
use testkit::documents::repository;
use testkit::notation;
use testkit::run::{Circumstances, run};

/// What lines are tried in that no case has.
const AROUND: &str = "\
vrf definition V
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
access-list 1 permit 10.0.0.0 0.0.0.255
access-list 2 permit 198.51.100.128 0.0.0.127
ip access-list extended WEB
 permit tcp any any eq www
ip nat pool P 203.0.113.1 203.0.113.14 prefix-length 28
ip nat pool SERVERS 10.0.0.11 10.0.0.12 prefix-length 24 type rotary
route-map RM permit 10
 match ip address 1
ip route 0.0.0.0 0.0.0.0 198.51.100.254
";

/// Opens no mode that has lines of its own.
const BETWEEN: &str = "exit\n";

#[test]
fn every_line_has_its_verdict() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter_map(|row| {
            judge(row).err().map(|why| format!("lines.txt:{}: {}: {why}", row.number, row.text))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows\n{}", wrong.len(), rows().len(), wrong.join("\n"));
}

#[test]
fn no_line_has_two_verdicts() {
    let mut known = std::collections::BTreeSet::new();
    for row in rows() {
        assert!(
            known.insert((row.opening, row.text)),
            "lines.txt:{}: {} is there twice",
            row.number,
            row.text
        );
    }
}

fn judge(row: &Row) -> Result<(), String> {
    match row.verdict {
        Verdict::Works(case) => fails_without(row, case, true),
        Verdict::Needed(case) => fails_without(row, case, false),
        Verdict::Holds(case) => holds(row, case),
        Verdict::Shown(command) => is_shown(row, command),
        Verdict::Warned(text) => is_told(row, Severity::Warning, text),
        Verdict::Refused(text) if !text.contains("not supported") => {
            Err("say that it is not supported".into())
        }
        Verdict::Refused(text) => is_told(row, Severity::Error, text),
    }
}

/// The case passes, and fails without the line. A file without it is still read, unless the line is one that others need.
fn fails_without(row: &Row, name: &str, is_read: bool) -> Result<(), String> {
    let path = repository().join("dataplane/cases").join(name).with_extension("nat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    play(&path, &text).map_err(|why| format!("the case fails as it is: {why}"))?;
    let without = without(&text, row).ok_or("the case does not have this line")?;
    let case = notation::read(&path, &without)?;
    let has_effect = |found: &Diagnostic| !found.text.contains("no effect");
    let file = path.display().to_string();
    let read = parse(&file, &notation::read(&path, &text)?.config).map_err(|_| "the case is not read")?;
    let at =
        |found: &&Diagnostic| text.lines().nth(found.line as usize - 1).map(str::trim) == Some(&row.line());
    if let Some(told) = read.warnings.iter().filter(at).find(|found| !has_effect(found)) {
        return Err(format!("it is warned of: {told}"));
    }
    match (parse(&file, &case.config), is_read) {
        (Err(found), true) => return Err(format!("the case is not even read without it: {}", found[0])),
        (Ok(_), false) => return Err("the case is read without it".into()),
        _ => {}
    }
    match play(&path, &without) {
        Ok(()) => Err("the case passes without it".into()),
        Err(_) => Ok(()),
    }
}

fn play(path: &Path, text: &str) -> Result<(), String> {
    let case = notation::read(path, text)?;
    let worker_count = case.worker_count.unwrap_or(1);
    run(&case, Circumstances { start_ms: 1000, worker_count }).map_err(|failures| failures.join("\n"))
}

/// A case's file without a line or a part of it; with a whole line go those that are indented below it. Other lines keep their
/// numbers.
fn without(text: &str, row: &Row) -> Option<String> {
    let line = row.line();
    let (mut is_found, mut below) = (false, None);
    let mut kept = Vec::new();
    for old in text.lines() {
        let indent = old.len() - old.trim_start().len();
        if below.is_some_and(|above| indent > above) {
            kept.push(String::new());
            continue;
        }
        below = None;
        let is_meant = indent > 0 && old.split_whitespace().eq(line.split_whitespace());
        is_found |= is_meant;
        kept.push(match (is_meant, row.rest()) {
            (false, _) => old.to_string(),
            (true, Some(rest)) => format!("{}{rest}", &old[..indent]),
            (true, None) => {
                below = Some(indent);
                String::new()
            }
        });
    }
    is_found.then(|| kept.join("\n") + "\n")
}

/// The line among others, and those without it or without the part that is judged.
fn texts(row: &Row) -> (String, String) {
    let opening = row.opening.map_or(String::from(BETWEEN), |opening| format!("{opening}\n"));
    let before = format!("{AROUND}{opening}");
    (format!("{before}{}\n", row.line()), format!("{before}{}\n", row.rest().unwrap_or_default()))
}

/// The line is accepted without a word and changes nothing, and the case, which has it, passes.
fn holds(row: &Row, name: &str) -> Result<(), String> {
    let path = repository().join("dataplane/cases").join(name).with_extension("nat");
    let case = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !case.lines().any(|line| line.trim() == row.line()) {
        return Err("the case does not have this line".into());
    }
    play(&path, &case).map_err(|why| format!("the case fails: {why}"))?;
    let (with, without) = texts(row);
    let read = |text: &str| parse("t", text).map_err(|found| found[0].to_string());
    let (with, without) = (read(&with)?, read(&without)?);
    if with.warnings.len() > without.warnings.len() {
        return Err(format!("it is warned of: {:#?}", with.warnings));
    }
    if with.config.to_string() != without.config.to_string() {
        return Err("it changes what is configured".into());
    }
    Ok(())
}

/// What the command prints differs by the line.
fn is_shown(row: &Row, command: &str) -> Result<(), String> {
    let (with, without) = texts(row);
    let shown = |text: &str| Bench::new("t", text, Setup::default())?.exec(command);
    if shown(&with)? == shown(&without)? { Err("it changes nothing that is printed".into()) } else { Ok(()) }
}

/// This is all that is said of the line, and it is said with its place.
fn is_told(row: &Row, severity: Severity, text: &str) -> Result<(), String> {
    let (with, without) = texts(row);
    let said = |text: &str| parse("t", text).map_or_else(|found| found, |parsed| parsed.warnings);
    let before: Vec<String> = said(&without).iter().map(ToString::to_string).collect();
    let found: Vec<Diagnostic> =
        said(&with).into_iter().filter(|found| !before.contains(&found.to_string())).collect();
    let place = with.lines().count() as u32;
    match &found[..] {
        [one] if (one.severity, one.line, one.text.as_str()) == (severity, place, text) => Ok(()),
        found => Err(format!("expected {text:?}, there is {found:#?}")),
    }
}
