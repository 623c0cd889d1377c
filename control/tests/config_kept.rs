//! A changed configuration goes back into the text of its file: what stays keeps its place and its comments.

mod config_models;
use std::hash::{BuildHasher, RandomState};

use config_models::config;
use control::config::{Config, Kept, difference, parse, rewritten};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

fn read(text: &str) -> Config {
    parse("test", text).unwrap_or_else(|errors| panic!("{}\n{text}", errors[0])).config
}

const FILE: &str = "\
! the office
hostname edge
aaa new-model
!
interface GigabitEthernet0/0/0
 ! towards the ISP
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
 duplex auto
interface GigabitEthernet0/0/1
 description hosts
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
!
! addresses that the ISP gave us
ip nat pool P 192.0.2.10 192.0.2.19 prefix-length 24
ip nat inside source list 1 pool P overload
access-list 1 permit 10.0.0.0 0.0.0.255
! the printers
ip access-list extended PRINTERS
 permit tcp any host 10.0.0.9 eq 631
 ! and their pages
 permit tcp any host 10.0.0.9 eq 80
router ospf 1
 network 10.0.0.0 0.0.0.255 area 0
end
";

/// The file after these lines were typed.
fn after(lines: &[&str]) -> String {
    let mut editing = control::config::Editing::of(&read(FILE));
    for line in lines {
        editing.line(line).unwrap_or_else(|refusal| panic!("{refusal}"));
    }
    let config = editing.finished().unwrap_or_else(|found| panic!("{}", found[0])).config;
    let Kept::InPlace(text) = rewritten(FILE, &config) else { panic!("not in place: {lines:?}") };
    assert_eq!(read(&text), config, "{text}");
    text
}

/// The file's lines that went, and those that came, as a `diff` of the two texts has them.
fn changes(lines: &[&str]) -> Vec<String> {
    let text = after(lines);
    let (old, new): (Vec<&str>, Vec<&str>) = (FILE.lines().collect(), text.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}"));
    let came = new.iter().enumerate().filter(|(_, line)| !old.contains(line));
    let came = came.map(|(at, line)| format!("{} +{line}", new[at - 1]));
    let changes = gone.chain(came).collect();
    let stayed: Vec<&&str> = new.iter().filter(|line| old.contains(line)).collect();
    assert!(stayed.iter().zip(old.iter().filter(|line| new.contains(line))).all(|(a, b)| *a == b), "{text}");
    changes
}

#[test]
fn nothing_changes_where_nothing_did() {
    assert_eq!(after(&[]), FILE);
}

#[test]
fn a_line_takes_the_place_of_another() {
    assert_eq!(changes(&["hostname core"]), ["-hostname edge", "! the office +hostname core"]);
    assert_eq!(
        changes(&["interface GigabitEthernet0/0/0", "ip address 192.0.2.2 255.255.255.0"]),
        ["- ip address 192.0.2.1 255.255.255.0", " duplex auto + ip address 192.0.2.2 255.255.255.0"]
    );
}

#[test]
fn new_lines_stand_with_their_kind() {
    assert_eq!(
        changes(&["ip nat pool Q 192.0.2.30 192.0.2.39 prefix-length 24"]),
        [
            "ip nat pool P 192.0.2.10 192.0.2.19 prefix-length 24 +ip nat pool Q 192.0.2.30 192.0.2.39 netmask 255.255.255.0"
        ]
    );
    assert_eq!(
        changes(&["access-list 1 permit 10.1.0.0 0.0.0.255"]),
        ["access-list 1 permit 10.0.0.0 0.0.0.255 +access-list 1 permit 10.1.0.0 0.0.0.255"]
    );
    assert_eq!(
        changes(&["interface GigabitEthernet0/0/2", "ip address 10.9.0.1 255.255.255.0"]),
        [
            " ip nat inside +interface GigabitEthernet0/0/2",
            "interface GigabitEthernet0/0/2 + ip address 10.9.0.1 255.255.255.0"
        ]
    );
}

#[test]
fn an_entry_between_two_keeps_the_comments_beside_it() {
    let text = after(&["ip access-list extended PRINTERS", "15 permit tcp any host 10.0.0.9 eq 443"]);
    assert!(text.contains(" ! and their pages\n"), "{text}");
    let text = after(&["ip access-list extended PRINTERS", "no 10"]);
    assert!(text.contains(" ! and their pages\n") && !text.contains("631"), "{text}");
}

#[test]
fn what_is_gone_takes_the_lines_under_it_along() {
    let text =
        after(&["no ip access-list extended PRINTERS", "no ip nat inside source list 1 pool P overload"]);
    assert!(!text.contains("permit tcp") && !text.contains("ip nat inside source"), "{text}");
    for kept in [
        "! the printers",
        "! addresses that the ISP gave us",
        "router ospf 1\n network 10.0.0.0",
        "aaa new-model",
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    assert!(text.ends_with("end\n"), "{text}");
}

#[test]
fn any_file_comes_to_say_any_configuration() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("SEED={seed}");
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 150,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let apart = std::cell::Cell::new(0);
    let result = runner.run(&(config(), config()), |(old, new)| {
        let commented = |line: &str| match line {
            "!" => "! a comment\nntp server 192.0.2.1\n".to_string(),
            line => format!("{line}\n"),
        };
        let text: String = old.to_string().lines().map(commented).collect();
        let (kept, is_apart) = match rewritten(&text, &new) {
            Kept::InPlace(kept) => (kept, false),
            Kept::Apart(kept) => (kept, true),
        };
        apart.set(apart.get() + u32::from(is_apart));
        let config =
            parse("kept", &kept).map_err(|errors| TestCaseError::fail(format!("{}\n{kept}", errors[0])))?;
        prop_assert_eq!(&config.config, &new, "{}\n{:?}", kept, difference(&new, &config.config));
        let count = |text: &str, line: &str| text.lines().filter(|other| *other == line).count();
        for line in ["! a comment", "ntp server 192.0.2.1"] {
            prop_assert_eq!(count(&kept, line), count(&text, line), "{}", kept);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(apart.get() < 15, "{} of 150 files could not be kept in place", apart.get());
}
