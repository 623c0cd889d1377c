//! The messages that slips get, word for word.

use portico::config::{lint, parse};

/// Every message about a text, as it is shown, without the file's name.
fn messages(text: &str) -> Vec<String> {
    let diagnostics = match parse("nat.cfg", text) {
        Ok(config) => lint(&config),
        Err(diagnostics) => diagnostics,
    };
    let show = |message: String| message.strip_prefix("nat.cfg:").expect("the file comes first").to_string();
    diagnostics.iter().map(|diagnostic| show(diagnostic.to_string())).collect()
}

#[track_caller]
fn expect(text: &str, expected: &[&str]) {
    assert_eq!(messages(text), expected, "of {text:?}");
}

#[test]
fn a_word_in_the_wrong_place() {
    for (line, message) in [
        ("hostnam x y", "1:11: error: expected end of line, found \"y\""),
        ("hostname", "1:9: error: expected a word (name), found end of line"),
        ("hotsname x", "1:1: error: expected a command, found \"hotsname\"; did you mean \"hostname\"?"),
        ("frobnicate", "1:1: error: expected a command, found \"frobnicate\""),
        ("i", "1:1: error: \"i\" is ambiguous: \"interface\" or \"ip\""),
        ("interface", "1:10: error: expected an interface, found end of line"),
        ("interface Gx0/0/0", "1:11: error: expected an interface, found \"Gx0/0/0\""),
        ("interface gi", "1:13: error: expected an interface number, found end of line"),
        (
            "ip nat pool P 10.0.0.1 10.0.0.9 netmsk 255.255.255.0",
            "1:33: error: expected \"netmask\" or \"prefix-length\", found \"netmsk\"; did you mean \"netmask\"?",
        ),
        (
            "ip nat pool P 10.0.0.1 10.0.0.9 netmask 255.0.255.0",
            "1:41: error: expected a contiguous mask, found \"255.0.255.0\"",
        ),
        (
            "ip nat inside source list 1 pool P overlaod",
            "1:36: error: expected \"overload\" or end of line, found \"overlaod\"; did you mean \"overload\"?",
        ),
        (
            "ip nat translation tcp-timeout forever",
            "1:32: error: expected <0-536870> (seconds) or \"never\", found \"forever\"",
        ),
        (
            "ip route 10.0.0.0 255.0.0.0 Null0 300",
            "1:35: error: expected an address (next hop), <1-255> (distance), \"global\", \"name\", \"tag\", \"permanent\" \
             or end of line, found \"300\"",
        ),
        (
            "access-list 10 permit tcp any any",
            "1:23: error: expected \"any\", \"host\" or an address, found \"tcp\"",
        ),
        (
            "access-list 100 permit tcp any any eq htp",
            "1:39: error: expected a TCP port (port), found \"htp\"; did you mean \"ftp\"?",
        ),
        (
            "access-list 100 permit udp any range 9",
            "1:39: error: expected a UDP port (high), found end of line",
        ),
        ("logging trap loud", "1:14: error: expected a severity, found \"loud\""),
        ("logging trap e", "1:14: error: \"e\" is ambiguous: \"emergencies\" or \"errors\""),
    ] {
        expect(line, &[message]);
    }
}

#[test]
fn a_mode_s_words_and_the_global_ones_are_both_expected() {
    expect(
        "interface Gi0/0/0\n  ip adress 10.0.0.1 255.255.255.0",
        &[
            "2:6: error: expected \"vrf\", \"address\", \"nat\", \"mtu\", \"tcp\", \"access-group\", \"virtual-reassembly\", \
           \"access-list\" or \"route\", found \"adress\"; did you mean \"address\"?",
        ],
    );
    expect(
        "interface Gi0/0/0\n d",
        &["2:2: error: \"d\" is ambiguous: \"description\", \"device\", \"default\" or \"do\""],
    );
    expect(
        "interface Gi0/0/0\n ip nat inside soruce list 1",
        &["2:16: error: expected end of line or \"source\", found \"soruce\"; did you mean \"source\"?"],
    );
}

