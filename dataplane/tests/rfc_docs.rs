//! The tables of `docs/rfc`: no requirement is missing, and what their rows name exists.

use std::path::PathBuf;

use testkit::documents::repository;

/// The requirements of each document.
const REQUIREMENTS: &[(&str, &[&str])] = &[
    (
        "4787",
        &[
            "4787-1",
            "4787-2",
            "4787-3",
            "4787-3a",
            "4787-4",
            "4787-5",
            "4787-6",
            "4787-7",
            "4787-8",
            "4787-9,9a",
            "4787-10,10a",
            "4787-11",
            "4787-12,a,b",
            "4787-13",
            "4787-14,a",
        ],
    ),
    (
        "5382",
        &[
            "5382-1", "5382-2,a", "5382-3", "5382-4,a", "5382-5", "5382-6", "5382-7", "5382-8,a", "5382-9",
            "5382-10",
        ],
    ),
    ("5961", &["5961-3.2", "5961-4.2", "5961-5.2", "5927-4"]),
    (
        "5508",
        &[
            "5508-1,a", "5508-2", "5508-3", "5508-4", "5508-5", "5508-6", "5508-7,a", "5508-8", "5508-9",
            "5508-10", "5508-11",
        ],
    ),
    (
        "6888",
        &[
            "6888-1",
            "6888-2",
            "6888-3",
            "6888-4,a,b,c",
            "6888-5,a,b",
            "6888-6",
            "6888-7",
            "6888-8",
            "6888-9",
            "6888-10",
            "6888-11a-d",
            "6888-12",
            "6888-13",
            "6888-14",
            "6888-15",
        ],
    ),
    (
        "7857",
        &[
            "7857-2", "7857-2.1", "7857-2.2", "7857-3", "7857-4", "7857-5,6", "7857-7", "7857-7.1", "7857-8",
            "7857-9", "7857-10", "7857-11", "7857-12",
        ],
    ),
    (
        "7422",
        &["7422-map", "7422-test", "7422-use", "7422-dyn", "7422-res", "7422-ex", "7422-rec", "7422-fo"],
    ),
    (
        "3022",
        &[
            "3022-4.1",
            "3022-4.2",
            "3022-4.3",
            "3022-4.4",
            "3022-4.6",
            "2663-phases",
            "2663-twice",
            "3027-4.x",
            "3027-enc",
            "3235-6",
            "3235-2",
        ],
    ),
    ("3704", &["3704-2.1", "3704-2.2", "3704-2.3", "3704-2.4", "3704-2.5"]),
    (
        "2694",
        &[
            "2694-hdr",
            "2694-A-in",
            "2694-dyn",
            "2694-ttl",
            "2694-ptr",
            "2694-comp",
            "2694-axfr",
            "2694-upd",
            "2694-twice",
        ],
    ),
    (
        "959",
        &[
            "ftp-port",
            "ftp-pasv",
            "ftp-eprt",
            "ftp-epsv",
            "ftp-all",
            "ftp-len",
            "ftp-split",
            "ftp-sec",
            "ftp-pair",
        ],
    ),
    (
        "2326",
        &["rtsp-10", "rtsp-dst", "rtsp-srv", "rtsp-20", "rtsp-alt", "rtsp-data", "rtsp-end", "rtsp-sdp"],
    ),
];

/// The cells of a document's rows: requirement, words, stance, file, case.
fn rows(document: &str) -> Vec<Vec<String>> {
    table(&format!("docs/rfc/{document}.md"))
}

fn table(page: &str) -> Vec<Vec<String>> {
    let path = repository().join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_rule = |line: Option<&str>| line.is_some_and(|line| line.starts_with("|---"));
    let lines: Vec<&str> = text.lines().collect();
    // A page may have several tables, each with a heading of its own.
    let rows = lines.iter().enumerate().filter(|(at, line)| {
        line.starts_with('|') && !is_rule(Some(line)) && !is_rule(lines.get(at + 1).copied())
    });
    rows.map(|(_, line)| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect())
        .collect()
}

