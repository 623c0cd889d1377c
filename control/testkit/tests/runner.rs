//! The runner: a conversation that goes as written passes, and each kind of wrong expectation fails, on the right
//! line and with the right words.

use std::path::Path;

use testkit::run::Circumstances;

const USUAL: Circumstances = Circumstances { start_ms: 1000, worker_count: 1 };

const HEAD: &str = "case  a test of the runner
config
  interface GigabitEthernet0/0/0
   ip address 10.0.0.1 255.255.255.0
   ip nat inside
  interface GigabitEthernet0/0/1
   ip address 192.0.2.1 255.255.255.0
   ip nat outside
  ip route 0.0.0.0 0.0.0.0 192.0.2.254
  ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 32
  access-list 1 permit 10.0.0.0 0.0.0.255
  ip nat inside source list 1 pool P overload
step 1
";
/// The line of the first one after the head.
const FIRST: usize = 14;

const IN: &str = "in inside udp 10.0.0.2:4000 > 198.51.100.7:53 tos 8 ip-id 77 df \"query\"";
const OUT: &str = "out outside udp 203.0.113.1:4000 > 198.51.100.7:53";

fn play(lines: &[&str]) -> Result<(), String> {
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    let case = testkit::notation::read(Path::new("a.nat"), &format!("{HEAD}{body}"))?;
    testkit::run::run(&case, USUAL).map_err(|failures| failures.join("\n"))
}

/// A failure on the nth line, with these words in it.
fn fails(lines: &[&str], nth: usize, words: &[&str]) {
    let failure = play(lines).expect_err(&format!("{lines:?} must fail"));
    let place = format!("a.nat:{}: ", FIRST + nth - 1);
    assert!(failure.contains(&place), "{place} is not in\n{failure}");
    for word in words {
        assert!(failure.contains(word), "'{word}' is not in\n{failure}");
    }
}

#[test]
fn what_is_right_passes() {
    play(&[IN, OUT]).unwrap();
    play(&[
        IN,
        "out outside udp 203.0.113.1:$p > 198.51.100.7:53 ttl 63 tos 8 ip-id * \"query\"",
        "where $p is 4000",
    ])
    .unwrap();
}

#[test]
fn every_field_is_compared() {
    let other = |details: &str| format!("{OUT} {details}");
    for (details, words) in [
        ("ttl 64", "ttl: expected 64, came 63"),
        ("tos 9", "tos: expected 9, came 8"),
        ("ip-id 78", "ip-id: expected 78, came 77"),
        ("mf", "mf: expected 1, came 0"),
        ("\"quest\"", "data: expected \"quest\", came \"query\""),
        ("\"longer\"", "total-length: expected 34, came 33"),
        ("checksum none", "checksum: expected 0x0000, came 0x"),
        ("checksum bad", "checksum: expected 0x"),
        ("to 0200.0000.0009", "to: expected 0200.0000.0009, came 02aa.c000.02fe"),
        ("from 0200.0000.0009", "from: expected 0200.0000.0009, came 0200.0000.0002"),
        ("via 192.0.2.9", "to: expected 02aa.c000.0209, came 02aa.c000.02fe"),
        ("vlan 5", "vlan: expected 5, came none"),
        ("ip-options 01010100", "ihl: expected 6, came 5"),
    ] {
        fails(&[IN, &other(details)], 2, &["step 1: GigabitEthernet0/0/1 sends another frame", words]);
    }
    fails(
        &[IN, "out outside udp 203.0.113.2:4001 > 198.51.100.8:54"],
        2,
        &[
            "src: expected 203.0.113.2, came 203.0.113.1",
            "sport: expected 4001, came 4000",
            "dst: expected 198.51.100.8, came 198.51.100.7",
            "dport: expected 54, came 53",
            "expected  udp 203.0.113.2:4001 > 198.51.100.8:54 ttl 63",
            "came      udp 203.0.113.1:4000 > 198.51.100.7:53 ttl 63",
        ],
    );
}