#[test]
fn a_value_that_cannot_be() {
    let interface = |line: &str| format!("interface Gi0/0/0\n {line}");
    for (text, message) in [
        (
            "ip nat pool P 10.0.0.9 10.0.0.1 netmask 255.255.255.0".to_string(),
            "1:15: error: the range starts at 10.0.0.9, after its end 10.0.0.1",
        ),
        (
            "ip nat pool P 10.0.0.9 10.0.1.1 prefix-length 24".to_string(),
            "1:24: error: 10.0.1.1 is outside the network 10.0.0.0/24 of the range's start",
        ),
        (
            "ip nat pool P 10.0.0.0 10.0.0.0 prefix-length 24".to_string(),
            "1:15: error: 10.0.0.0 is not handed out, so the range is empty",
        ),
        (
            "ip nat pool P netmask /24\n address 10.0.0.1 10.0.0.9\n range 10.0.0.9 10.0.0.10".to_string(),
            "3:8: error: the range overlaps the one of line 2",
        ),
        (
            "ip nat pool P 10.0.0.1 10.0.0.9 netmask /24\nip nat pool P netmask /25".to_string(),
            "2:13: error: pool \"P\" has addresses of the mask 255.255.255.0; remove it first",
        ),
        (
            "ip route 10.0.0.1 255.0.0.0 Null0".to_string(),
            "1:10: error: 10.0.0.1 has bits outside its mask; the network is 10.0.0.0",
        ),
        (interface("ip address 10.0.0.0 /24"), "2:13: error: 10.0.0.0 is the network address of its mask"),
        (
            interface("ip address 10.0.0.255 /24"),
            "2:13: error: 10.0.0.255 is the broadcast address of its mask",
        ),
        (interface("ip address 224.0.0.1 /32"), "2:13: error: 224.0.0.1/32 is no address of an interface"),
        (interface("encapsulation dot1Q 5"), "2:2: error: only a sub-interface carries a VLAN"),
        (
            interface("ip address 10.0.0.1 /24 secondary"),
            "2:26: error: a secondary address follows a primary one",
        ),
        (
            interface("ip nat inside\n ip nat outside"),
            "3:5: error: an interface cannot be inside and outside; this one is inside already",
        ),
        (
            "access-list 100 permit tcp any range 9 8 any".to_string(),
            "1:38: error: the range starts at 9, after its end 8",
        ),
        (
            "access-list 100 permit udp any any eq 53 fragments".to_string(),
            "1:42: error: fragments after the first carry no ports, flags or ICMP type",
        ),
        (
            "ip access-list extended A\n 10 permit ip any any\n 10 deny ip any any".to_string(),
            "3:2: error: the number 10 is taken by line 2",
        ),
        (
            "ip access-list extended A\nip access-list standard A".to_string(),
            "2:25: error: access list \"A\" is of the other kind, by line 1",
        ),
        (
            "ip access-list resequence A 10 10".to_string(),
            "1:27: error: access list \"A\" is not defined yet",
        ),
    ] {
        expect(&text, &[message]);
    }
}

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
            "ip nat inside source list 1 pool P\naccess-list 1 permit any",
            "7:1: warning: pool \"P\" is not defined",
        ),
        ("ip nat inside source list N interface Gi0/0/1", "7:1: warning: access list \"N\" is not defined"),
        (
            "ip nat inside source static 10.0.0.2 interface Gi0/0/7",
            "7:1: warning: interface GigabitEthernet0/0/7 is not defined",
        ),
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2\nip nat inside source static 10.0.0.2 192.0.2.2",
            "8:1: warning: this repeats line 7",
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
        (
            "access-list 1 permit 10.0.0.0 255.255.255.0",
            "7:1: warning: the wildcard 255.255.255.0 looks like a netmask; did you mean 0.0.0.255?",
        ),
        ("interface Gi0/0/0.5", "7:1: warning: GigabitEthernet0/0/0.5 has no VLAN; add encapsulation dot1Q"),
        ("no ip nat pool P", "7:1: warning: there is nothing like this to remove"),
        (
            "vrf definition V\ninterface Gi0/0/1\n vrf forwarding V",
            "9:2: warning: the interface loses its addresses; give them after its VRF",
        ),
        ("version 17.3", "7:1: warning: this line has no effect here"),
        ("no service pad", "7:1: warning: this line has no effect here"),
        (
            "ip nat translation udp-timeout 10",
            "7:32: warning: timeouts below 60 seconds cut sessions that are still in use",
        ),
        ("platform dpdk\n workers 3\n cores 2-3", "7:1: warning: 3 workers share 2 cores"),
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
            "7:29: error: only the route of a VRF leads out of it; add vrf NAME",
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

/// The lines after a mode that could not be opened are read, but neither carried out nor blamed.
#[test]
fn every_mistake_is_reported_once() {
    let text = "interface Gx0/0/0\n ip address 10.0.0.1 255.255.255.0\nhostname x y\n shutdwn\n\
                interface Gi0/0/0\n ip address 10.0.0.0 255.255.255.0\nip nat inside source list 1 pool P\nacces-list 1\n";
    expect(
        text,
        &[
            "1:11: error: expected an interface, found \"Gx0/0/0\"",
            "3:12: error: expected end of line, found \"y\"",
            "4:2: error: expected a command, found \"shutdwn\"; did you mean \"shutdown\"?",
            "6:13: error: 10.0.0.0 is the network address of its mask",
            "8:1: error: expected a command, found \"acces-list\"; did you mean \"access-list\"?",
        ],
    );
}
