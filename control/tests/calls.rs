//! `show ip nat calls` and `show ip nat alg edits`, step by step through conversations: each field, and what a host and a VRF leave
//! out.

use std::path::Path;

use testkit::bench::Bench;
use testkit::run::{Circumstances, run_watched};

const HEADER: [&str; 9] = ["Inside", "local", "VRF", "ALG", "Kind", "State", "Left", "Doors", "Sessions"];

/// What a command says after each step of a case.
fn answers(case: &str, worker_count: usize, command: &str) -> Vec<String> {
    let path = Path::new("../dataplane/cases").join(case).with_extension("nat");
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
        let answers = answers("sip/call", worker_count, "show ip nat calls");
        // Early media have come; then media of both sides, to the reports' port too.
        let expected = ["ringing 00:03:00 2 1", "ringing 00:03:00 2 2", "established 04:00:00 2 2"];
        for (answer, call) in answers.iter().zip(expected) {
            // The endpoint lasts as long as the call that relies on it.
            let left = call.split(' ').nth(1).expect("a time");
            let endpoint = format!("10.0.0.2 default sip endpoint 1 call {left} 1 1");
            assert_eq!(calls(answer), [format!("10.0.0.2 default sip call {call}"), endpoint], "{answer}");
            assert_eq!(total(answer), "Total number of calls: 2 (call 1, endpoint 1)");
        }
        assert_eq!(calls(&answers[4]), ["10.0.0.2 default sip call ended 00:00:32 0 0"]);
        assert_eq!(total(&answers[4]), "Total number of calls: 1 (call 1)");
    }
}

#[test]
fn details_are_its_doors() {
    for worker_count in [1, 3] {
        let answers = answers("sip/call", worker_count, "show ip nat calls verbose");
        let line = |port: u16, outside: &str, left: &str, sessions: u8| {
            format!(
                " udp, inside global 203.0.113.1:{port}, inside local 10.0.0.2:{port}, outside {outside}, \
                 media line 1 of description 1, left {left}, sessions {sessions}"
            )
        };
        let signalling = |left: &str| {
            let ends = "inside global 203.0.113.1:5060, inside local 10.0.0.2:5060, outside 198.51.100.7";
            format!(" udp, {ends}, left {left}, sessions 1")
        };
        let offered = [line(4000, "any", "00:03:00", 1), line(4001, "any", "00:03:00", 0)];
        assert_eq!(
            details(&answers[0], "door:"),
            [&offered[0], &offered[1], &signalling("00:03:00")],
            "{}",
            answers[0]
        );
        let peer = "198.51.100.20";
        let answered = [line(4000, peer, "04:00:00", 2), line(4001, peer, "04:00:00", 0)];
        assert_eq!(
            details(&answers[2], "door:"),
            [&answered[0], &answered[1], &signalling("04:00:00")],
            "{}",
            answers[2]
        );
    }
}

#[test]
fn a_registration_is_asked_for_and_granted() {
    let of = |answers: &[String], step: usize| calls(&answers[step - 1]);
    let digest = answers("sip/register_digest", 1, "show ip nat calls");
    assert!(
        of(&digest, 1).contains(&"10.0.0.2 default sip registration asked 00:00:32 0 0".to_string()),
        "challenged: {}",
        digest[0]
    );
    let removed = answers("sip/register_removed", 1, "show ip nat calls");
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
    let answers = answers("sip/subscribe", 1, "show ip nat calls verbose");
    let subscription = "10.0.0.2 default sip subscription - 00:01:32 0 0";
    // How long they last is no matter of this.
    let without_time = |answer: &String| -> Vec<String> {
        let words = |line: &String| line.split(' ').map(str::to_string).collect::<Vec<_>>();
        let lines = calls(answer).into_iter();
        lines.map(|line| if line == subscription { line } else { words(&line)[..6].join(" ") }).collect()
    };
    let endpoint = "10.0.0.2 default sip endpoint 1 call";
    assert_eq!(without_time(&answers[0]), [endpoint, endpoint, subscription], "{}", answers[0]);
    assert_eq!(total(&answers[0]), "Total number of calls: 3 (subscription 1, endpoint 2)");
    let doors = details(&answers[0], "door:");
    assert!(doors.iter().all(|door| door.contains("outside 198.51.100.7, left ")), "{doors:?}");
}

#[test]
fn a_request_that_begins_nothing_is_told_as_such() {
    let answers = answers("sip/rport", 1, "show ip nat calls");
    let request = "10.0.0.2 default sip request - 00:00:32 0 0".to_string();
    assert!(calls(&answers[2]).contains(&request), "{}", answers[2]);
}

#[test]
fn several_calls_rely_on_one_endpoint() {
    let answers = answers("sip/trunk", 1, "show ip nat calls");
    let endpoint = |answer: &String| calls(answer).into_iter().find(|line| line.contains(" endpoint "));
    let is_relied_on = |answer, by: &str| endpoint(answer).is_some_and(|line| line.contains(by));
    assert!(is_relied_on(&answers[0], "endpoint 3 calls 04:00:00 1"), "{}", answers[0]);
    assert!(is_relied_on(&answers[1], "endpoint 2 calls 04:00:00 1"), "{}", answers[1]);
    assert_eq!(endpoint(&answers[3]), None);
}

