//! The laws of `ARCHITECTURE.md` that are about the text of the code, over all crates.

use laws::imports::{Imports, circles, imports};
use laws::writers::{unmade, unwritten};
use laws::{Texts, repository, sources};

/// Every crate's folder.
const CRATES: [&str; 12] = [
    "alg",
    "benches",
    "control",
    "control/program",
    "control/testkit",
    "dataplane",
    "dataplane/capture-file",
    "dataplane/dpdk",
    "dataplane/mem",
    "deploy/lab",
    "dpdk-sys",
    "laws",
];

/// The crates whose business is what `unsafe` is for.
const UNSAFE: [&str; 3] = ["dataplane/dpdk", "dataplane/mem", "dpdk-sys"];

/// Files that list the rows of a table, or the parts of a struct, that the rows or parts themselves work with; what they import
/// ties no circle.
const REGISTRIES: [&str; 2] = ["alg/src/registry.rs", "control/src/config/model.rs"];

/// The floors of `dataplane/src`, from the ground: a file imports its own floor's and those below.
const FLOORS: [&[&str]; 12] = [
    &["wire/", "port/"],
    &["drops.rs", "lives.rs"],
    &["flow.rs"],
    &["counters/", "head.rs", "protocols.rs"],
    &["policy/"],
    &["route/"],
    &["state/table/"],
    &["stream/"],
    &["state/"],
    &["inspect/"],
    &["message.rs", "path/"],
    &["worker.rs", "listing.rs"],
];

/// The root files of a crate's library and programs.
fn roots(texts: &Texts) -> Vec<&String> {
    let is_root = |file: &&String| {
        let (_, place) = file.split_once("src/").expect("a file of sources");
        match place.strip_prefix("bin/") {
            Some(program) => !program.contains('/') || program.ends_with("/main.rs"),
            None => place == "lib.rs" || place == "main.rs",
        }
    };
    texts.keys().filter(is_root).collect()
}