#[test]
fn tcp_and_icmp_fields_are_compared() {
    let tcp = "in inside tcp 10.0.0.2:4000 > 198.51.100.7:80 syn seq 5 mss 1460";
    for (details, words) in [
        ("ack", "flags: expected ack, came syn"),
        ("seq 6", "seq: expected 6, came 5"),
        ("ack 1", "ack: expected 1, came 0"),
        ("mss 1400", "tcp-options: expected hex 02040578, came hex 020405b4"),
    ] {
        let out = format!("out outside tcp 203.0.113.1:4000 > 198.51.100.7:80 {details}");
        fails(&[tcp, &out], 2, &[words]);
    }
    let icmp = "in inside icmp echo 10.0.0.2 > 198.51.100.7 id 5 seq 6";
    fails(&[icmp, "out outside icmp echo 203.0.113.1 > 198.51.100.7 id 6"], 2, &["id: expected 6, came 5"]);
    fails(
        &[icmp, "out outside icmp echo-reply 203.0.113.1 > 198.51.100.7"],
        2,
        &["type: expected 0, came 8"],
    );
    let quoted = "in outside icmp port-unreachable 198.51.100.7 > 203.0.113.1 \
                  quote { udp 203.0.113.1:4000 > 198.51.100.7:53 ttl 9 }";
    let wrong = "out inside icmp port-unreachable 198.51.100.7 > 10.0.0.2 \
                 quote { udp 10.0.0.2:4001 > 198.51.100.7:53 ttl 8 }";
    let words = ["quoted sport: expected 4001, came 4000", "quoted ttl: expected 8, came 9"];
    fails(&[IN, OUT, quoted, wrong], 4, &words);
}

#[test]
fn frames_missing_and_frames_too_many() {
    fails(&["sessions 0", OUT], 2, &["no packet went in before"]);
    fails(&[IN, OUT, "out inside udp 1.2.3.4:1 > 1.2.3.5:2"], 3, &["does not send this frame"]);
    // An unexpected frame belongs to no line but the step's.
    fails(&[IN], 0, &["step 1: GigabitEthernet0/0/1 sends a frame that is not expected"]);
    fails(
        &[IN, "own outside arp who-has 1.2.3.4 tell 1.2.3.5"],
        2,
        &["ethertype: expected 0x0806, came 0x0800"],
    );
    fails(&[IN, "out outside tcp 203.0.113.1:4000 > 198.51.100.7:53"], 2, &["the protocols differ"]);
}

#[test]
fn drops_and_counters() {
    let stranger = "udp 198.51.100.7:53 > 203.0.113.1:4000";
    play(&[&format!("drop outside {stranger} no-mapping")]).unwrap();
    fails(&[&format!("in outside {stranger}")], 0, &["counter no-mapping: expected +0, came +1"]);
    fails(
        &[&format!("drop outside {stranger} no-route")],
        1,
        &["counter no-route: expected +1, came +0", "counter no-mapping: expected +0, came +1"],
    );
    fails(&[&format!("drop outside {stranger} no-reason")], 1, &["'no-reason' is neither a drop reason"]);
    fails(&[IN, OUT, "counter hits +1"], 3, &["counter hits: expected +1, came +0"]);
    fails(&[IN, OUT, "sessions 2"], 3, &["expected 2 sessions, there are 1"]);
    fails(&[IN, OUT, "wait 301s", "sessions 1"], 4, &["expected 1 sessions, there are 0"]);
}

#[test]
fn names_stand_for_one_number() {
    let out = "out outside udp 203.0.113.1:$p > 198.51.100.7:53";
    fails(&[IN, out, "where $p odd"], 3, &["$p is 4000, which is not as demanded"]);
    fails(&[IN, out, "where $q odd"], 3, &["$q is not known yet"]);
    let other = "in inside udp 10.0.0.2:4001 > 198.51.100.7:53";
    fails(&[IN, out, other, out], 4, &["sport: expected 4000, came 4001"]);
    fails(&["in inside udp 10.0.0.2:$p > 198.51.100.7:53"], 1, &["sport must be a number here"]);
}