/// Two hosts of one address, which register and call alike.
#[test]
fn hosts_and_vrfs_are_told_apart() {
    let of = |filter: &str| answers("sip/vrfs", 1, &format!("show ip nat calls {filter}")).swap_remove(2);
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

#[test]
fn details_are_what_changed_in_its_messages() {
    for worker_count in [1, 3] {
        let answers = answers("sip/call", worker_count, "show ip nat calls verbose inside 10.0.0.2");
        let of = |from: &str, line: &str, before: &str, after: &str| {
            format!(" 00:00:00 ago, from {from}, {line}: \"{before}\" -> \"{after}\"")
        };
        let (local, global) = ("10.0.0.2", "203.0.113.1");
        let [local_end, global_end] = [local, global].map(|addr| format!("{addr}:5060"));
        let own = |line| of("inside", line, &local_end, &global_end);
        // The invitation, in the order of its bytes; then what comes back with each answer: where to, and `received`.
        let mut expected = vec![own("Via"), own("Contact"), of("inside", "Content-Length", "85", "91")];
        expected.extend([of("inside", "o", local, global), of("inside", "c", local, global)]);
        let answer = [of("outside", "Via", &global_end, &local_end), of("outside", "Via", global, local)];
        expected.extend(answer.clone());
        assert_eq!(edits(&answers[0]), expected, "{}", answers[0]);
        expected.extend(answer.clone());
        assert_eq!(edits(&answers[1]), expected, "{}", answers[1]);
        expected.extend(answer);
        expected.push(own("Via"));
        assert_eq!(edits(&answers[2]), expected, "{}", answers[2]);
    }
}

/// The edits beneath calls, in their order.
fn edits(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("    edit:")).collect()
}

#[test]
fn a_registrations_edits_are_its_own() {
    let answers = answers("sip/vrfs", 1, "show ip nat calls vrf BLUE verbose");
    let (mut of, mut kind) = (Vec::new(), "");
    for line in answers[1].lines() {
        match line.strip_prefix("    ") {
            None => kind = line.split_whitespace().nth(3).unwrap_or_default(),
            Some(detail) if detail.starts_with("edit:") => of.push((kind, detail)),
            Some(_) => {}
        }
    }
    let count = |wanted: &str| of.iter().filter(|(kind, _)| *kind == wanted).count();
    assert!(count("registration") > 0 && count("call") > 0 && count("endpoint") == 0, "{}", answers[1]);
    let is_of_media = |(kind, detail): &&(&str, &str)| *kind == "registration" && detail.contains(", c: ");
    assert_eq!(of.iter().find(is_of_media), None);
    // The other VRF's pool has the address before this one's.
    assert!(of.iter().all(|(_, detail)| !detail.contains("203.0.113.1:5060\"")), "{of:?}");
}

#[test]
fn edits_of_all_hosts_are_listed_the_latest_at_the_end() {
    for worker_count in [1, 3] {
        let listed =
            |filter: &str| answers("sip/vrfs", worker_count, &format!("show ip nat alg edits {filter}"));
        let all = listed("").swap_remove(3);
        let rows: Vec<Vec<&str>> = all.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["Ago", "ALG", "Inside", "local", "VRF", "From", "Edit"]);
        let of_edits: Vec<&Vec<&str>> = rows[1..].iter().take_while(|row| !row.is_empty()).collect();
        let total = format!("Total number of edits: {}; each worker keeps its last 256", of_edits.len());
        assert_eq!(all.lines().last(), Some(total.as_str()));
        for row in &of_edits {
            assert_eq!(row[1..3], ["sip", "10.1.0.2"], "{all}");
            let (from, to) = (row[6].trim_matches('"'), row[8].trim_matches('"'));
            let is_global = |text: &str| text.starts_with("203.0.113.");
            // Where a body grows, its length does.
            let is_length = row[5] == "Content-Length:";
            assert!(is_length || is_global(if row[4] == "inside" { to } else { from }), "{row:?}");
        }
        let of_vrf = |vrf: &str| of_edits.iter().filter(|row| row[3] == vrf).count();
        assert!(of_vrf("RED") > 8 && of_vrf("BLUE") > 8, "{all}");
        assert!(all.contains("Contact: \"10.1.0.2:5060\" -> \"203.0.113.1:5060\""), "{all}");
        assert_eq!(listed("inside 10.1.0.2").swap_remove(3), all);
        let none = listed("inside 10.1.0.3").swap_remove(3);
        assert!(none.ends_with("Total number of edits: 0; each worker keeps its last 256\n"), "{none}");
    }
}

/// Two registrations, 20 seconds apart.
#[test]
fn edits_grow_old_and_the_latest_is_the_last() {
    for worker_count in [1, 3] {
        let all = answers("sip/register_again", worker_count, "show ip nat alg edits").swap_remove(1);
        let ages: Vec<&str> =
            all.lines().filter_map(|line| line.split_once("  sip ")).map(|(age, _)| age).collect();
        assert_eq!((ages.first(), ages.last()), (Some(&"00:00:20"), Some(&"00:00:00")), "{all}");
        assert!(ages.is_sorted_by(|one, next| one >= next), "{all}");
    }
}

#[test]
fn edits_of_streams_are_listed_and_those_of_other_algs() {
    let of_sip = answers("sip/tcp_cut", 1, "show ip nat alg edits").swap_remove(1);
    assert!(of_sip.contains(" inside  c: \"10.0.0.2\" -> \"203.0.113.1\"\n"), "{of_sip}");
    let of_ftp = answers("ftp/active", 1, "show ip nat alg edits").swap_remove(2);
    let port =
        "ftp   10.0.0.2        default         inside  PORT: \"10,0,0,2,19,136\" -> \"203,0,113,1,19,136\"\n";
    assert!(of_ftp.contains(port), "{of_ftp}");
    assert!(of_ftp.ends_with("Total number of edits: 1; each worker keeps its last 256\n"), "{of_ftp}");
}