/// Fails where files under these folders have one of these words, unit tests and the files `except` aside.
#[track_caller]
fn expect_none(folders: &[&str], except: &[&str], words: &[&str]) {
    let texts = folders.iter().flat_map(|folder| sources(folder));
    for (name, text) in texts.filter(|(name, _)| !except.iter().any(|file| name.ends_with(file))) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{name}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn the_path_reads_no_clock_and_draws_no_random_number() {
    let words = ["Instant::", "SystemTime", "rand::", "random(", "thread::sleep"];
    expect_none(&["dataplane/src", "alg/src"], &[], &words);
    // What stages.rs finds is told to people, and decides nothing.
    expect_none(&["dataplane/src", "alg/src"], &["stages.rs"], &["tsc("]);
}

/// What is told apart by time is told the time: `portico run` reads the clock, its threads do, and the log stamps
/// its messages.
#[test]
fn the_appliance_reads_no_clock() {
    let clocks = ["run.rs", "leader.rs", "workers.rs"].map(|file| format!("control/program/src/{file}"));
    let clocks: Vec<&str> = clocks.iter().map(String::as_str).chain(["control/src/log.rs"]).collect();
    expect_none(
        &["control/src", "control/program/src"],
        &clocks,
        &["Instant", "SystemTime::now", ".elapsed("],
    );
}

/// Workers claim groups of global ports from each other in `ownership.rs`, when they take the first port of one.
#[test]
fn the_path_has_no_locks_and_no_read_modify_write() {
    let words = ["Mutex", "RwLock", ".fetch_", "compare_exchange", ".swap("];
    expect_none(&["dataplane/src", "alg/src"], &["ownership.rs"], &words);
}

/// A step says what is to be done, and the path does it: a packet's way is read in one file.
#[test]
fn the_path_alone_acts_on_verdicts() {
    for (name, text) in sources("dataplane/src").iter().filter(|(name, _)| !name.ends_with("path/mod.rs")) {
        let acts = |line: &str| line.find("Verdict::").zip(line.find("=>")).is_some_and(|(at, arm)| at < arm);
        let found = text.lines().position(acts).map(|number| number + 1);
        assert_eq!(found, None, "{name} matches on a verdict");
    }
}

/// What a packet brings cannot stop a worker.
#[test]
fn the_path_and_the_gateways_unwrap_nothing() {
    expect_none(&["dataplane/src", "alg/src"], &["tests.rs"], &[".unwrap()", ".expect(\"", ".expect(&"]);
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    for (name, text) in ["alg", "benches", "control", "dataplane", "deploy", "dpdk-sys", "laws"]
        .iter()
        .flat_map(|folder| sources(folder))
    {
        assert!(text.lines().count() <= 600, "{name} has more than 600 lines");
        let words = ["util", "utils", "common", "misc", "helpers", "manager"];
        let is_vague = name.trim_end_matches(".rs").split('/').any(|part| words.contains(&part));
        assert!(!is_vague, "{name} says nothing by its name");
    }
}

#[test]
fn unsafe_code_is_forbidden_in_every_library_and_program() {
    for folder in CRATES.iter().filter(|folder| !UNSAFE.contains(folder)) {
        let texts = sources(&format!("{folder}/src"));
        for root in roots(&texts) {
            assert!(texts[root].contains("#![forbid(unsafe_code)]"), "{root} does not forbid unsafe code");
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for folder in CRATES {
        let texts = sources(&format!("{folder}/src"));
        let mut read = 0;
        for root in roots(&texts) {
            let mut imports = imports(root, &texts);
            read += imports.len();
            for registry in REGISTRIES {
                imports.entry(registry.to_string()).and_modify(|rows| rows.clear());
            }
            found.extend(circles(&imports).iter().map(|circle| told(circle, &imports)));
        }
        let of_tests = texts.keys().filter(|file| file.ends_with("/tests.rs")).count();
        assert_eq!(read, texts.len() - of_tests, "files of {folder} that no root file leads to");
    }
    assert!(found.is_empty(), "{} circle(s):\n{}", found.len(), found.join("\n"));
}

/// A circle's imports, a line each.
fn told(circle: &[String], imports: &Imports) -> String {
    let mut text = format!("{} files\n", circle.len());
    for file in circle {
        for (other, name) in imports[file].iter().filter(|(other, _)| circle.contains(other)) {
            text += &format!("  {file} -> {other}: {name}\n");
        }
    }
    text
}

#[test]
fn the_laws_cover_every_crate() {
    let manifest = repository().join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).expect("the workspace's manifest");
    let line = text.lines().find(|line| line.starts_with("members")).expect("its members");
    let mut members: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    members.sort_unstable();
    assert_eq!(members, CRATES);
}

#[test]
fn files_of_the_path_import_their_own_floor_and_those_below() {
    let floor = |file: &str| {
        let place = file.trim_start_matches("dataplane/src/");
        let is_on = |floor: &&[&str]| floor.iter().any(|part| place.starts_with(part));
        FLOORS.iter().position(is_on).unwrap_or_else(|| panic!("{file} is on no floor"))
    };
    let imports = imports("dataplane/src/lib.rs", &sources("dataplane/src"));
    let mut upwards = Vec::new();
    for (file, others) in imports.iter().filter(|(file, _)| !file.ends_with("/lib.rs")) {
        let is_above = |other: &str| floor(other) > floor(file);
        let above = others.iter().filter(|(other, _)| is_above(other));
        upwards.extend(above.map(|(other, name)| format!("{file} -> {other}: {name}")));
    }
    assert!(upwards.is_empty(), "{} import(s) go upwards:\n{}", upwards.len(), upwards.join("\n"));
}

/// The packet path's code and what is around it, but for files under these paths and for tests.
fn code_without(folders: &[&str], except: &[&str]) -> Texts {
    let mut texts: Texts = folders.iter().flat_map(|folder| sources(folder)).collect();
    texts.retain(|name, _| !name.ends_with("/tests.rs") && !except.iter().any(|part| name.contains(part)));
    texts
}

/// A row that nothing counts would tell operators zero for ever. What `clear` remembers is a copy.
#[test]
fn every_counter_is_written_somewhere() {
    let code = code_without(
        &["dataplane/src", "control/src", "control/program/src"],
        &["/counters/", "/baselines.rs"],
    );
    assert_eq!(unwritten(&sources("dataplane/src/counters"), &code), [""; 0]);
}

/// The same of counters that are told apart by a reason, and of other labels.
#[test]
fn every_reason_that_is_counted_is_given_somewhere() {
    for (name, table, folders) in [
        ("DropReason", "dataplane/src/drops.rs", &["dataplane/src"][..]),
        ("EndReason", "dataplane/src/lives.rs", &["dataplane/src"]),
        ("Stage", "dataplane/src/counters/mod.rs", &["dataplane/src"]),
        ("Refusal", "alg/src/refusal.rs", &["alg/src", "dataplane/src"]),
    ] {
        let (folder, _) = table.rsplit_once('/').expect("a folder");
        let code = code_without(folders, &[table, "/counters/"]);
        assert_eq!(unmade(name, &sources(folder)[table], &code), [""; 0], "{name}");
    }
}

#[test]
fn a_counter_is_written_however_that_is_put() {
    let text = |text: &str| Texts::from([("a.rs".to_string(), text.to_string())]);
    let counters = text(
        "pub struct All { pub a: Some, pub b: [Some; 2], lives: Lives, by: [Count; 2] }
         pub struct Some { pub n: Count }
         impl All { pub fn by(&self, at: usize) -> &Count { &self.by[at] } }
         pub struct Lives { begun: Count }
         impl Lives { pub fn set(&self, n: u64) { self.begun.set(n); } }",
    );
    let all = "fn f(all: &All) { all.by(1).add(1); all.lives.set(3); }";
    for code in [
        "fn g(some: &Some) { some.n.add(1); }",
        "struct S { all: Arc<All> } impl S { fn g(&self) { self.all.b[0].n.set(1); } }",
        "fn g(all: &All) { for (n, some) in all.b.iter().enumerate() { some.n.add(n); } }",
        "fn g(all: &All) { let (n, some) = (1, &all.a); some.n.add(n); }",
        "fn g(all: &All) { all.b.iter().for_each(|some| some.n.add(1)); }",
        "fn g(x: &X) { h(x).n.add(1); } fn h(x: &X) -> &Some { x.some() }",
        "fn g(some: &Some, n: &Count) { if is { n } else { &some.n }.add(1); }",
    ] {
        assert_eq!(unwritten(&counters, &text(&format!("{all} {code}"))), [""; 0], "{code}");
    }
    for code in [
        "fn g(some: &Some) { told(some.n.value()); }",
        "fn g(other: &Other) { other.n.add(1); }",
        "#[cfg(test)] mod tests { fn g(some: &Some) { some.n.add(1); } }",
    ] {
        assert_eq!(unwritten(&counters, &text(&format!("{all} {code}"))), ["Some.n"], "{code}");
    }
    assert_eq!(unwritten(&counters, &text("")), ["All.by", "All.lives", "Some.n"]);
}

#[test]
fn a_reason_is_made_by_an_expression_and_not_by_a_pattern() {
    let text = |text: &str| Texts::from([("a.rs".to_string(), text.to_string())]);
    let code = "fn f(why: Why) -> Why { if why == Why::A { return Why::C; }
        match why { Why::B | Why::D => Why::C, _ => why } }";
    assert_eq!(unmade("Why", "enum Why { A, B, C, D }", &text(code)), ["A", "B", "D"]);
    assert_eq!(unmade("Why", "rows! { B \"b; c\" X; C \"c\" Y; }", &text(code)), ["B"]);
}

/// The circles of a crate of these files.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let texts = files.iter().map(|(file, text)| (file.to_string(), text.to_string())).collect();
    circles(&imports("src/lib.rs", &texts))
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let root = ("src/lib.rs", "pub mod a; mod b;");
    let b = ("src/b.rs", "pub struct B; impl From<super::a::A> for B { }");
    for a in [
        "use crate::b::B; pub struct A(B);",
        "use super::b; pub struct A(b::B);",
        "pub struct A; fn f() { println!(\"{}\", crate::b::B); }",
        "use super::{b::{self as c}}; pub struct A; fn f() -> c::B { c::B }",
        "use super::b::*; pub struct A; fn f() -> B { B }",
    ] {
        assert_eq!(circles_of(&[root, ("src/a.rs", a), b]), [["src/a.rs", "src/b.rs"]], "{a}");
    }
    let child = [("src/lib.rs", "mod a;"), ("src/a/b.rs", "use super::A; pub struct B(A);")];
    let uses_it = ("src/a/mod.rs", "mod b; pub struct A; fn f() -> b::B { b::B(A) }");
    assert_eq!(circles_of(&[child[0], child[1], uses_it]), [["src/a/b.rs", "src/a/mod.rs"]]);
}

#[test]
fn what_is_no_import_ties_no_circle() {
    let b = ("src/a/b.rs", "use super::A; pub struct B(A);");
    let re_exports = ("src/a/mod.rs", "mod b; pub use b::B; pub struct A;");
    let root = ("src/lib.rs", "mod a;");
    assert!(circles_of(&[root, b, re_exports]).is_empty());
    let tests = ("src/a/mod.rs", "mod b; pub struct A; #[cfg(test)] mod tests { use super::b::B; }");
    assert!(circles_of(&[root, b, tests]).is_empty());
    // Through a re-export it is the child's file that is imported, not the one that re-exports.
    let sister = ("src/a/c.rs", "use super::B; pub struct C(B);");
    let both = ("src/a/mod.rs", "mod b; mod c; pub use b::B; use c::C; pub struct A(C);");
    assert!(circles_of(&[root, ("src/a/b.rs", "pub struct B;"), sister, both]).is_empty());
}
