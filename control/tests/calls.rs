//! `show ip nat calls`, step by step through conversations of SIP: each field, and what a host and a VRF leave out.

use std::path::Path;

use testkit::bench::Bench;
use testkit::run::{Circumstances, run_watched};

const HEADER: [&str; 9] = ["Inside", "local", "VRF", "ALG", "Kind", "State", "Left", "Doors", "Sessions"];

/// What a command says after each step of a case.
fn answers(case: &str, worker_count: usize, command: &str) -> Vec<String> {
    let path = Path::new("../dataplane/cases/sip").join(case).with_extension("nat");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case = testkit::notation::read(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    let mut answers = Vec::new();
    let look = |bench: &mut Bench| {
        answers.push(bench.exec(command)?);
        Ok(())
    };
    let played = run_watched(&case, Circumstances { start_ms: 1000, worker_count }, look);
    played.unwrap_or_else(|why| panic!("{}", why.join("\n")));
    answers
}

/// The lines of calls in an answer, by their words, in order.
fn calls(answer: &str) -> Vec<String> {
    let mut lines = answer.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().expect("a header"), HEADER);
    let mut calls: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.join(" ")).collect();
    calls.retain(|line| !line.starts_with("door:") && !line.starts_with("edit:"));
    calls.sort();
    calls
}

/// The details of an answer that begin with a word, in order.
fn details<'a>(answer: &'a str, word: &str) -> Vec<&'a str> {
    let mut details: Vec<&str> =
        answer.lines().filter_map(|line| line.trim_start().strip_prefix(word)).collect();
    details.sort();
    details
}

fn total(answer: &str) -> &str {
    answer.lines().last().expect("a line")
}

#[test]
fn a_call_rings_is_established_and_ends() {
    for worker_count in [1, 3] {
        let answers = answers("call", worker_count, "show ip nat calls");
        let endpoint = "10.0.0.2 default sip endpoint 1 call 04:00:00 1 1";
        // Early media have come; then media of both sides, to the reports' port too.
        let expected = ["ringing 00:03:00 2 1", "ringing 00:03:00 2 2", "established 04:00:00 2 2"];
        for (answer, call) in answers.iter().zip(expected) {
            assert_eq!(calls(answer), [&format!("10.0.0.2 default sip call {call}"), endpoint], "{answer}");
            assert_eq!(total(answer), "Total number of calls: 2 (call 1, endpoint 1)");
        }
        assert_eq!(calls(&answers[4]), [""; 0], "it is over");
        assert_eq!(total(&answers[4]), "Total number of calls: 0");
    }
}

#[test]
fn details_are_its_doors() {
    for worker_count in [1, 3] {
        let answers = answers("call", worker_count, "show ip nat calls verbose");
        let line = |port: u16, outside: &str, left: &str, sessions: u8| {
            format!(
                " udp, inside global 203.0.113.1:{port}, inside local 10.0.0.2:{port}, outside {outside}, \
                 media line 1 of description 1, left {left}, sessions {sessions}"
            )
        };
        let signalling = " udp, inside global 203.0.113.1:5060, inside local 10.0.0.2:5060, outside 198.51.100.7, \
                          left 04:00:00, sessions 1";
        let offered = [line(4000, "any", "00:03:00", 1), line(4001, "any", "00:03:00", 0)];
        assert_eq!(details(&answers[0], "door:"), [&offered[0], &offered[1], signalling], "{}", answers[0]);
        let peer = "198.51.100.20";
        let answered = [line(4000, peer, "04:00:00", 2), line(4001, peer, "04:00:00", 0)];
        assert_eq!(details(&answers[2], "door:"), [&answered[0], &answered[1], signalling], "{}", answers[2]);
    }
}

