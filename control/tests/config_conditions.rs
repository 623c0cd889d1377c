//! What access lists, route-maps and routes depend on by name: object groups, prefix lists,
//! tracked objects, time ranges. What does not fit together, word for word.

mod config_messages;
use config_messages::expect;

#[test]
fn object_groups_that_do_not_fit() {
    for (text, messages) in [
        (
            "access-list 101 permit tcp object-group LAN any",
            &["1:1: warning: object group \"LAN\" is not defined: it matches nothing"][..],
        ),
        (
            "object-group network LAN\naccess-list 101 permit tcp object-group LAN any",
            &["1:1: warning: object group \"LAN\" is empty: it matches nothing"],
        ),
        (
            "object-group network LAN\n group-object OTHER",
            &["2:2: warning: object group \"OTHER\" is not defined: it matches nothing"],
        ),
        (
            "object-group network LAN\n host 10.0.0.1\naccess-list 101 permit object-group LAN any any",
            &["3:1: error: object group \"LAN\" is of networks, and services are needed here"],
        ),
        (
            "object-group service WEB\n tcp www\naccess-list 101 permit tcp any object-group WEB",
            &["3:1: error: object group \"WEB\" is of services, and networks are needed here"],
        ),
        (
            "object-group service WEB\n tcp www\nobject-group network X\n group-object WEB",
            &["4:2: error: object group \"WEB\" is of services, and networks are needed here"],
        ),
        (
            "object-group service X\n tcp www\nobject-group network X",
            &["3:22: error: object group \"X\" is of the other kind, by line 1"],
        ),
        (
            "object-group network A\n group-object A",
            &["2:2: error: object group \"A\" would contain itself by this line"],
        ),
        (
            "object-group network A\n group-object B\nobject-group network B\n group-object C\n\
             object-group network C\n host 10.0.0.1\n group-object A",
            &["7:2: error: object group \"A\" would contain itself by this line"],
        ),
        ("object-group network A\n host 10.0.0.1\n host 10.0.0.1", &["3:2: warning: this repeats line 2"]),
        (
            "object-group network A\n 10.0.0.9 255.255.255.0",
            &["2:2: error: 10.0.0.9 has bits outside its mask; the network is 10.0.0.0"],
        ),
        (
            "object-group network A\n range 10.0.0.9 10.0.0.1",
            &["2:8: error: the range starts at 10.0.0.9, after its end 10.0.0.1"],
        ),
        ("object-group service A\n udp range 9 1", &["2:12: error: the range starts at 9, after its end 1"]),
    ] {
        expect(text, messages);
    }
}

/// Deep nesting is searched without recursion, and groups that hold others many times over are counted once.
#[test]
fn many_groups_in_each_other_are_judged() {
    let mut text = "object-group network G0\n host 10.0.0.1\n".to_string();
    for n in 1..20_000 {
        text += &format!("object-group network G{n}\n group-object G{}\n", n - 1);
        if n > 1 {
            text += &format!(" group-object G{}\n", n - 2);
        }
    }
    text += "access-list 101 permit ip object-group G19999 any\n";
    expect(&text, &[]);
}

#[test]
fn prefix_lists_that_do_not_fit() {
    for (text, messages) in [
        (
            "ip prefix-list P permit 10.0.0.0/8 ge 8",
            &["1:39: error: \"ge 8\" is not longer than the prefix, which has 8 bits"][..],
        ),
        (
            "ip prefix-list P permit 10.0.0.0/8 le 7",
            &["1:39: error: \"le 7\" is not longer than the prefix, which has 8 bits"],
        ),
        (
            "ip prefix-list P permit 10.0.0.0/8 ge 24 le 16",
            &["1:45: error: \"le 16\" is shorter than \"ge 24\""],
        ),
        (
            "ip prefix-list P permit 10.0.0.0/8 le 24",
            &[
                "1:1: warning: this entry matches no packet, as an address has 32 bits; did you mean \"le 32\"?",
            ],
        ),
        (
            "ip prefix-list P seq 5 permit 10.0.0.0/8\nip prefix-list P seq 5 permit 11.0.0.0/8",
            &["2:22: error: the number 5 is taken by line 1"],
        ),
        (
            "ip prefix-list P permit 10.0.0.0/8\nip prefix-list P permit 10.0.0.0/8",
            &["2:1: warning: this repeats line 1"],
        ),
        (
            "route-map R permit 10\n match ip address prefix-list P",
            &["1:1: warning: prefix list \"P\" is not defined"],
        ),
        (
            "route-map R permit 10\n match ip address prefix-list",
            &["2:19: error: expected the names of prefix lists after \"prefix-list\""],
        ),
        ("no ip prefix-list P", &["1:1: warning: there is nothing like this to remove"]),
    ] {
        expect(text, messages);
    }
}