#[test]
fn what_the_notation_does_not_know_is_refused() {
    for (line, words) in [
        ("send inside udp 1.1.1.1:1 > 2.2.2.2:2", "'send' is none of"),
        ("in inside foo", "'foo' is not a packet"),
        ("in inside udp 1.1.1.1 > 2.2.2.2:2", "should be ADDRESS:PORT"),
        ("in inside udp 1.1.1:1 > 2.2.2.2:2", "'1.1.1' is not an IPv4 address"),
        ("in inside udp 1.1.1.1:70000 > 2.2.2.2:2", "not a number from 0 to 65535"),
        ("in inside udp 1.1.1.1:1 > 2.2.2.2:2 seq 5", "a udp packet has no seq"),
        ("in inside udp 1.1.1.1:1 > 2.2.2.2:2 colour 5", "'colour' means nothing here"),
        ("in inside udp 1.1.1.1:1 > 2.2.2.2:2 ttl 5 ttl 6", "ttl is given twice"),
        ("in inside udp 1.1.1.1:1 > 2.2.2.2:2 \"a", "the text does not end"),
        ("in inside udp 1.1.1.1:* > 2.2.2.2:2", "sport cannot be '*'"),
        ("out inside udp 1.1.1.1:1-2 > 2.2.2.2:2", "a range is for packets that are sent"),
        ("in inside icmp hello 1.1.1.1 > 2.2.2.2", "'hello' is no ICMP type"),
        ("wait 5", "'5' is not a time"),
        ("sessions many", "'many' is not a number"),
        ("counter x 1", "'1' should be +N"),
        ("where $p large", "'large' is none of"),
        ("sessions 1 2", "left over"),
    ] {
        fails(&[line], 1, &[words]);
    }
    let read = |text: &str| testkit::notation::read(Path::new("a.nat"), text).expect_err("must be refused");
    assert!(read("case a\nconfig\n  !\nstep 2 b\n").contains("a.nat:4: this is step 1"));
    assert!(read("case a\nconfig\n  hostname x\n").contains("steps"));
    assert!(read("case a\nflavour sweet\n").contains("a.nat:2: 'flavour sweet' is none of"));
    assert!(read("  indented\n").contains("a.nat:1: an indented line"));
}

#[test]
fn what_the_configuration_lacks_is_said_with_its_line() {
    let text = HEAD.replace("ip nat outside", "ip nut outside");
    let case = testkit::notation::read(Path::new("a.nat"), &text).unwrap();
    let failure = testkit::run::run(&case, USUAL).expect_err("must fail").join("\n");
    assert!(failure.contains("a.nat:8:"), "{failure}");
    fails(&["in Gi0/0/7 udp 1.1.1.1:1 > 2.2.2.2:2"], 1, &["there is no interface GigabitEthernet0/0/7"]);
}

/// A time range is judged by the time of day that the case begins at.
#[test]
fn the_time_of_day_is_the_cases() {
    let steps = |clock: &str, outcome: &str| {
        let config = HEAD.replace("step 1\n", "").replace("case  a test of the runner\n", "");
        format!(
            "case  a test of the runner\nclock {clock}\n{config}  time-range T\n   periodic daily 8:00 to 9:00\n  \
             access-list 101 permit udp any any time-range T\n  interface GigabitEthernet0/0/0\n   \
             ip access-group 101 in\n  ip nat settings icmp admin-prohibited\nstep 1\n  {outcome}\n"
        )
    };
    let play = |text: &str| {
        let case = testkit::notation::read(Path::new("a.nat"), text)?;
        testkit::run::run(&case, USUAL).map_err(|failures| failures.join("\n"))
    };
    let passes = format!("{IN}\n  {OUT}");
    assert_eq!(play(&steps("2026-12-01 08:30", &passes)), Ok(()));
    assert!(play(&steps("2026-12-01 09:30", &passes)).is_err());
    for wrong in ["2026-02-29 08:30", "2026-12-01", "2026-12-01 24:00", "tomorrow"] {
        let refused = play(&steps(wrong, &passes)).expect_err("no time");
        assert!(refused.contains(&format!("'{wrong}' is no time")), "{refused}");
    }
}
