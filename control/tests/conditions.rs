//! Conditions by name, in a running appliance: what commands show of them, and what they come to.

use control::compile::compile;
use control::config::model::Moment;
use control::config::parse;
use control::means::Means;
use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::spec::PacketSpec;

const SIDES: &str = "\
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip access-group GUARD in
interface GigabitEthernet0/0/1
 ip address 192.0.2.1 255.255.255.0
";

fn bench(config: &str) -> Bench {
    Bench::new("test", &format!("{SIDES}{config}"), Setup::default()).expect("a configuration")
}

/// Lets a packet arrive from inside. Returns whether it was forwarded.
fn passes(bench: &mut Bench, packet: &str) -> bool {
    let spec: PacketSpec = packet.parse().expect("a packet");
    let bytes = build::packet(&spec).expect("a packet");
    let interface = "GigabitEthernet0/0/0".parse().expect("a name");
    let frame = bench.frame_to(&interface, &bytes).expect("a frame");
    bench.inject(&interface, &frame).expect("sound");
    bench.take_all().iter().any(|(name, _)| *name != interface)
}

const GROUPS: &str = "\
object-group network HOSTS
 description of the branch
 host 10.0.0.5
 10.0.0.32 255.255.255.240
 range 10.0.0.10 10.0.0.12
 group-object MORE
object-group network MORE
 host 10.0.0.99
object-group service WEB
 tcp eq www
 tcp-udp source gt 1023 range 8000 8080
 icmp echo
ip access-list extended GUARD
 10 permit object-group WEB object-group HOSTS any
 20 permit udp object-group HOSTS any eq domain log
";

#[test]
fn an_entry_with_groups_is_shown_as_written_with_its_count() {
    let mut bench = bench(GROUPS);
    for packet in [
        "tcp 10.0.0.5:4000 > 192.0.2.9:80 syn",
        "tcp 10.0.0.12:4000 > 192.0.2.9:80 syn",
        "udp 10.0.0.99:4000 > 192.0.2.9:8080",
    ] {
        assert!(passes(&mut bench, packet), "{packet}");
    }
    for packet in ["tcp 10.0.0.13:4000 > 192.0.2.9:80 syn", "udp 10.0.0.99:1023 > 192.0.2.9:8080"] {
        assert!(!passes(&mut bench, packet), "{packet}");
    }
    let shown = "\
Extended IP access list GUARD
    10 permit object-group WEB object-group HOSTS any (3 matches)
    20 permit udp object-group HOSTS any eq domain log
";
    assert_eq!(bench.exec("show access-lists").as_deref(), Ok(shown));
    bench.exec("clear access-list counters GUARD").expect("cleared");
    assert!(passes(&mut bench, "udp 10.0.0.33:4000 > 192.0.2.9:53"));
    let shown = "\
Extended IP access list GUARD
    10 permit object-group WEB object-group HOSTS any
    20 permit udp object-group HOSTS any eq domain log (1 match)
";
    assert_eq!(bench.exec("show access-lists GUARD").as_deref(), Ok(shown));
}

#[test]
fn object_groups_are_shown() {
    let mut bench = bench(GROUPS);
    let web = "Service object group WEB\n tcp eq www\n tcp-udp source gt 1023 range 8000 8080\n icmp echo\n";
    assert_eq!(bench.exec("show object-group WEB").as_deref(), Ok(web));
    let all = bench.exec("show object-group").expect("a list");
    let hosts = "\
Network object group HOSTS
 Description of the branch
 host 10.0.0.5
 10.0.0.32 255.255.255.240
 range 10.0.0.10 10.0.0.12
 group-object MORE
Network object group MORE
 host 10.0.0.99
";
    assert_eq!(all, format!("{hosts}{web}"));
}