#[test]
fn a_registration_is_asked_for_and_granted() {
    let of = |answers: &[String], step: usize| calls(&answers[step - 1]);
    let digest = answers("register_digest", 1, "show ip nat calls");
    assert!(
        of(&digest, 1).contains(&"10.0.0.2 default sip registration asked 00:00:32 0 0".to_string()),
        "challenged: {}",
        digest[0]
    );
    let removed = answers("register_removed", 1, "show ip nat calls");
    let granted = [
        "10.0.0.2 default sip endpoint - 00:01:00 1 1",
        "10.0.0.2 default sip registration registered 00:01:00 0 0",
    ];
    assert_eq!(of(&removed, 1), granted);
    assert_eq!(total(&removed[0]), "Total number of calls: 2 (registration 1, endpoint 1)");
    assert_eq!(of(&removed, 3), [""; 0], "{}", removed[2]);
}

#[test]
fn a_subscription_has_the_endpoints_it_relies_on() {
    let answers = answers("subscribe", 1, "show ip nat calls verbose");
    let subscription = "10.0.0.2 default sip subscription - 00:01:32 0 0";
    let endpoint = "10.0.0.2 default sip endpoint 1 call 04:00:00 1";
    let expected = [format!("{endpoint} 0"), format!("{endpoint} 1"), subscription.to_string()];
    assert_eq!(calls(&answers[0]), expected);
    assert_eq!(calls(&answers[1]), [&format!("{endpoint} 1"), &format!("{endpoint} 1"), subscription]);
    let doors = details(&answers[0], "door:");
    assert!(doors.iter().all(|door| door.contains("outside 198.51.100.7, left 04:00:00")), "{doors:?}");
}

#[test]
fn a_request_that_begins_nothing_is_told_as_such() {
    let answers = answers("rport", 1, "show ip nat calls");
    let request = "10.0.0.2 default sip request - 00:00:32 0 0".to_string();
    assert!(calls(&answers[2]).contains(&request), "{}", answers[2]);
}

#[test]
fn several_calls_rely_on_one_endpoint() {
    let answers = answers("trunk", 1, "show ip nat calls");
    let endpoint = |answer: &String| calls(answer).into_iter().find(|line| line.contains(" endpoint "));
    let is_relied_on = |answer, by: &str| endpoint(answer).is_some_and(|line| line.contains(by));
    assert!(is_relied_on(&answers[0], "endpoint 3 calls 04:00:00 1"), "{}", answers[0]);
    assert!(is_relied_on(&answers[1], "endpoint 2 calls 04:00:00 1"), "{}", answers[1]);
    assert_eq!(endpoint(&answers[3]), None);
}

/// Two hosts of one address, which register and call alike.
#[test]
fn hosts_and_vrfs_are_told_apart() {
    let of = |filter: &str| answers("vrfs", 1, &format!("show ip nat calls {filter}")).swap_remove(2);
    let all = calls(&of(""));
    assert_eq!(calls(&of("vrf *")), all);
    assert_eq!(calls(&of("inside 10.1.0.2")), all);
    assert_eq!(total(&of("")), "Total number of calls: 8 (call 2, registration 2, endpoint 4)");
    for vrf in ["RED", "BLUE"] {
        let of_vrf: Vec<String> = all.iter().filter(|line| line.contains(vrf)).cloned().collect();
        assert_eq!(of_vrf.len(), 4, "{all:?}");
        assert_eq!(calls(&of(&format!("vrf {vrf}"))), of_vrf);
        assert_eq!(calls(&of(&format!("vrf {vrf} inside 10.1.0.2"))), of_vrf);
    }
    assert_eq!(total(&of("inside 10.1.0.3")), "Total number of calls: 0");
    let red = of("vrf RED verbose");
    let outside = |addr: &str| details(&red, "door:").iter().filter(|door| door.contains(addr)).count();
    assert_eq!([outside("outside 198.51.100.20,"), outside("outside 198.51.100.21,")], [2, 0], "{red}");
}

#[test]
fn a_vrf_that_does_not_exist_is_refused() {
    let mut bench = Bench::new("test", testkit::sides::ON_LINK, Default::default()).expect("an appliance");
    assert_eq!(bench.exec("show ip nat calls vrf GREEN"), Err("% VRF GREEN does not exist".into()));
}
