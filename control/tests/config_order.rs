//! What depends on the order of lines: modes, removal, replacement and sequence numbers.
use control::config::{Diagnostic, parse};

#[track_caller]
fn canonical(text: &str) -> String {
    parse("test", text)
        .map_or_else(|errors| panic!("{text}\n{}", show(&errors)), |parsed| parsed.config.to_string())
}

fn show(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

#[test]
fn a_pasted_configuration_is_printed_in_order() {
    let pasted = "\u{feff}!\r\nversion 17.3\r\nservice timestamps log datetime msec\r\nno service pad\r\n\
        hostname edge\r\n!\r\naccess-list 10 permit 100.64.0.0 0.63.255.255\r\n\
        ip nat inside source list 10 pool OUT overload\r\n\
        interface gigabitethernet 0/0/1\r\ndescription to the ISP\r\nip nat outside\r\n\
        ip address 192.0.2.2 255.255.255.0\r\nip virtual-reassembly\r\nno shutdown\r\nexit\r\n\
        int Gi0/0/0\r\n  ip address 100.64.0.1 255.192.0.0\r\n  ip nat inside ! subscribers\r\n\
        ip nat pool OUT prefix-length 24\r\n address 192.0.2.10 192.0.2.19\r\n address 192.0.2.30 192.0.2.39\r\n\
        ip route 0.0.0.0 0.0.0.0 192.0.2.1\r\nend\r\n";
    assert_eq!(
        canonical(pasted),
        "hostname edge\n!\n\
         interface GigabitEthernet0/0/1\n description to the ISP\n ip address 192.0.2.2 255.255.255.0\n \
         ip nat outside\n!\n\
         interface GigabitEthernet0/0/0\n ip address 100.64.0.1 255.192.0.0\n ip nat inside\n!\n\
         ip nat pool OUT netmask 255.255.255.0\n address 192.0.2.10 192.0.2.19\n address 192.0.2.30 192.0.2.39\n\
         ip nat inside source list 10 pool OUT overload\n!\n\
         ip route 0.0.0.0 0.0.0.0 192.0.2.1\n!\n\
         access-list 10 permit 100.64.0.0 0.63.255.255\n!\n"
    );
}

#[test]
fn a_mode_is_left_by_the_next_global_line_and_entered_again() {
    let text = "interface Gi0/0/0\nip nat inside\nip nat inside source list 1 pool P\ninterface Gi0/0/1\nip nat outside\n\
                interface Gi0/0/0\nshutdown\n";
    let printed = canonical(text);
    assert!(
        printed.starts_with("interface GigabitEthernet0/0/0\n ip nat inside\n shutdown\n!\n"),
        "{printed}"
    );
}

#[test]
fn sequence_numbers_place_move_and_remove_entries() {
    let list =
        "ip access-list extended A\n permit tcp any any\n permit udp any any\n 15 permit icmp any any\n";
    assert_eq!(
        canonical(list),
        "ip access-list extended A\n 10 permit tcp any any\n 15 permit icmp any any\n 20 permit udp any any\n!\n"
    );
    assert_eq!(
        canonical(&format!("{list} no 10\n no permit udp any any\nip access-list resequence A 100 5\n")),
        "ip access-list extended A\n 100 permit icmp any any\n!\n"
    );
    assert_eq!(canonical(&format!("{list}no ip access-list extended A")), "");
    assert_eq!(
        canonical(
            "access-list 10 permit 10.0.0.0 0.255.255.255\nip access-list standard 10\n 5 deny 10.0.0.9\n"
        ),
        "ip access-list standard 10\n 5 deny 10.0.0.9\n 10 permit 10.0.0.0 0.255.255.255\n!\n"
    );
    assert_eq!(canonical("access-list 10 permit any\nno access-list 10"), "");
}

#[test]
fn a_later_line_replaces_an_earlier_one() {
    let text = "hostname a\nhostname b\ninterface Gi0/0/0\n ip address 10.0.0.1 /24\n ip address 10.0.0.2 /24 secondary\n \
                ip address 10.0.0.3 /24\n ip nat inside\n no ip nat inside\n ip nat outside\n";
    assert_eq!(
        canonical(text),
        "hostname b\n!\ninterface GigabitEthernet0/0/0\n ip address 10.0.0.3 255.255.255.0\n \
         ip address 10.0.0.2 255.255.255.0 secondary\n ip nat outside\n!\n"
    );
}

#[test]
fn defaults_are_not_printed() {
    let text = "platform dpdk\n hugepages\ninterface Gi0/0/0\n no shutdown\n no ip address\n\
                ip nat translation udp-timeout 300\nlogging trap informational\n";
    assert_eq!(canonical(text), "interface GigabitEthernet0/0/0\n!\n");
    let text = "ip nat translation udp-timeout 100\ndefault ip nat translation udp-timeout\nplatform dpdk\n \
                no hugepages\n default hugepages\n";
    assert_eq!(canonical(text), "");
}

#[test]
fn all_algs_go_off_and_single_ones_on_again() {
    let off =
        "ip nat service sip udp port 5070\nip nat service port-randomization\nno ip nat service all-algs\n";
    let printed = canonical(off);
    for line in ["no ip nat service sip udp port 5060", "no ip nat service ftp", "no ip nat service dns tcp"]
    {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(!printed.contains("5070"), "{printed}");
    assert!(printed.contains("ip nat service port-randomization\n"), "{printed}");
    let one_on = canonical(&format!("{off}ip nat service ftp\n"));
    assert_eq!(one_on, printed.replace("no ip nat service ftp\n", ""));
    assert_eq!(
        canonical(&format!("{off}ip nat service all-algs\n")),
        "ip nat service port-randomization\n!\n"
    );
}

/// What is printed is what differs from the preset; where the preset's line stands does not matter.
#[test]
fn a_preset_is_what_single_lines_differ_from() {
    let ietf = "alg defaults ietf\n";
    for (lines, printed) in [
        ("ip nat service ftp\nno ip nat service tftp\n", ""),
        (
            "no ip nat service ftp\nip nat service dns udp\n",
            "no ip nat service ftp\nip nat service dns udp\n",
        ),
        ("ip nat service rtsp tcp port 554\n", "ip nat service rtsp tcp port 554\n"),
        ("no ip nat service ftp\ndefault ip nat service ftp\n", ""),
        ("ip nat service all-algs\ndefault ip nat service all-algs\n", ""),
        ("no ip nat service all-algs\n", "no ip nat service ftp\n"),
    ] {
        for text in [format!("{ietf}{lines}"), format!("{lines}{ietf}")] {
            assert_eq!(canonical(&text), format!("{ietf}{printed}!\n"), "{text}");
        }
    }
    let all_on = canonical(&format!("{ietf}ip nat service all-algs\n"));
    assert!(all_on.contains("ip nat service tftp\n") && !all_on.contains("service ftp\n"), "{all_on}");
    assert_eq!(canonical(&format!("{ietf}no alg defaults\n")), "");
}

/// A port of its own goes on and off beside the switch for all.
#[test]
fn single_ports_stand_beside_the_switch_for_all() {
    for (text, printed) in [
        ("no ip nat service rtsp tcp\nip nat service rtsp tcp port 554\n", None),
        ("no ip nat service rtsp tcp port 8554\n", None),
        (
            "no ip nat service rtsp tcp\nno ip nat service rtsp tcp port 8554\n",
            Some("no ip nat service rtsp tcp\n"),
        ),
        ("ip nat service rtsp tcp port 554\nip nat service ftp tcp port 21\n", Some("")),
    ] {
        let printed = printed.unwrap_or(text);
        let end = if printed.is_empty() { "" } else { "!\n" };
        assert_eq!(canonical(text), format!("{printed}{end}"), "{text}");
    }
}

#[test]
fn rules_are_told_apart_by_selector_vrf_and_egress_interface() {
    let rules = "ip nat inside source list 1 pool P overload\nip nat inside source list 1 pool Q vrf V overload\n\
                 ip nat inside source list 1 pool R overload egress-interface GigabitEthernet0/0/1\n";
    let vrf = "vrf definition V\n address-family ipv4\n exit-address-family\n!\n";
    assert_eq!(canonical(&format!("vrf definition V\n{rules}")), format!("{vrf}{rules}!\n"));
    for (line, left) in [
        ("no ip nat inside source list 1 pool P overload forced", [1, 2].as_slice()),
        ("no ip nat inside source list 1 pool Q vrf V", &[0, 2]),
        ("no ip nat inside source list 1 pool Q", &[0, 1, 2]),
        (
            "ip nat inside source list 1 pool P egress-interface gi0/0/1 overload\nno ip nat inside source list 1 pool R",
            &[0, 1, 3],
        ),
        ("no ip nat inside source list 1", &[]),
    ] {
        let moved = "ip nat inside source list 1 pool P overload egress-interface GigabitEthernet0/0/1";
        let lines: Vec<&str> = rules.lines().chain([moved]).collect();
        let expected: String = left.iter().map(|&index| format!("{}\n", lines[index])).collect();
        let expected = if expected.is_empty() { vrf.to_string() } else { format!("{vrf}{expected}!\n") };
        assert_eq!(canonical(&format!("vrf definition V\n{rules}{line}")), expected, "{line}");
    }
}

#[test]
fn route_maps_are_ordered_by_sequence_and_removed_in_part() {
    let map = "route-map R deny 20\n match ip address 20 21\n match ip address 22\nroute-map R permit 10\n \
               match interface gi0/0/1 gi0/0/2\n";
    let first = "route-map R permit 10\n match interface GigabitEthernet0/0/1 GigabitEthernet0/0/2\n";
    let second = "route-map R deny 20\n match ip address 20 21 22\n";
    assert_eq!(canonical(map), format!("{first}{second}!\n"));
    assert_eq!(canonical(&format!("{map}no route-map R permit 10")), format!("{second}!\n"));
    assert_eq!(canonical(&format!("{map}no route-map R")), "");
    assert_eq!(
        canonical(&format!("{map}route-map R permit 20\n no match ip address 21 22\n")),
        format!("{first}route-map R permit 20\n match ip address 20\n!\n")
    );
    assert_eq!(
        canonical(&format!("{map} no match interface\n")),
        format!("route-map R permit 10\n{second}!\n")
    );
}

#[test]
fn a_file_with_a_mistake_configures_nothing_and_names_every_one() {
    let errors =
        parse("a/b.cfg", "hostname x\nhostnme y\ninterface Gi0/0/0\n ip mtu 1\n shutdown\n").unwrap_err();
    assert_eq!(
        show(&errors),
        "a/b.cfg:2:1: error: expected a command, found \"hostnme\"; did you mean \"hostname\"?\n\
         a/b.cfg:4:9: error: expected <68-9216> (bytes), found \"1\"\n"
    );
}