#[test]
fn tracks_that_do_not_fit() {
    const SIDES: &str = "interface Gi0/0/0\n ip address 192.0.2.1 /24\n";
    for (text, messages) in [
        (
            "track 7 interface Gi0/0/1 line-protocol",
            &["3:1: warning: interface GigabitEthernet0/0/1 is not defined"][..],
        ),
        (
            "ip route 0.0.0.0 0.0.0.0 192.0.2.9 track 7",
            &["3:1: warning: track 7 is not defined: what depends on it is not used"],
        ),
        (
            "track 7 ip sla 1 reachability",
            &[
                "3:7: warning: \"ip sla 1 reachability\" is not supported; only \"interface IFACE line-protocol\" is tracked",
            ],
        ),
        (
            "track 7 ip route 10.0.0.0 255.0.0.0 reachability\nip route 0.0.0.0 0.0.0.0 192.0.2.9 track 7",
            &[
                "3:7: warning: \"ip route 10.0.0.0 255.0.0.0 reachability\" is not supported; only \
                 \"interface IFACE line-protocol\" is tracked",
                "4:1: error: track 7 is \"ip route 10.0.0.0 255.0.0.0 reachability\" by line 3, which is not supported; \
                 only \"interface IFACE line-protocol\" is tracked",
            ],
        ),
        (
            "track 7 interface Gi0/0/0 line-protocol\n delay down 10",
            &["4:2: warning: this line has no effect: a change of the tracked object counts at once"],
        ),
        (
            "ip route 0.0.0.0 0.0.0.0 192.0.2.9 permanent track 7",
            &["3:46: error: a permanent route cannot depend on a tracked object"],
        ),
    ] {
        expect(&format!("{SIDES}{text}"), messages);
    }
}

#[test]
fn time_ranges_that_do_not_fit() {
    for (line, message) in [
        ("absolute", "2:2: error: expected \"start\" or \"end\" with a time and date"),
        ("absolute start 8:00 29 February 2026", "2:22: error: that month has no such day"),
        (
            "absolute start 8:00 2 January 2026 end 8:00 1 January 2026",
            "2:41: error: the end 08:00 01 January 2026 is before the start 08:00 02 January 2026",
        ),
        (
            "periodic daily 22:00 to 6:00",
            "2:26: error: the end 6:00 is before the start 22:00; a night is two days, as in \"periodic Monday 22:00 to \
             Tuesday 6:00\"",
        ),
        (
            "periodic weekdays 8:00 to Friday 17:00",
            "2:28: error: only a period that begins on one day can end on another",
        ),
        (
            "periodic daily 8:00 to 24:00",
            "2:25: error: expected a day of the week (end weekday) or a time of day such as 8:30 (end), found \"24:00\"",
        ),
    ] {
        expect(&format!("time-range T\n {line}"), &[message]);
    }
    expect("time-range T", &["1:1: warning: time range \"T\" has no times: it is never active"]);
    expect(
        "time-range T\n periodic daily 8:00 to 9:00\n periodic daily 08:00 to 9:00",
        &["3:2: warning: this repeats line 2"],
    );
    expect(
        "access-list 101 permit ip any any time-range T",
        &["1:1: warning: time range \"T\" is not defined: what names it is never in force"],
    );
}