/// A hundred networks from and to make ten thousand conditions of an entry; ten such entries are the most.
#[test]
fn what_groups_make_of_entries_is_bounded() {
    let group: String = (0..100).map(|n| format!(" 10.{}.0.0 255.255.0.0\n", 2 * n)).collect();
    let entries = |count: usize| -> String {
        (1..=count)
            .map(|n| format!("access-list 101 permit tcp object-group G object-group G eq {n}\n"))
            .collect()
    };
    let text = |count| format!("object-group network G\n{group}{}", entries(count));
    let compiled = |count| {
        let config = parse("test", &text(count)).expect("no mistake").config;
        compile(&config, &[], None, &Means::uncounted(1))
    };
    let policy = compiled(10).expect("as much as there may be").policy;
    assert_eq!(policy.acls[0].entries.len(), 100_000);
    let errors: Vec<String> = compiled(12).expect_err("too much").iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let expected = "test:112:1: error: the object groups make 10000 conditions of this entry, and ";
    assert!(errors[0].starts_with(expected), "{}", errors[0]);
}

/// Networks that lie side by side or in each other are one condition.
#[test]
fn networks_of_a_group_are_joined() {
    let text = "object-group network G\n range 10.0.0.0 10.0.0.255\n host 10.0.0.7\n 10.0.1.0 255.255.255.0\n\
                access-list 101 permit ip object-group G any\n";
    let config = parse("test", text).expect("no mistake").config;
    let policy = compile(&config, &[], None, &Means::uncounted(1)).expect("sound").policy;
    assert_eq!(policy.acls[0].entries.len(), 1);
}

const TRACKED: &str = "\
interface GigabitEthernet0/0/2
 ip address 198.51.100.1 255.255.255.0
track 7 interface GigabitEthernet0/0/2 line-protocol
track 8 ip sla 1 reachability
ip route 203.0.113.0 255.255.255.0 192.0.2.9 track 7
ip route 203.0.113.0 255.255.255.0 Null0 250
";

#[test]
fn a_route_follows_a_link() {
    let mut bench = bench(TRACKED);
    let routes = |bench: &mut Bench| {
        let shown = bench.exec("show ip route").expect("routes");
        shown.lines().filter(|line| line.contains("203.0.113.0")).map(str::to_string).collect::<Vec<_>>()
    };
    let track = |state: &str, changes: &str| {
        format!(
            "Track 7\n  Interface GigabitEthernet0/0/2 line-protocol\n  Line protocol is {state}\n    {changes}\n  \
             Tracked by:\n    Static IP Routing 0\n"
        )
    };
    assert_eq!(routes(&mut bench), ["S        203.0.113.0/24 [1/0] via 192.0.2.9, GigabitEthernet0/0/1"]);
    bench.advance(60_000).expect("sound");
    let shown = bench.exec("show track").expect("objects");
    let other = "Track 8\n  ip sla 1 reachability\n  Not supported\n";
    assert_eq!(shown, track("Up", "1 change, last change 00:01:01") + other);

    bench.appliance.note_links(&[true, true, false]);
    bench.advance(3_000).expect("sound");
    assert_eq!(routes(&mut bench), ["S        203.0.113.0/24 is directly connected, Null0"]);
    let shown = bench.exec("show track 7");
    assert_eq!(shown.as_deref(), Ok(track("Down (hw down)", "2 changes, last change 00:00:03").as_str()));

    bench.appliance.note_links(&[true, true, true]);
    bench.settle().expect("sound");
    assert_eq!(routes(&mut bench), ["S        203.0.113.0/24 [1/0] via 192.0.2.9, GigabitEthernet0/0/1"]);
    let refused = bench.exec("show track 9");
    assert_eq!(refused, Err("% There is no track 9".to_string()));
}

#[test]
fn prefix_lists_are_shown() {
    let mut bench = bench(
        "ip prefix-list LAN description the branch\nip prefix-list LAN permit 10.0.0.0/8 le 32\n\
         ip prefix-list LAN deny 0.0.0.0/0\nip prefix-list OTHER seq 7 permit 192.0.2.0/24\n",
    );
    let shown = "ip prefix-list LAN: 2 entries\n   Description: the branch\n   seq 5 permit 10.0.0.0/8 le 32\n   \
                 seq 10 deny 0.0.0.0/0\n";
    assert_eq!(bench.exec("show ip prefix-list LAN").as_deref(), Ok(shown));
    let all = bench.exec("show ip prefix-list");
    let other = "ip prefix-list OTHER: 1 entries\n   seq 7 permit 192.0.2.0/24\n";
    assert_eq!(all, Ok(format!("{shown}{other}")));
}

