//! A configuration is changed line by line, as at a console.

use control::config::{Config, Editing, difference, marked, needs_restart, parse};

fn read(text: &str) -> Config {
    parse("test", text).unwrap_or_else(|errors| panic!("{}\n{text}", errors[0])).config
}

const BASE: &str = "\
interface GigabitEthernet0/0/0
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
interface GigabitEthernet0/0/1
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
ip nat pool P 192.0.2.10 192.0.2.19 prefix-length 24
access-list 1 permit 10.0.0.0 0.0.0.255
ip nat inside source list 1 pool P
";

fn typed(editing: &mut Editing, lines: &[&str]) {
    for line in lines {
        editing.line(line).unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
    }
}

#[test]
fn lines_go_into_the_mode_that_the_prompt_shows() {
    let base = read(BASE);
    let mut editing = Editing::of(&base);
    assert_eq!(editing.prompt(), "config");
    typed(&mut editing, &["int Gi0/0/1"]);
    assert_eq!(editing.prompt(), "config-if");
    typed(
        &mut editing,
        &["ip address 10.0.0.2 255.255.255.0", "no ip nat inside", "ip access-list extended A"],
    );
    assert_eq!(editing.prompt(), "config-ext-nacl");
    typed(&mut editing, &["permit ip any any", "exit"]);
    assert_eq!(editing.prompt(), "config");
    let changed = editing.finished().expect("it fits together").config;
    assert_eq!(
        difference(&base, &changed),
        [
            " interface GigabitEthernet0/0/1",
            "- ip address 10.0.0.1 255.255.255.0",
            "- ip nat inside",
            "+ ip address 10.0.0.2 255.255.255.0",
            "+ip access-list extended A",
            "+ 10 permit ip any any",
        ]
    );
}

#[test]
fn a_line_that_is_refused_changes_nothing_and_neither_do_those_of_its_mode() {
    let base = read(BASE);
    let mut editing = Editing::of(&base);
    typed(&mut editing, &["interface GigabitEthernet0/0/1"]);
    for line in ["ip nat outsid", "ip address 10.0.0.1", "no such line"] {
        assert!(editing.line(line).is_err_and(|refusal| refusal.contains("% ")), "{line}");
        assert_eq!(editing.prompt(), "config-if", "{line}");
    }
    // What follows would have been meant for the other interface.
    assert!(editing.line("interface Gigabit0/x").is_err());
    let refusal = editing.line("ip nat outside").expect_err("it has no mode");
    assert!(refusal.starts_with("% Not carried out"), "{refusal}");
    assert_eq!(editing.refused(), 5);
    assert_eq!(difference(&base, editing.config()), [] as [String; 0]);
}

#[test]
fn refusals_are_in_the_words_of_ios() {
    for (line, words) in [
        ("ip nat insde source", "       ^\n% Invalid input detected at '^' marker.\n"),
        ("ip nat pool X", "% Incomplete command.\n"),
        ("p", "% Ambiguous command:  \"p\"\n"),
        ("ip nat pool X 192.0.2.30 192.0.2.20 prefix-length 24", "% "),
    ] {
        let refusal = Editing::of(&read(BASE)).line(line).expect_err("refused");
        assert!(refusal.contains(words), "{line}: {refusal}");
    }
}

#[test]
fn only_what_is_new_is_warned_of() {
    let mut editing = Editing::of(&read(&format!("{BASE}ip nat inside source list 2 pool P\n")));
    assert_eq!(editing.finished().map(|parsed| parsed.warnings.len()), Ok(0));
    typed(&mut editing, &["ip nat inside source list 3 pool P"]);
    let warnings = editing.finished().expect("it fits together").warnings;
    assert!(warnings.len() == 1 && warnings[0].text.contains("\"3\""), "{warnings:?}");
}

#[test]
fn what_does_not_fit_together_is_told_as_a_whole() {
    let mut editing = Editing::of(&read(BASE));
    typed(&mut editing, &["interface GigabitEthernet0/0/1", "vrf forwarding NONE", "ip nat inside"]);
    let found = editing.finished().expect_err("there is no such VRF");
    assert!(found.iter().any(|said| said.text.contains("NONE")), "{found:?}");
}

#[test]
fn completion_knows_the_mode() {
    let mut editing = Editing::of(&read(BASE));
    let words = |editing: &Editing, line: &str| -> Vec<String> {
        editing.complete(line, line.len()).into_iter().map(|found| found.word).collect()
    };
    assert!(!words(&editing, "shut").contains(&"shutdown".into()));
    typed(&mut editing, &["interface GigabitEthernet0/0/1"]);
    assert_eq!(words(&editing, "shut"), ["shutdown"]);
    assert!(words(&editing, "ip na").contains(&"nat".into()));
}

#[test]
fn what_waits_for_the_next_start_is_marked() {
    let base =
        "platform dpdk\n workers 2\n memory 512\ninterface GigabitEthernet0/0/0\n device 0000:01:00.0\n";
    let started = read(base);
    assert_eq!(marked(&started, &started), started.to_string());
    let now = read(&base.replace("512", "1024").replace(" device 0000:01:00.0\n", " description none\n"));
    assert!(needs_restart(&started, &now));
    let text = marked(&now, &started);
    assert!(text.contains(" workers 2\n ! with the next start:\n memory 1024\n"), "{text}");
    assert!(
        text.contains("! until the next start: device 0000:01:00.0 (interface GigabitEthernet0/0/0)\n"),
        "{text}"
    );
    assert!(text.contains("! until the next start: memory 512 (platform dpdk)\n"), "{text}");
    assert_eq!(read(&text), now, "it loads as it stands");
    let other = read(&format!("{base} description uplink\n"));
    assert!(!needs_restart(&started, &other));
}
