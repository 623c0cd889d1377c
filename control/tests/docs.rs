//! The manual's generated pages, `docs/configuration.md`, `docs/ios.md`, `docs/commands.md`, `docs/metrics.md` and `docs/algs.md`,
//! say what the tables in the code say; examples are configurations that pass the check; links lead somewhere. With UPDATE_DOCS=1
//! the pages are written anew.
mod ios_lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use control::appliance::Appliance;
use control::cli;
use control::compile::PortBinding;
use control::config::family::{MODES, ModeRow, PHRASES};
use control::config::grammar::{Grammar, Phrase, Row};
use control::config::model::{Place, ServiceKey, ServiceSwitch, TIMEOUTS};
use control::config::{Apply, KINDS, Severity, foreign, parse};
use control::load::Load;
use control::metrics::{self, Readings};
use dataplane::message::Usage;
use dataplane::port::Ports;
use dataplane::port::device::DeviceStatistics;
use ios_lines::{Verdict, rows};
use testkit::documents::{expect_document, repository};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const CONFIGURATION: &str = "\
# Every statement of the configuration

This page is generated from the tables in `control/src/config/family/`, which the parser itself reads.

A file is read line by line. A line belongs to the mode that the lines before it opened, or else to the global mode, which
it then returns to; indentation means nothing. Keywords may be abbreviated as long as they stay unique, and case does not
matter in them. A line that starts with `!` is a comment, and so is what follows a word that starts with `!`, except in
free text. Every mistake of a file is reported, and a file with a mistake configures nothing.

| Notation | Meaning |
|---|---|
| `word` | a keyword |
| `<name:kind>`, `<kind>` | a value; the kinds are listed below |
| `{ a \\| b }` | one of these |
| `[ a ]`, `[ a \\| b ]` | one of these, or nothing |
| `[ a \\| b ]*` | any of these in any order, each at most once |
| `a ...` | once or more |
| `/` | where the line may end after `no` or `default` |
| `(piece)`, `(role:piece)` | a piece of syntax that several lines share, listed below; the role tells two of them apart |

Lines marked *no* may start with `no`, which removes what the line says, or `default`, which restores what holds without
it.
";

const FOREIGN: &str = "
## Lines of other features

What a router's configuration has beside NAT is passed over, with a warning each; `portico check --strict` refuses it. Only whole
words count, as IOS writes them, and a line of the tables above with a mistake in it is never passed over. The lines under such a
line are those that are indented further; in a file without indentation those up to the next line of the tables, or of a list here.
These begin so:

";

#[test]
fn configuration_md_is_the_grammar() {
    let mut page = CONFIGURATION.to_string();
    for ModeRow { title, grammar, .. } in MODES.iter() {
        let _ = write!(page, "\n## {title}\n\n{}", statements(grammar));
    }
    page += "\n## Pieces\n\n";
    for Phrase { name, syntax } in PHRASES {
        let _ = writeln!(page, "- `({name})`: `{syntax}`");
    }
    page += "\n## Kinds of values\n\nA range such as `<1-255>` is a number within it.\n\n";
    for row in &KINDS {
        let names: Vec<String> = row.names().iter().map(|(name, _)| format!("`{name}`")).collect();
        let separator = if names.is_empty() { "" } else { ": " };
        let _ = writeln!(page, "- `<{}>`: {}{separator}{}", row.name, row.about, names.join(", "));
    }
    page += &foreign_lines();
    page += "\n## Timeouts without configuration\n\n";
    for row in TIMEOUTS {
        let _ = writeln!(page, "- `{}`: {} seconds", row.keyword, row.default_s);
    }
    check_that_all_is_explained(&page);
    expect_document("docs/configuration.md", &page);
}

/// What other features' lines begin with.
fn foreign_lines() -> String {
    let mut text = FOREIGN.to_string();
    let listed = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "- global lines: {}, `banner` with its text", listed(foreign::LINES));
    let _ = writeln!(text, "- global lines with the lines under them: {}", listed(foreign::BLOCKS));
    let _ = writeln!(
        text,
        "- interfaces with the lines under them, of the types {}",
        listed(foreign::INTERFACES)
    );
    let _ = writeln!(text, "- lines under `interface`: {}", listed(foreign::OF_INTERFACES));
    let _ = writeln!(
        text,
        "- lines under `interface` with those that are indented below them: {}",
        listed(foreign::BLOCKS_OF_INTERFACES)
    );
    let _ = writeln!(text, "- lines under `vrf definition` and `ip vrf`: {}", listed(foreign::OF_VRFS));
    let _ = writeln!(text, "- what was typed at a router's prompt: `edge1#show running-config`");
    text += "\nRefused, as a NAT would need them:\n\n";
    for (_, words, why) in foreign::REFUSED {
        let _ = writeln!(text, "- `{words}`: {why}");
    }
    text
}

fn statements(grammar: &'static Grammar<Apply>) -> String {
    let line = |row: &Row<Apply>| {
        let negatable = if row.negatable { " *no*" } else { "" };
        format!("- `{}`{negatable}  \n  {}.\n", row.syntax, row.help)
    };
    grammar.rows().map(line).collect()
}

