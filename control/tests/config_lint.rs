//! What does not fit together: the messages that need a whole configuration, word for word.

mod config_messages;
use config_messages::expect;
use control::config::{Severity, parse};

/// Two interfaces, so that rules translate something.
const SIDES: &str = "interface Gi0/0/0\n ip address 10.0.0.1 /24\n ip nat inside\n\
                     interface Gi0/0/1\n ip address 192.0.2.1 /24\n ip nat outside\n";

#[test]
fn statements_that_contradict_each_other() {
    for (text, message) in [
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2\nip nat inside source static 10.0.0.3 192.0.2.2",
            "8:1: error: 192.0.2.2 is mapped by line 7 already",
        ),
        (
            "ip nat inside source static tcp 10.0.0.2 80 interface Gi0/0/1 80\n\
             ip nat inside source static tcp 10.0.0.3 80 interface Gi0/0/1 80",
            "8:1: error: interface GigabitEthernet0/0/1 tcp port 80 is mapped by line 7 already",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2\nip nat inside source static 10.0.0.2 192.0.2.3 extendable",
            "8:1: error: 10.0.0.2 is mapped by line 7 already; both lines need \"extendable\"",
        ),
        (
            "ip nat inside source static esp 10.0.0.2 interface Gi0/0/1\n\
             ip nat inside source static esp 10.0.0.3 interface Gi0/0/1",
            "8:1: error: interface GigabitEthernet0/0/1 esp is mapped by line 7 already",
        ),
        (
            "ip nat outside source static 198.51.100.7 10.9.0.7\nip nat outside source static 198.51.100.8 10.9.0.7",
            "8:1: error: 10.9.0.7 is mapped by line 7 already",
        ),
        (
            "ip nat outside source static 198.51.100.7 10.9.0.7\nip nat outside source static 198.51.100.7 10.9.0.8",
            "8:1: error: 198.51.100.7 is mapped by line 7 already; both lines need \"extendable\"",
        ),
        (
            "access-list 1 permit 10.0.0.0 0.0.0.255\nip nat inside source list 1 interface Gi0/0/1 overload extended",
            "8:1: error: \"overload extended\" is not supported, as a global port has one owner; use \"overload\"",
        ),
        ("ip nat inside source static 10.0.0.2 192.0.2.2 vrf V", "7:1: error: VRF \"V\" is not defined"),
        ("ip nat translation max-entries vrf V 10", "7:1: error: VRF \"V\" is not defined"),
        (
            "interface Gi0/0/2\n ip address 10.0.0.130 255.255.255.128",
            "8:2: error: 10.0.0.128/25 overlaps with 10.0.0.0/24 of GigabitEthernet0/0/0",
        ),
        (
            "interface Gi0/0/0.5\n encapsulation dot1Q 5\ninterface Gi0/0/0.6\n encapsulation dot1Q 5",
            "9:1: error: GigabitEthernet0/0/0.5 and GigabitEthernet0/0/0.6 carry the same VLAN, 5",
        ),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

#[test]
fn statements_that_are_suspicious() {
    for (text, message) in [
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2 egress-interface Gi0/0/9",
            "7:1: warning: interface GigabitEthernet0/0/9 is not defined",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2 redundancy HA mapping-id 7",
            "7:48: warning: \"redundancy\" has no effect: there is no second router",
        ),
        (
            "ip nat inside source static 10.0.0.2 interface Gi0/0/7",
            "7:1: warning: interface GigabitEthernet0/0/7 is not defined",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2\nip nat inside source static 10.0.0.2 192.0.2.2",
            "8:1: warning: this repeats line 7",
        ),
        ("interface Gi0/0/0.5", "7:1: warning: GigabitEthernet0/0/0.5 has no VLAN; add encapsulation dot1Q"),
        (
            "vrf definition V\ninterface Gi0/0/1\n vrf forwarding V",
            "9:2: warning: the interface loses its addresses; give them after its VRF",
        ),
        (
            "interface Gi0/0/0\n ip verify unicast source reachable-via any 150",
            "8:2: warning: access list \"150\" is not defined",
        ),
        ("version 17.3", "7:1: warning: this line has no effect: it is no matter of NAT"),
        ("no service pad", "7:1: warning: this line has no effect: it is no matter of NAT"),
        (
            "ip nat translation udp-timeout 10",
            "7:32: warning: timeouts below 60 seconds cut sessions that are still in use",
        ),
        (
            "ip route 10.60.0.0 255.255.0.0 10.50.0.1\nip route 0.0.0.0 0.0.0.0 192.0.2.254",
            "7:1: warning: next hop 10.50.0.1 is on no interface's subnet, and no other route than a default one \
             leads there: the route is not used",
        ),
        (
            "ip route 10.60.0.0 255.255.0.0 10.60.0.1\nip route 10.50.0.0 255.255.0.0 Null0",
            "7:1: warning: next hop 10.60.0.1 is on no interface's subnet, and no other route than a default one \
             leads there: the route is not used",
        ),
        ("platform dpdk\n workers 3\n cores 2-3", "7:1: warning: 3 workers share 2 cores"),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

/// In its own table, or in that which the route names.
#[test]
fn a_next_hop_is_reached_over_other_routes() {
    let text = format!(
        "{SIDES}vrf definition V\nip route 10.60.0.0 255.255.0.0 10.50.0.1\nip route 10.50.0.0 255.255.0.0 10.0.0.9\n\
         ip route vrf V 10.60.0.0 255.255.0.0 10.50.0.1 global\nip route vrf V 10.70.0.0 255.255.0.0 10.50.0.1\n"
    );
    let warnings: Vec<String> = parse("t", &text)
        .expect("no mistake")
        .warnings
        .iter()
        .filter(|found| found.severity == Severity::Warning)
        .map(ToString::to_string)
        .collect();
    assert!(matches!(&warnings[..], [one] if one.starts_with("t:11:1:")), "{warnings:?}");
}

#[test]
fn lists_that_are_suspicious() {
    for (text, message) in [
        (
            "ip nat inside source list 1 interface Gi0/0/1\naccess-list 1 deny 10.0.0.9\naccess-list 1 permit any",
            "9:1: warning: NAT uses access list \"1\", and this entry permits every packet",
        ),
        (
            "ip nat inside source route-map R interface Gi0/0/1\nroute-map R\n match ip address 101\n\
             access-list 101 permit ip any any",
            "10:1: warning: NAT uses access list \"101\", and this entry permits every packet",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2 route-map R\nroute-map R permit 20\nroute-map R deny 30",
            "8:1: warning: NAT uses route-map \"R\", and this entry matches every packet",
        ),
        (
            "ip nat inside source route-map R interface Gi0/0/1",
            "7:1: warning: route-map \"R\" is not defined",
        ),
        (
            "route-map R\n match interface Gi0/0/9",
            "7:1: warning: interface GigabitEthernet0/0/9 is not defined",
        ),
        (
            "platform dpdk\n max-sessions 1000\nip nat translation max-entries all-host 501",
            "9:1: warning: one host may have 501 of 1000 sessions; without this line its share is at most 500",
        ),
        ("ip nat translation max-entries list 7 100", "7:1: warning: access list \"7\" is not defined"),
        ("ip nat inside source list N interface Gi0/0/1", "7:1: warning: access list \"N\" is not defined"),
        (
            "access-list 1 permit 10.0.0.0 255.255.255.0",
            "7:1: warning: the wildcard 255.255.255.0 looks like a netmask; did you mean 0.0.0.255?",
        ),
        (
            "access-list 1 permit 10.20.0.0",
            "7:22: warning: 10.20.0.0 without a wildcard is one host; did you mean \"10.20.0.0 0.0.255.255\"?",
        ),
        (
            "ip access-list standard N\n deny 0.0.0.0",
            "8:7: warning: 0.0.0.0 without a wildcard is one host; did you mean \"any\"?",
        ),
        (
            "interface Gi0/0/2\n ip address 10.20.0.129 /25\naccess-list 1 permit 10.20.0.128",
            "9:1: warning: 10.20.0.128 without a wildcard is one host, but also the network 10.20.0.128/25; \
             did you mean \"10.20.0.128 0.0.0.127\"?",
        ),
        (
            "access-list 1 permit 10.20.0.9 log",
            "7:32: warning: \"log\" has no effect: matches are counted and not logged yet",
        ),
        (
            "access-list 101 deny udp any any eq 9 log-input",
            "7:39: warning: \"log-input\" has no effect: matches are counted and not logged yet",
        ),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

/// A host that is called one is meant, as is one whose line has a wildcard of zeros.
#[test]
fn hosts_of_lists_may_end_like_networks() {
    expect(
        &format!("{SIDES}access-list 1 permit host 10.20.0.0\naccess-list 1 permit 10.20.1.0 0.0.0.0"),
        &[],
    );
}

#[test]
fn pools_that_are_suspicious() {
    for (text, message) in [
        (
            "ip nat inside source list 1 pool P\naccess-list 1 permit 10.0.0.0 0.0.0.255",
            "7:1: warning: pool \"P\" is not defined",
        ),
        (
            "ip nat outside source list 1 pool P\naccess-list 1 permit 203.0.113.0 0.0.0.255",
            "7:1: warning: pool \"P\" is not defined",
        ),
        (
            "ip nat inside destination list 1 pool P\naccess-list 1 permit 192.0.2.9\n\
             ip nat pool P 10.0.0.10 10.0.0.19 netmask /24",
            "7:1: warning: pool \"P\" is not of \"type rotary\": the rule translates nothing",
        ),
        (
            "ip nat inside source list 1 pool P\naccess-list 1 permit 10.0.0.9\n\
             ip nat pool P 192.0.2.10 192.0.2.19 netmask /24 type rotary",
            "7:1: warning: pool \"P\" is rotary, which is for \"ip nat inside destination\"",
        ),
        (
            "ip nat pool P 192.0.2.1 192.0.2.19 netmask /24",
            "7:1: warning: pool \"P\" contains 192.0.2.1, the address of GigabitEthernet0/0/1",
        ),
        (
            "ip route 0.0.0.0 0.0.0.0 192.0.2.9\nip nat pool P 192.0.2.8 192.0.2.19 netmask /24",
            "8:1: warning: pool \"P\" contains 192.0.2.9, the next hop of line 7",
        ),
        (
            "ip nat pool P netmask /24\n address 192.0.2.20 192.0.2.21\n address 192.0.2.8 192.0.2.9\n\
             ip route 0.0.0.0 0.0.0.0 Gi0/0/1 192.0.2.9",
            "9:2: warning: pool \"P\" contains 192.0.2.9, the next hop of line 10",
        ),
        (
            "ip nat pool P 203.0.113.1 203.0.113.9 netmask /24\n\
             ip nat inside source static network 10.0.0.0 203.0.113.0 /29",
            "8:1: warning: 203.0.113.0/29 is in pool \"P\" too, which may hand it out",
        ),
        (
            "ip nat pool P 192.0.2.8 192.0.2.9 netmask /24 add-route",
            "7:47: warning: \"add-route\" has no effect: packets to a pool's addresses are taken without a route",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.9\nip nat pool P 192.0.2.8 192.0.2.10 netmask /24",
            "7:1: warning: 192.0.2.9 is in pool \"P\" too, which may hand it out",
        ),
        (
            "ip nat pool P 192.0.2.8 192.0.2.10 netmask /24\nip nat pool Q 192.0.2.10 192.0.2.11 netmask /24",
            "8:1: warning: pools \"P\" and \"Q\" overlap",
        ),
        (
            "ip nat pool P 192.0.2.8 192.0.2.10 netmask /24\nip nat pool P 192.0.2.9 192.0.2.9 netmask /24",
            "8:13: warning: pool \"P\" replaces the one of line 7",
        ),
        (
            "ip nat pool P 192.0.2.64 192.0.2.70 netmask /26",
            "7:15: warning: 192.0.2.64 is the network address of its mask and is not handed out",
        ),
        ("no ip nat pool P", "7:1: warning: there is nothing like this to remove"),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

#[test]
fn vrfs_that_are_not_there() {
    for (text, message) in [
        ("interface Gi0/0/2\n vrf forwarding V", "8:2: error: VRF \"V\" is not defined"),
        ("ip route vrf V 10.9.0.0 /16 Null0", "7:1: error: VRF \"V\" is not defined"),
        ("arp vrf V 10.9.0.1 0200.0000.0001 arpa", "7:1: error: VRF \"V\" is not defined"),
        ("ip nat route vrf V 10.9.0.0 /16 global", "7:1: error: VRF \"V\" is not defined"),
        ("vrf definition V\n rd five", "8:5: error: \"five\" is not of the form 65000:1 or 192.0.2.1:1"),
        ("vrf definition V\nip vrf V", "8:8: error: VRF \"V\" is defined in the other form, by line 7"),
        (
            "ip route 10.9.0.0 /16 Null0 global",
            "7:29: error: \"global\" is only for the route of a VRF; add vrf NAME",
        ),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
    // While a line cannot be read, the VRF may be defined there.
    expect(
        "vrf defnition V\nip route vrf V 10.0.0.0 /8 Null0",
        &["1:5: error: expected \"definition\", found \"defnition\"; did you mean \"definition\"?"],
    );
    expect(
        "vrf definition V\ninterface Gi0/0/0\n ip address 10.0.0.1 /24\ninterface Gi0/0/1\n vrf forwarding V\n \
         ip address 10.0.0.1 /24",
        &[],
    );
}

#[test]
fn rules_without_sides_translate_nothing() {
    expect(
        "ip nat inside source static 10.0.0.2 192.0.2.2",
        &[
            "1:1: warning: nothing is translated: no interface has \"ip nat inside\"",
            "1:1: warning: nothing is translated: no interface has \"ip nat outside\"",
        ],
    );
}

/// One note for the whole configuration, where it begins.
#[test]
fn inside_interfaces_that_take_any_source_are_noted_once() {
    let inside = |number: u8, line: &str| {
        format!("interface Gi0/0/{number}\n ip address 10.0.{number}.1 /24\n ip nat inside\n{line}")
    };
    let checked = inside(0, " ip verify unicast source reachable-via any\n");
    for (text, expected) in [
        (
            checked.clone() + &inside(1, ""),
            "nat.cfg:5:1: note: GigabitEthernet0/0/1 takes packets from any source; \
             see \"ip verify unicast source reachable-via rx\"",
        ),
        (
            inside(1, "") + &checked + &inside(2, "") + &inside(3, " shutdown\n"),
            "nat.cfg:1:1: note: GigabitEthernet0/0/1 and 1 more inside take packets from any source; \
             see \"ip verify unicast source reachable-via rx\"",
        ),
        (checked + "interface Gi0/0/1\n ip address 192.0.2.1 /24\n ip nat outside\n", ""),
    ] {
        let found = parse("nat.cfg", &text).expect("a configuration").warnings;
        let notes = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Note);
        assert_eq!(notes.map(ToString::to_string).collect::<Vec<_>>().join("\n"), expected, "of {text:?}");
    }
}

#[test]
fn settings_that_are_suspicious() {
    for (text, message) in [
        (
            "ip nat settings pap bpa set-size 64",
            "7:1: warning: bulk port allocation needs \"ip nat settings mode cgn\"",
        ),
        (
            "ip nat settings filtering address-dependent\nip nat settings mode cgn",
            "8:1: warning: cgn mode lets in packets of every peer; other filtering needs the default mode",
        ),
        (
            "ip nat settings mode cgn\nip nat outside source static 198.51.100.7 10.9.0.7",
            "8:1: warning: rules for the outside translate nothing in cgn mode",
        ),
        (
            "no ip nat settings support mapping outside\nip nat outside source static 198.51.100.7 10.9.0.7",
            "8:1: warning: rules for the outside translate nothing without \"ip nat settings support mapping outside\"",
        ),
        (
            "vrf definition V\nip nat settings mode cgn\n\
             ip nat inside source static 10.9.0.7 192.0.2.9 vrf V match-in-vrf",
            "9:1: warning: \"match-in-vrf\" needs the default mode",
        ),
        (
            "ip nat inside source list 1 interface Gi0/0/1 overload pap\naccess-list 1 permit 10.0.0.9",
            "7:1: warning: \"overload pap\" needs \"ip nat settings pap pool\"",
        ),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

#[test]
fn services_that_are_suspicious() {
    for (text, message) in [
        ("ip nat service list 7 ftp tcp port 2121", "7:1: warning: access list \"7\" is not defined"),
        ("ip nat service list 7 rtsp tcp port 9554", "7:1: warning: access list \"7\" is not defined"),
        ("alg third-party 7", "7:1: warning: access list \"7\" is not defined"),
        (
            "alg third-party 7\naccess-list 7 deny 10.0.0.9",
            "7:1: warning: access list \"7\" must only permit prefixes, so that one worker can have all its hosts",
        ),
        (
            "ip nat service ftp tcp port 2121\nip nat service rtsp tcp port 2121",
            "8:1: warning: the ALG of \"ftp\" has this port already",
        ),
        (
            "alg defaults ietf\nip nat service dns-reset-ttl",
            "8:1: warning: \"dns-reset-ttl\" needs the ALG of DNS, which is off",
        ),
        ("no ip nat service pptp", "7:19: warning: \"pptp\" has no effect: this ALG is not built yet"),
        (
            "ip nat service skinny tcp port 20002",
            "7:16: warning: \"skinny\" has no effect: this ALG is not built yet",
        ),
        (
            "ip nat service nbar",
            "7:16: warning: \"nbar\" has no effect: ALGs know their protocols by what they read",
        ),
    ] {
        expect(&format!("{SIDES}{text}"), &[message]);
    }
}

/// The example of RFC 7422 section 2, whose fourteen hosts of 4032 ports fill an address, and neighbours of it.
#[test]
fn deterministic_pools_have_room_for_their_hosts() {
    let rules =
        "ip nat pool P 192.0.2.9 192.0.2.9 netmask /24\nip nat inside source list 1 pool P overload\n";
    let setting = "ip nat settings deterministic pool P list 1 ports-per-host 4032";
    for (text, expected) in [
        ("access-list 1 permit 10.0.0.0 0.0.0.15\n{setting} dynamic-ports 8064", &[][..]),
        (
            "access-list 1 permit 10.0.0.0 0.0.0.15\n{setting} dynamic-ports 8065",
            &["10:1: warning: pool \"P\" has ports for 13 hosts; \"1\" permits 14"],
        ),
        (
            "access-list 1 permit 10.0.0.0 0.0.0.15\n{setting} reserved 0-9191",
            &["10:1: warning: pool \"P\" has ports for 13 hosts; \"1\" permits 14"],
        ),
        ("access-list 1 permit 10.0.0.0 0.0.0.15\n{setting} reserved 0-9087", &[]),
        (
            "access-list 1 deny 10.0.0.9\n{setting}",
            &["10:1: warning: access list \"1\" must only permit prefixes, so that its hosts can be counted"],
        ),
        (
            "access-list 1 permit 10.0.0.0 0.0.0.15\n{setting}\nno ip nat inside source list 1",
            &["10:1: warning: no rule translates to pool \"P\" with \"overload\""],
        ),
        (
            "{setting}",
            &[
                "8:1: warning: access list \"1\" is not defined",
                "9:1: warning: access list \"1\" is not defined",
            ],
        ),
    ] {
        expect(&format!("{SIDES}{rules}{}", text.replace("{setting}", setting)), expected);
    }
}
