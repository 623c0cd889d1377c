//! Ten files in the style of routers' load as they are, configure what they say, and translate: `ios_files/NAME.cfg`, and what goes
//! through each in `ios_files/NAME.steps`.

use std::path::{Path, PathBuf};

use control::config::{Parsed, parse};
use testkit::case::Case;
use testkit::documents::repository;
use testkit::notation;
use testkit::run::{Circumstances, run};

/// A file, and what the check's last line says of it.
const FILES: &[(&str, &str)] = &[
    (
        "branch_two_providers",
        "7 interfaces, 1 VRF, 2 dynamic rules, 2 static rules, 5 access lists, 2 route-maps, 2 tracked objects, 3 static routes, 132 lines passed over",
    ),
    (
        "cgn_asr",
        "9 interfaces, 1 VRF, 2 pools, 2 dynamic rules, 2 access lists, 1 route-map, 4 static routes, 87 lines passed over",
    ),
    (
        "customer_vrfs",
        "7 interfaces, 4 VRFs, 2 pools, 3 dynamic rules, 2 static rules, 2 access lists, 5 static routes, 32 lines passed over",
    ),
    (
        "dmz",
        "3 interfaces, 1 pool, 1 dynamic rule, 6 static rules, 4 access lists, 2 static routes, 100 lines passed over",
    ),
    (
        "merger",
        "4 interfaces, 2 pools, 2 dynamic rules, 5 static rules, 3 access lists, 3 static routes, 46 lines passed over",
    ),
    (
        "office_voice",
        "7 interfaces, 1 dynamic rule, 2 static rules, 1 access list, 1 static route, 97 lines passed over",
    ),
    (
        "old_router",
        "2 interfaces, 2 pools, 2 dynamic rules, 2 static rules, 4 access lists, 2 static routes, 54 lines passed over",
    ),
    (
        "pasted_without_indentation",
        "3 interfaces, 1 dynamic rule, 1 static rule, 1 access list, 1 static route, 86 lines passed over",
    ),
    (
        "site_vpn",
        "2 interfaces, 1 dynamic rule, 4 static rules, 3 access lists, 1 route-map, 2 static routes, 71 lines passed over",
    ),
    (
        "zone_firewall",
        "3 interfaces, 1 pool, 1 dynamic rule, 3 static rules, 3 access lists, 1 static route, 71 lines passed over",
    ),
];

fn path(name: &str) -> PathBuf {
    repository().join("control/tests/ios_files").join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(name: &str, text: &str) -> Result<Parsed, String> {
    parse(name, text).map_err(|found| found.iter().map(|found| format!("{found}\n")).collect())
}

#[test]
fn every_file_loads_and_says_what_is_meant() {
    let wrong: Vec<String> = FILES
        .iter()
        .filter_map(|(name, expected)| {
            let name = format!("{name}.cfg");
            match load(&name, &read(&path(&name))) {
                Ok(parsed) if parsed.seen() == *expected => None,
                Ok(parsed) => Some(format!("{name}: {}", parsed.seen())),
                Err(found) => Some(found),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Nothing that NAT, its lists or its routes are made of.
#[test]
fn what_is_passed_over_is_no_matter_of_nat() {
    for (name, _) in FILES {
        let name = format!("{name}.cfg");
        let parsed = load(&name, &read(&path(&name))).unwrap_or_else(|found| panic!("{found}"));
        let told = parsed.warnings.iter().filter(|found| found.text.contains("passed over"));
        let lines = told.map(|found| found.text.trim_start_matches('"'));
        for line in lines.filter(|line| !line.starts_with("access-list compiled")) {
            let ours = [
                "ip nat ",
                "ip access-list ",
                "access-list ",
                "ip route ",
                "ip address ",
                "route-map ",
                "vrf ",
            ];
            assert!(!ours.iter().any(|ours| line.starts_with(ours)), "{name}: {line}");
        }
    }
}

/// What is written again is all that a file configures: it loads without a line that is passed over, and is the same.
#[test]
fn what_is_kept_of_a_file_reads_the_same() {
    for (name, _) in FILES {
        let name = format!("{name}.cfg");
        let kept =
            load(&name, &read(&path(&name))).unwrap_or_else(|found| panic!("{found}")).config.to_string();
        let again = load(&name, &kept).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(again.config.to_string(), kept, "{name}");
        assert_eq!(again.passed_over, 0, "{name}");
    }
}

#[test]
fn every_file_translates() {
    let mut wrong = Vec::new();
    for (name, _) in FILES {
        let steps = path(&format!("{name}.steps"));
        let text = format!("case  {name}\nconfig\n  hostname x\n{}", read(&steps));
        let case = notation::read(&steps, &text).unwrap_or_else(|why| panic!("{why}"));
        let config = read(&path(&format!("{name}.cfg")));
        let case = Case { config, ..case };
        if let Err(failures) = run(&case, Circumstances { start_ms: 1000, worker_count: 1 }) {
            wrong.extend(failures);
        }
    }
    assert!(wrong.is_empty(), "lines are three more than in the files:\n{}", wrong.join("\n"));
}