/// Every piece and kind that a line mentions has its line further down.
fn check_that_all_is_explained(page: &str) {
    let code = page.split("## Global").nth(1).expect("the statements");
    for word in code.split_whitespace().map(|word| word.trim_matches('`')) {
        let last = |inner: &str| inner.rsplit(':').next().unwrap_or_default().to_string();
        if let Some(inner) = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')) {
            assert!(PHRASES.iter().any(|phrase| phrase.name == last(inner)), "{word} is not explained");
        } else if let Some(inner) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
            let kind = last(inner);
            let is_range = kind.starts_with(|c: char| c.is_ascii_digit());
            assert!(is_range || KINDS.iter().any(|row| row.name == kind), "{word} is not explained");
        }
    }
}

const IOS: &str = "\
# Lines of IOS

This page is generated from `control/tests/ios_lines/lines.txt`, which `control/tests/ios.rs` tries line by line. It has the lines
that a NAT's configuration has in IOS: interfaces, VRFs, routes, lists and route-maps, `ip nat` in all its forms. What lines of other
features become is in [configuration.md](configuration.md#lines-of-other-features). A part in brackets is judged by itself.

- *works*: a conversation fails when the line, or the part of it, is taken out.
- *warned*: the line is accepted and has no effect; the warning says why.
- *not supported*: a file with the line is refused, at its place.
";

#[test]
fn ios_md_is_what_the_lines_do() {
    let mut page = IOS.to_string();
    let mut section = "";
    for row in rows() {
        if row.section != section {
            section = row.section;
            let _ = write!(page, "\n## {section}\n\n| Line | | |\n|---|---|---|\n");
        }
        let case = |name: &str| format!("[{name}](../dataplane/cases/{name}.nat)");
        let (verdict, why) = match row.verdict {
            Verdict::Works(name) => ("works", format!("{} fails without it", case(name))),
            Verdict::Needed(name) => ("works", format!("{} is refused without it", case(name))),
            Verdict::Holds(name) => ("works", format!("it holds anyway, as {} shows", case(name))),
            Verdict::Shown(command) => ("works", format!("`{command}` has it")),
            Verdict::Warned(text) => ("warned", text.to_string()),
            Verdict::Refused(text) => ("not supported", text.to_string()),
        };
        let _ = writeln!(page, "| `{}` | {verdict} | {why} |", row.text);
    }
    expect_document("docs/ios.md", &page);
}

const COMMANDS: &str = "\
# Every command

This page is generated from the tables in `control/src/cli/`. A command is given by `portico exec \"COMMAND\"`, or to
`portico replay` as `--show \"COMMAND\"`. Words may be abbreviated as long as they stay unique; the notation is that of
[configuration.md](configuration.md).

";

#[test]
fn commands_md_is_the_exec_table() {
    let commands: BTreeMap<&str, &str> = cli::commands().collect();
    let lines = commands.iter().map(|(syntax, help)| format!("- `{syntax}`  \n  {help}.\n"));
    let mut page = COMMANDS.to_string() + &lines.collect::<String>();
    page += "\n## Pieces\n\n";
    for Phrase { name, syntax } in cli::PHRASES {
        let _ = writeln!(page, "- `({name})`: `{syntax}`");
    }
    expect_document("docs/commands.md", &page);
}

const METRICS: &str = "\
# Every metric

This page is generated from what `/metrics` serves once `prometheus exporter ADDRESS PORT` is configured. Counters are those
of each worker, read while it runs: two metrics of one page may be a few packets apart. The values of `reason` and `cause`
are those of [drops.md](drops.md), those of `kind` of [algs.md](algs.md#kinds-of-messages). Between bursts, for each worker:

    received + taken_over + generated = sent + consumed + dropped + handed_over + held

| Metric | Type | Labels | Meaning |
|---|---|---|---|
";

#[test]
fn metrics_md_is_what_is_served() {
    let text = "interface GigabitEthernet0/0/0\n mac-address 0200.0000.0001\n\
                ip nat pool P 192.0.2.1 192.0.2.1 prefix-length 24\nip nat inside source list 1 pool P overload\n";
    let config = parse("metrics", text).expect("a configuration").config;
    let interface = config.interfaces[0].name.clone();
    let bindings = vec![PortBinding { interface: interface.clone(), mac: None, has_link: true }];
    let devices = vec![(interface.to_string(), DeviceStatistics::default())];
    let (mut appliance, _workers) =
        Appliance::new(config, bindings, vec![Ports::new()], [1, 2]).expect("sound");
    appliance.operation.loads.push(Load::default());
    let readings = Readings { usages: Some(vec![Usage::default()]), devices };
    let served = metrics::render(&appliance, &readings);
    let mut page = METRICS.to_string();
    for lines in served.split("# HELP ").skip(1) {
        let (name, help) = lines.lines().next().and_then(|line| line.split_once(' ')).expect("a help line");
        let kind = lines.lines().nth(1).and_then(|line| line.rsplit(' ').next()).expect("a type line");
        let sample = lines.lines().nth(2).unwrap_or_else(|| panic!("{name} has no sample"));
        let labels: Vec<String> = sample
            .split(['{', ','])
            .filter_map(|part| part.split_once("=\""))
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    expect_document("docs/metrics.md", &page);
}

const ALGS: &str = "\
# Every ALG

This page is generated from the registry in `alg/src/registry.rs`. An ALG reads the control sessions to its ports, once their
first bytes are of its protocol. The [operator's guide](operator.md#algs) tells how to switch them, give them ports, and read
their counters; [what went wrong in other gateways](algs-safety.md) is a table with a case for each fault.

*Switch* is the line's end after `ip nat service`; `no` before the line switches off. All are on by default, which is
`alg defaults cisco`; under `alg defaults ietf` only those are on that RFC 4787 REQ-10 and RFC 5382 REQ-6 want on.

| ALG | Does | Ports | Switch | Under `ietf` | Standards |
|---|---|---|---|---|---|
";

const REFUSALS: &str = "
## Why messages are refused

A message that is refused passes as it came, without a door. Where the last column says so, the ALG lets go of the control
session for good: it is still translated, and its payload is never read again. That is so of connections: a datagram that is
refused says nothing of the next one, as anybody may have sent it in its sender's name, and so none makes an ALG let go. The names are the values of `reason` in
`portico_alg_refused_messages_total` and `portico_alg_detached_sessions_total`; the latter has `stream` too, for
sessions whose bytes could not be followed. For want of memory none is let go: its messages wait, or its connection is reset.

| Reason | Meaning | The ALG lets go |
|---|---|---|
";

const MESSAGES: &str = "
## Kinds of messages

The names are the values of `kind` in `portico_alg_messages_by_kind_total`. A message is of one kind by its method or its code, or
as one that cannot be read; what it brought about is another kind beside that: a call that began, say.

| ALG | Kinds |
|---|---|
";

#[test]
fn algs_md_is_the_registry() {
    let mut page = ALGS.to_string();
    for row in alg::registry::ROWS {
        let (mut ports, mut switches) = (Vec::new(), BTreeSet::new());
        for at in row.ports() {
            let transport = if at.transport == alg::Transport::Tcp { "tcp" } else { "udp" };
            ports.push(format!("{transport} {}", at.port));
            let key = ServiceKey::of_port(row, at).expect("a test finds every gateway in the table");
            let line = ServiceSwitch { place: Place::default(), key, on: true }.to_string();
            switches.insert(format!("`{}`", line.trim_start_matches("ip nat service ")));
        }
        if row.ports().is_empty() {
            ports.push("none: doors lead to it".to_string());
            switches.insert(format!("`{}`", row.keyword.split(' ').next().unwrap_or_default()));
        }
        let switches: Vec<String> = switches.into_iter().collect();
        let ietf = if row.is_ietf { "on" } else { "off" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {ietf} | {} |",
            row.name,
            row.about,
            ports.join(", "),
            switches.join(", "),
            row.standards,
        );
    }
    page += REFUSALS;
    for refusal in alg::Refusal::ALL {
        let lets_go = if refusal.detaches() { "yes" } else { "-" };
        let _ = writeln!(page, "| `{}` | {} | {lets_go} |", refusal.label(), refusal.sentence());
    }
    page += MESSAGES;
    for row in alg::registry::ROWS.iter().filter(|row| !row.kinds.is_empty()) {
        let kinds: Vec<String> = row.kinds.iter().map(|kind| format!("`{kind}`")).collect();
        let _ = writeln!(page, "| `{}` | {} |", row.name, kinds.join(", "));
    }
    expect_document("docs/algs.md", &page);
}

/// The repository's documents written by hand.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/decisions"] {
        let entries = std::fs::read_dir(repository().join(folder)).expect("a folder of documents");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    found
}

/// Blocks fenced as `ios` are whole configurations, without as much as a warning; of what else they could have is not every
/// one's matter.
#[test]
fn examples_pass_the_check() {
    let mut count = 0;
    for path in documents() {
        let text = read(&path);
        for block in text.split("```ios\n").skip(1) {
            let (example, _) = block.split_once("```").expect("the fence is closed");
            let found = parse("example", example).map_or_else(|mistakes| mistakes, |parsed| parsed.warnings);
            let told = found.iter().filter(|diagnostic| diagnostic.severity != Severity::Note);
            let messages: Vec<String> = told.map(ToString::to_string).collect();
            assert!(messages.is_empty(), "{}: {messages:#?}", path.display());
            count += 1;
        }
    }
    assert!(count >= 2, "the README and the operator's guide have an example each");
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        let text = read(&path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_ours = !target.contains("://") && !target.is_empty();
            let linked = path.parent().expect("a folder").join(target);
            assert!(!is_ours || linked.exists(), "{}: {target} does not exist", path.display());
        }
    }
}
