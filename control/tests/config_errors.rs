//! The messages that slips get, word for word.

mod config_messages;
use config_messages::expect;

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
            "1:36: error: expected \"redundancy\", \"vrf\", \"oer\", \"overload\", \"egress-interface\", \"track\", \
             \"reversible\", \"no-payload\", \"forced\" or end of line, found \"overlaod\"; did you mean \"overload\"?",
        ),
        (
            "ip nat translation tcp-timeout forever",
            "1:32: error: expected <0-536870> (seconds) or \"never\", found \"forever\"",
        ),
        (
            "ip route 10.0.0.0 255.0.0.0 Null0 300",
            "1:35: error: expected an address (next hop), <1-255> (distance), \"global\", \"name\", \"tag\", \"permanent\", \"track\", \
             end of line or \"dhcp\", found \"300\"",
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
        (
            "no ip nat service sipp udp port 5060",
            "1:19: error: expected a keyword, found \"sipp\"; did you mean \"sip\"?",
        ),
        (
            "ip nat service skiny tcp port 2000",
            "1:16: error: expected a keyword, found \"skiny\"; did you mean \"skinny\"?",
        ),
        ("ip nat service ftp udp port 2121", "1:20: error: FTP does not run over udp"),
        ("ip nat service list 10 tftp tcp port 6969", "1:29: error: TFTP does not run over tcp"),
        (
            "ip nat settings pap limit 100",
            "1:27: error: expected <30,60,120,250,500,1000> (limit), found \"100\"",
        ),
        (
            "ip nat translation max-entries none",
            "1:32: error: expected <1-2147483647> (max), \"all-host\", \"all-vrf\", \"host\", \"list\", \"vrf\" or \
             \"redundancy\", found \"none\"",
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
            "2:6: error: expected \"vrf\", \"address\", \"nat\", \"mtu\", \"tcp\", \"access-group\", \"verify\", \"virtual-reassembly\", \
           \"access-list\", \"prefix-list\" or \"route\", found \"adress\"; did you mean \"address\"?",
        ],
    );
    expect(
        "interface Gi0/0/0\n d",
        &["2:2: error: \"d\" is ambiguous: \"description\", \"device\", \"default\" or \"do\""],
    );
    expect(
        "interface Gi0/0/0\n ip nat inside soruce list 1",
        &[
            "2:16: error: expected end of line, \"source\" or \"destination\", found \"soruce\"; did you mean \"source\"?",
        ],
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
            "2:13: error: pool \"P\" has addresses with the mask 255.255.255.0; remove the pool first",
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
            "2:26: error: give the primary address before a secondary one",
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
    ] {
        expect(&text, &[message]);
    }
}

#[test]
fn a_statement_that_cannot_be() {
    for (text, message) in [
        (
            "ip nat inside source static 10.0.0.2 192.0.2.2 forced".to_string(),
            "1:48: error: \"forced\" is only for the removal of a rule",
        ),
        (
            "ip nat settings pool watermark high 60 low 60".to_string(),
            "1:44: error: \"low\" must be below \"high\"",
        ),
        (
            "ip nat settings interface-overload port range start 3000 end 2000".to_string(),
            "1:53: error: the range starts at 3000, after its end 2000",
        ),
        (
            "ip nat settings pap pool bpa".to_string(),
            "1:26: error: \"bpa\" is for all pools; leave out \"pool\"",
        ),
        (
            "ip nat settings deterministic pool P list 1 ports-per-host 64513".to_string(),
            "1:60: error: one address does not have so many ports",
        ),
        (
            "ip nat settings deterministic pool P list 1 ports-per-host 100 max-ports 99".to_string(),
            "1:74: error: \"max-ports\" is below \"ports-per-host\"",
        ),
        (
            "ip nat inside source list 1 pool P reversible".to_string(),
            "1:36: error: only a rule with a route-map can be reversible",
        ),
        (
            "ip access-list resequence A 10 10".to_string(),
            "1:27: error: access list \"A\" is not defined yet",
        ),
    ] {
        expect(&text, &[message]);
    }
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