/// Whether a time range of these lines is active at a minute of 2026.
fn is_active(lines: &[&str], month: u8, day: u8, hour: u16, minute: u16) -> bool {
    let text: String = lines.iter().map(|line| format!(" {line}\n")).collect();
    let config = parse("test", &format!("time-range T\n{text}")).expect("no mistake").config;
    let moment = Moment { year: 2026, month, day, minute: hour * 60 + minute };
    config.active_time_ranges(moment.time())["T"]
}

/// The first of December of 2026 was a Tuesday.
#[test]
fn time_ranges_are_active_at_their_times() {
    let weekdays = ["periodic weekdays 8:00 to 17:00"];
    for (day, hour, minute, active) in [
        (1, 7, 59, false),
        (1, 8, 0, true),
        (4, 17, 0, true),
        (4, 17, 1, false),
        (5, 12, 0, false),
        (6, 12, 0, false),
    ] {
        assert_eq!(is_active(&weekdays, 12, day, hour, minute), active, "{day} December {hour}:{minute}");
    }
    let weekend = ["periodic Friday 18:00 to Monday 6:00"];
    for (day, hour, active) in
        [(4, 17, false), (4, 18, true), (6, 3, true), (7, 6, true), (7, 7, false), (9, 12, false)]
    {
        assert_eq!(is_active(&weekend, 12, day, hour, 0), active, "{day} December {hour}:00");
    }
    let both =
        ["absolute start 12:00 2 December 2026 end 12:00 5 December 2026", "periodic daily 10:00 to 14:00"];
    for (day, hour, active) in
        [(2, 11, false), (2, 12, true), (3, 15, false), (5, 12, true), (5, 13, false), (6, 11, false)]
    {
        assert_eq!(is_active(&both, 12, day, hour, 0), active, "{day} December {hour}:00");
    }
    let named = ["periodic Tuesday Sunday 9:00 to 10:00", "periodic weekend 12:00 to 13:00"];
    for (day, hour, active) in
        [(1, 9, true), (2, 9, false), (5, 9, false), (5, 12, true), (6, 9, true), (6, 13, true)]
    {
        assert_eq!(is_active(&named, 12, day, hour, 0), active, "{day} December {hour}:00");
    }
    assert!(is_active(&["absolute end 0:00 1 December 2026"], 11, 30, 23, 59));
    assert!(!is_active(&["absolute end 0:00 1 December 2026"], 12, 1, 0, 1));
    assert!(!is_active(&[], 12, 1, 0, 1), "without times it never is");
}

#[test]
fn entries_come_into_force_and_go_with_the_time() {
    let config = "\
time-range WORK
 periodic Tuesday 8:00 to 8:00
time-range LATER
 absolute start 09:00 01 December 2026
time-range NEVER
ip access-list extended GUARD
 10 permit udp any any eq domain time-range WORK
 20 permit udp any any eq domain log time-range LATER
";
    let morning = Moment { year: 2026, month: 12, day: 1, minute: 7 * 60 + 59 };
    let setup = Setup { time_of_day: morning.time(), ..Setup::default() };
    let mut bench = Bench::new("test", &format!("{SIDES}{config}"), setup).expect("a configuration");
    let query = "udp 10.0.0.5:4000 > 192.0.2.9:53";
    let mut seen = Vec::new();
    for _ in 0..63 {
        seen.push(passes(&mut bench, query));
        bench.advance(60_000).expect("sound");
    }
    let expected: Vec<bool> = (0..63).map(|minute| minute == 1 || minute >= 61).collect();
    assert_eq!(seen, expected, "at 8:00, and from 9:00 on");
    let lists = "\
Extended IP access list GUARD
    10 permit udp any any eq domain time-range WORK (inactive) (1 match)
    20 permit udp any any eq domain log time-range LATER (active) (2 matches)
";
    assert_eq!(bench.exec("show access-lists").as_deref(), Ok(lists));
    let ranges = "\
time-range entry: WORK (inactive)
   periodic Tuesday 8:00 to 8:00
   used in: IP ACL entry
time-range entry: LATER (active)
   absolute start 09:00 01 December 2026
   used in: IP ACL entry
time-range entry: NEVER (inactive)
";
    assert_eq!(bench.exec("show time-range").as_deref(), Ok(ranges));
}