/// What a cell names in code spans.
fn spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A file that a cell names: below a folder of the data plane, or from the repository's root.
fn find(folder: &str, name: &str) -> Option<PathBuf> {
    let candidates = [repository().join(folder).join(name), repository().join(name)];
    candidates.into_iter().find(|path| path.is_file())
}

/// What of a case cell does not exist. A Rust test is named behind its file.
fn missing_cases(cell: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let mut source: Option<String> = None;
    for name in spans(cell) {
        if name.ends_with(".nat") || name.ends_with(".rs") {
            let Some(path) = find("dataplane/cases", name) else {
                missing.push(name.to_string());
                continue;
            };
            source = name.ends_with(".rs").then(|| std::fs::read_to_string(path).unwrap_or_default());
        } else if !source.as_ref().is_some_and(|text| text.contains(&format!("fn {name}("))) {
            missing.push(name.to_string());
        }
    }
    missing
}

#[test]
fn every_requirement_has_one_row() {
    for (document, requirements) in REQUIREMENTS {
        let named: Vec<String> = rows(document).iter().map(|row| row[0].clone()).collect();
        assert_eq!(&named, requirements, "docs/rfc/{document}.md");
    }
}

#[test]
fn every_row_has_a_stance_and_names_what_exists() {
    let mut faults = Vec::new();
    for (document, _) in REQUIREMENTS {
        for row in rows(document) {
            let [id, words, stance, file, case] = &row[..] else {
                faults.push(format!("{document}: {} cells in {row:?}", row.len()));
                continue;
            };
            let is_met = stance.starts_with("done") || stance.starts_with("by configuration");
            let is_explained = stance.starts_with("differs: ") || stance.starts_with("not done: ");
            if words.is_empty() || !(is_met || is_explained) {
                faults.push(format!("{id}: no stance in '{stance}'"));
            }
            if is_met && (spans(file).is_empty() || spans(case).is_empty()) {
                faults.push(format!("{id}: neither file nor case"));
            }
            let absent = spans(file).into_iter().filter(|name| find("dataplane/src", name).is_none());
            faults.extend(absent.map(|name| format!("{id}: there is no file {name}")));
            faults.extend(missing_cases(case).iter().map(|name| format!("{id}: there is no case {name}")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_fault_of_others_has_a_case_that_exists() {
    let rows = table("docs/algs-safety.md");
    assert!(!rows.is_empty(), "no table");
    let mut faults = Vec::new();
    for row in &rows {
        let [elsewhere, what, ours, case] = &row[..] else {
            faults.push(format!("{} cells in {row:?}", row.len()));
            continue;
        };
        if [elsewhere, what, ours].into_iter().any(|cell| cell.is_empty()) || spans(case).is_empty() {
            faults.push(format!("{elsewhere}: an empty cell, or no case"));
        }
        faults.extend(missing_cases(case).iter().map(|name| format!("{elsewhere}: there is no case {name}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What may leave with an inside address in it is named where tests let it pass, and nowhere else.
#[test]
fn what_passes_is_what_tests_let_pass() {
    let path = repository().join("docs/algs-safety.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let (_, passes) = text.split_once("## What passes").expect("its part about what passes");
    let rows = passes.lines().filter(|line| line.starts_with("| ")).skip(1);
    let named: Vec<&str> = rows.filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    assert_eq!(named, testkit::leak::Row::ALL.map(testkit::leak::Row::name));
}

/// A case that no table names shows a requirement that nobody finds.
#[test]
fn every_case_of_a_requirement_is_named() {
    let named: Vec<String> = REQUIREMENTS.iter().flat_map(|(document, _)| rows(document)).flatten().collect();
    let folder = repository().join("dataplane/cases/rfc");
    for entry in std::fs::read_dir(folder).expect("a folder of cases") {
        let name = format!("`rfc/{}`", entry.expect("an entry").file_name().to_string_lossy());
        assert!(named.iter().any(|cell| cell.contains(&name)), "no row names {name}");
    }
}
