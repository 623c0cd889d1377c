//! Tables of inside hosts, pools, limits and VRFs: hosts of two VRFs have the same addresses, and every table tells them apart.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use control::change::Startup;
use testkit::bench::{Bench, Setup};
use testkit::packet::{ICMP, SYN, datagram, icmp, ipv4, segment};

const CONFIGURATION: &str = "\
vrf definition RED
 rd 65000:1
 address-family ipv4
 exit-address-family
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 vrf forwarding RED
 ip address 10.0.0.1 255.255.255.0
 ip address 10.0.1.1 255.255.255.0 secondary
 ip nat inside
interface GigabitEthernet0/0/2
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
access-list 10 permit 10.0.0.0 0.0.0.255
route-map OUT permit 10
 match ip address 10
 match interface GigabitEthernet0/0/2
ip nat pool P 203.0.113.1 203.0.113.6 prefix-length 29
ip nat pool R 203.0.113.9 203.0.113.14 prefix-length 29
ip nat inside source list 10 pool P overload
ip nat inside source list 10 pool R vrf RED overload
ip nat translation max-entries all-host 100
ip nat translation max-entries host 10.0.0.12 2
ip nat translation max-entries list 10 1000
ip nat translation max-entries vrf RED 50
ip nat translation max-rate all-host 500
ip route 0.0.0.0 0.0.0.0 198.51.100.254
ip route vrf RED 0.0.0.0 0.0.0.0 198.51.100.254 global
ip route vrf RED 192.0.2.128 255.255.255.128 Null0
";

const GLOBAL: &str = "GigabitEthernet0/0/0";
const RED: &str = "GigabitEthernet0/0/1";
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 80), 443);

fn host(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), port)
}

fn put(bench: &mut Bench, interface: &str, packet: &[u8]) {
    let interface = interface.parse().expect("a name");
    let frame = bench.frame_to(&interface, packet).expect("a port");
    bench.inject(&interface, &frame).expect("at rest");
}

fn bench(lines: &str, worker_count: usize) -> Bench {
    let text = format!("{CONFIGURATION}{lines}");
    Bench::new("test", &text, Setup { worker_count, ..Setup::default() }).expect("an appliance")
}

/// Two hosts of the same address in two VRFs, of which one has three datagrams, a connection and a ping, and the other three
/// datagrams, one more than it may.
fn busy(lines: &str, worker_count: usize) -> Bench {
    let mut bench = bench(lines, worker_count);
    for port in 4000..4003 {
        put(&mut bench, RED, &datagram((host(12, port), SERVER), b"x"));
        put(&mut bench, GLOBAL, &datagram((host(12, port), SERVER), b"x"));
    }
    put(&mut bench, RED, &datagram((host(11, 4000), SERVER), b"x"));
    put(&mut bench, RED, &segment((host(11, 5000), SERVER), (1, 0, SYN), &[], b""));
    put(&mut bench, RED, &ipv4((*host(11, 0).ip(), *SERVER.ip()), ICMP, &icmp((8, 0), [0, 7, 0, 1], b"x")));
    bench
}

fn exec(bench: &mut Bench, command: &str) -> String {
    bench.exec(command).unwrap_or_else(|refusal| panic!("{command}: {refusal}"))
}

/// The words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn limits_of_hosts_are_told_by_vrf() {
    for worker_count in [1, 3] {
        let mut bench = busy("", worker_count);
        let text = exec(&mut bench, "show ip nat limits all-host");
        let mut rows = words(&text);
        // Within a VRF they come in no order.
        rows[3..].sort();
        let expected = "\
Host Max Entries Use Count Miss Count
-------------------------------------------------
10.0.0.12 2 2 1

10.0.0.11 100 3 0
10.0.0.12 2 2 1
Total number of limit entries: 3
VRF RED";
        assert_eq!(rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n"), expected, "{text}");
        let text = exec(&mut bench, "show ip nat limits host 10.0.0.11");
        assert!(text.contains("\nVRF RED\n10.0.0.11       100         3          0\n"), "{text}");
        assert!(text.ends_with("\nTotal number of limit entries: 1\n"), "{text}");
        assert!(!text.contains("10.0.0.12"), "{text}");
    }
}

#[test]
fn limits_of_groups_are_told_by_name() {
    let mut bench = busy("", 1);
    for (command, row, count) in [
        ("all-vrf", "RED             50          5          0\n", 1),
        ("vrf RED", "RED             50          5          0\n", 1),
        ("list 10", "10              1000        7          0\n", 1),
        ("list 11", "", 0),
    ] {
        let text = exec(&mut bench, &format!("show ip nat limits {command}"));
        let (_, rows) = text.split_once("---\n").expect("a line under the titles");
        assert_eq!(rows, format!("{row}\nTotal number of limit entries: {count}\n"), "{command}");
    }
    assert!(
        Bench::new("test", "", Setup::default())
            .expect("one")
            .exec("show ip nat limits host 10.0.0.1")
            .is_err()
    );
}

#[test]
fn a_host_is_told_with_all_it_has_in_each_vrf() {
    for worker_count in [1, 3] {
        let mut bench = busy("", worker_count);
        let text = exec(&mut bench, "show ip nat subscriber 10.0.0.12");
        let (global, red) = text.split_once("\n\n").expect("two VRFs");
        let lines = |addresses: &str, group: &str| {
            let rows = words(addresses);
            let row = |title: &str| {
                let row =
                    rows.iter().find(|row| row[0] == title).unwrap_or_else(|| panic!("{title}: {text}"));
                row[1..].join(" ")
            };
            assert_eq!(row("Sessions"), "2 (2 udp)");
            assert!(row("Ports").starts_with("in use 2"), "{text}");
            assert_eq!(row("Packets"), "refused 1, 1 of them by the limit of the host");
            let limits: Vec<String> =
                rows.iter().filter(|row| row[0] == "Limit").map(|row| row[1..].join(" ")).collect();
            assert_eq!(limits[..2], ["2 sessions", "500 new sessions a second"]);
            assert!(limits.contains(&group.to_string()), "{limits:?}");
        };
        assert!(global.starts_with("Inside local 10.0.0.12, VRF default\n"), "{text}");
        assert!(red.starts_with("Inside local 10.0.0.12, VRF RED\n"), "{text}");
        lines(global, "1000 sessions, together with list 10");
        lines(red, "50 sessions, together with VRF RED");
        let text = exec(&mut bench, "show ip nat subscriber 10.0.0.11");
        assert!(text.contains("  Sessions         3 (1 icmp, 1 tcp, 1 udp)\n"), "{text}");
        assert!(
            text.contains("  Inside global    203.0.113.9"),
            "its pool has no other first address: {text}"
        );
        let refusal = bench.exec("show ip nat subscriber 10.0.0.99");
        assert_eq!(refusal, Err("% 10.0.0.99 has no sessions and no ports".into()));
    }
}

#[test]
fn the_busiest_hosts_come_first() {
    for worker_count in [1, 3] {
        let mut bench = busy("", worker_count);
        let rows = |text: &str| -> Vec<String> {
            words(text).iter().skip(1).map(|row| row[..5].join(" ")).collect()
        };
        let text = exec(&mut bench, "show ip nat top");
        assert_eq!(
            rows(&text),
            ["10.0.0.11 RED 3 3 0", "10.0.0.12 default 2 2 1", "10.0.0.12 RED 2 2 1"],
            "{text}"
        );
        let text = exec(&mut bench, "show ip nat top ports 1");
        assert_eq!(rows(&text), ["10.0.0.11 RED 3 3 0"], "{text}");
    }
}

#[test]
fn a_pool_tells_what_is_left_of_it() {
    for worker_count in [1, 3] {
        let mut bench = busy("", worker_count);
        // A low port gets a low one.
        put(&mut bench, GLOBAL, &datagram((host(13, 600), SERVER), b"x"));
        let text = exec(&mut bench, "show ip nat pool name P");
        let used = bench.ports_in_use();
        let of_pool = |addr: Ipv4Addr| (1..=6).contains(&addr.octets()[3]);
        let mut addresses: Vec<Ipv4Addr> =
            used.iter().map(|&(addr, _)| addr).filter(|&addr| of_pool(addr)).collect();
        addresses.sort();
        addresses.dedup();
        let count = addresses.len();
        assert!((1..=2).contains(&count), "{used:?}");
        let expected = format!(
            "NAT Pool Statistics\nPool name P, id 1\nAssigned Available\nAddresses {count} {}\nUDP Low Ports 1 3071\n\
             TCP Low Ports 0 3072\nUDP High Ports 2 387070\nTCP High Ports 0 387072",
            6 - count
        );
        assert_eq!(words(&text).iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n"), expected);
        let text = exec(&mut bench, "show ip nat pool name R");
        assert!(text.contains("Pool name R, id 2\n"), "{text}");
        assert!(text.contains("TCP High Ports                     1               387071\n"), "{text}");
        assert_eq!(bench.exec("show ip nat pool name Q"), Err("% Pool Q not found".into()));
    }
}

#[test]
fn sets_of_ports_are_told_with_their_hosts() {
    let lines =
        "ip nat settings mode cgn\nip nat settings pap limit 60 bpa set-size 64 step-size 4 single-set\n";
    let mut bench = busy(lines, 1);
    let text = exec(&mut bench, "show ip nat bpa");
    assert_eq!(
        text,
        "Paired Address Pooling (PAP)\n Limit: 60 local addresses per global address\nBulk Port Allocation (BPA)\n \
         Port set size: 64 ports in each port set allocation\n Port step size: 4\n Single set: True\n"
    );
    // Ports start at random in a set, and every set of these is of the first block.
    let text = exec(&mut bench, "show ip nat portblock dynamic global");
    assert_eq!(text, "tcp:\n  1024  -5119   rfcnt 1\nudp:\n  1024  -5119   rfcnt 5\n");
    let text = exec(&mut bench, "show ip nat portblock dynamic global detail");
    let (_, sets) = text.split_once("port sets:\n").expect("sets");
    let mut sets: Vec<&str> = sets.lines().map(str::trim).collect();
    sets.sort();
    let hosts: Vec<&str> = sets.iter().map(|set| set.split_once(" by ").expect("a host").1).collect();
    assert_eq!(hosts.len(), 3, "{text}");
    for expected in ["10.0.0.11 of VRF RED", "10.0.0.12 of VRF RED", "10.0.0.12 of VRF default"] {
        assert!(hosts.contains(&expected), "{text}");
    }
    assert!(sets.iter().all(|set| set.contains(" step 4 ")), "{text}");
    let text = exec(&mut bench, "show ip nat subscriber 10.0.0.12");
    assert!(text.contains("  Port set         1024-1276 step 4, 2 of 64 in use\n"), "{text}");
    assert!(busy("", 1).exec("show ip nat bpa").is_err(), "there are none");
}

#[test]
fn neighbours_and_vrfs_are_told_apart() {
    let mut bench = busy("ip vrf BLUE\n", 1);
    let interfaces = |text: &str| -> Vec<String> {
        words(text).iter().skip(1).map(|row| row[row.len() - 1].to_string()).collect()
    };
    let global = exec(&mut bench, "show ip arp");
    assert!(interfaces(&global).iter().all(|name| name != RED), "{global}");
    let red = exec(&mut bench, "show arp vrf RED");
    assert!(!interfaces(&red).is_empty() && interfaces(&red).iter().all(|name| name == RED), "{red}");
    let all = interfaces(&exec(&mut bench, "show ip arp vrf *"));
    assert_eq!(all.len(), interfaces(&global).len() + interfaces(&red).len());
    assert_eq!(bench.exec("show ip arp vrf GREEN"), Err("% IP routing table GREEN does not exist".into()));
    assert_eq!(
        exec(&mut bench, "show vrf"),
        "  Name                             Default RD            Protocols   Interfaces\n  \
         RED                              65000:1               ipv4        GigabitEthernet0/0/1\n  \
         BLUE                             <not set>             ipv4\n"
    );
    assert_eq!(
        exec(&mut bench, "show ip vrf RED"),
        "  Name                             Default RD            Interfaces\n  \
         RED                              65000:1               GigabitEthernet0/0/1\n"
    );
}

#[test]
fn an_interface_tells_its_vrf_lists_and_side() {
    let mut bench = bench(
        "interface GigabitEthernet0/0/1\n ip access-group 10 in\n ip tcp adjust-mss 1360\n ip mtu 1400\n\
               ip prefix-list P permit 10.0.0.0/8\nip prefix-list Q permit 172.16.0.0/12\n\
               route-map OF-ROUTES permit 10\n match ip address prefix-list P Q\n match tag 7\n",
        1,
    );
    let text = exec(&mut bench, "show ip interface GigabitEthernet0/0/1");
    for line in [
        "GigabitEthernet0/0/1 is up, line protocol is up",
        "  Internet address is 10.0.0.1/24",
        "  Secondary address 10.0.1.1/24",
        "  MTU is 1400 bytes",
        "  Router Discovery is disabled",
        "  IPv4 WCCP Redirect exclude is disabled",
        "  Outgoing access list is not set",
        "  Inbound  access list is 10",
        "  VPN Routing/Forwarding \"RED\"",
        "  TCP segments are at most 1360 bytes",
        "  Network address translation domain: inside",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
    }
    let text = exec(&mut bench, "show interfaces GigabitEthernet0/0/1");
    assert!(text.contains("  MTU 1500 bytes,"), "the link's, not that of IP: {text}");
    assert!(bench.exec("show ip interface GigabitEthernet9/0/0").is_err());
    let text = exec(&mut bench, "show route-map OUT");
    assert_eq!(
        text,
        "route-map OUT, permit, sequence 10\n  Match clauses:\n    ip address (access-lists): 10\n    \
         interface GigabitEthernet0/0/2\n  Set clauses:\n  Policy routing matches: 0 packets, 0 bytes\n"
    );
    let text = exec(&mut bench, "show route-map OF-ROUTES");
    assert!(
        text.contains("Match clauses:\n    ip address prefix-lists: P Q\n    tag 7\n  Set clauses:"),
        "{text}"
    );
    assert_eq!(bench.exec("show route-map IN"), Err("% route-map IN not found".into()));
}

/// What `show running-config` prints is a file: it loads, and says the same.
#[test]
fn the_running_configuration_loads_again() {
    let mut bench = bench("", 1);
    let shown = exec(&mut bench, "show running-config");
    let (first, text) = shown.split_once(" bytes\n").expect("a first line");
    let (head, count) = first.rsplit_once(" : ").expect("a count");
    assert_eq!(head, "Building configuration...\n\nCurrent configuration");
    assert_eq!(count.parse(), Ok(text.len()));
    assert!(text.starts_with("!\n") && text.ends_with("\n!\nend\n"), "{text}");
    bench.reconfigure("shown", &shown).expect("it loads");
    assert_eq!(exec(&mut bench, "show running-config"), shown);
}

/// A file of many pieces is shown as it stands, and a file that is none is not waited for.
#[test]
fn the_startup_configuration_is_the_file() {
    let mut bench = bench("", 1);
    assert_eq!(bench.exec("show startup-config"), Err("% There is no file in a replay".into()));
    let path = std::env::temp_dir().join(format!("portico-startup-{}", std::process::id()));
    let text =
        format!("{CONFIGURATION}! the last \u{e9}nd").replacen('\n', &"\n! a remark".repeat(20_000), 1);
    std::fs::write(&path, &text).expect("a file of the test's own");
    let at = |path: &Path| {
        let writer = crossbeam::channel::bounded(0).0;
        Some(Startup { path: path.into(), text: String::new(), writer })
    };
    bench.appliance.operation.startup = at(&path);
    let shown = exec(&mut bench, "show startup-config");
    let (first, rest) = shown.split_once('\n').expect("a first line");
    assert_eq!(first, format!("! Using {} bytes of {}", text.len(), path.display()));
    assert_eq!(rest, text);
    std::fs::remove_file(&path).expect("it was there");
    let refusal = bench.exec("show startup-config").expect_err("it is gone");
    assert!(refusal.starts_with(&format!("% Cannot read {}: ", path.display())), "{refusal}");
    bench.appliance.operation.startup = at(&std::env::temp_dir());
    assert!(bench.exec("show startup-config").expect_err("a folder").ends_with(": it is no file"));
}

#[test]
fn the_time_and_the_version_are_told_as_ios_tells_them() {
    let mut bench = bench(
        "hostname edge\ninterface Loopback0\ninterface GigabitEthernet0/0/2.7\n encapsulation dot1Q 7\n",
        1,
    );
    // A bench begins a second after 1970.
    assert_eq!(exec(&mut bench, "show clock"), "00:00:01.000 UTC Thu Jan 1 1970\n");
    bench.advance(3_600_000).expect("at rest");
    let text = exec(&mut bench, "show version");
    let number = env!("CARGO_PKG_VERSION");
    for line in [
        "edge uptime is 1 hour, 0 minutes",
        "System restarted at 00:00:00 UTC Thu Jan 1 1970",
        "3 GigabitEthernet interfaces",
        "1 Loopback interface",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
    }
    let first = text.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("PORTICO (DPDK) ")
            && first.contains(&format!(" Version {number}, RELEASE SOFTWARE "))
    );
}

#[test]
fn an_interface_has_the_lines_of_ios() {
    let lines = "interface Loopback0\n ip address 192.0.2.1 255.255.255.255\n\
                 interface GigabitEthernet0/0/2.7\n encapsulation dot1Q 7\ninterface TenGigabitEthernet0/1/0\n shutdown\n";
    let mut bench = busy(lines, 1);
    for (name, expected) in [
        (
            "GigabitEthernet0/0/1",
            &[
                "GigabitEthernet0/0/1 is up, line protocol is up",
                "  Internet address is 10.0.0.1/24",
                "  Secondary Address is 10.0.1.1/24",
                "  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec,",
                "  Encapsulation ARPA, loopback not set",
                "  Last input 00:00:00, output 00:00:00, output hang never",
            ][..],
        ),
        (
            "Loopback0",
            &[
                "  Hardware is Loopback",
                "  MTU 1514 bytes, BW 8000000 Kbit/sec, DLY 5000 usec,",
                "  Encapsulation LOOPBACK, loopback not set",
                "  Last input never, output never, output hang never",
            ],
        ),
        ("GigabitEthernet0/0/2.7", &["  Encapsulation 802.1Q Virtual LAN, Vlan ID  7."]),
        (
            "TenGigabitEthernet0/1/0",
            &[
                "TenGigabitEthernet0/1/0 is administratively down, line protocol is down",
                "  MTU 1500 bytes, BW 10000000 Kbit/sec, DLY 10 usec,",
            ],
        ),
    ] {
        let text = exec(&mut bench, &format!("show interfaces {name}"));
        for line in expected {
            assert!(text.lines().any(|shown| shown == *line), "no {line:?} in\n{text}");
        }
    }
}

#[test]
fn an_interface_counts_frames_to_all_and_to_groups() {
    let mut bench = bench("", 1);
    let global = GLOBAL.parse().expect("a name");
    let mut frame = bench.frame_to(&global, &datagram((host(11, 1024), SERVER), b"x")).expect("a port");
    for (to, ethertype, count) in [
        ([0xff; 6], [0x08, 0x00], 1),
        ([0x01, 0x00, 0x5e, 0, 0, 5], [0x08, 0x00], 2),
        ([0x33, 0x33, 0, 0, 0, 1], [0x86, 0xdd], 3),
    ] {
        frame[..6].copy_from_slice(&to);
        frame[12..14].copy_from_slice(&ethertype);
        (0..count).for_each(|_| bench.inject(&global, &frame).expect("at rest"));
    }
    let text = exec(&mut bench, "show interfaces GigabitEthernet0/0/0");
    for line in [
        format!("     6 packets input, {} bytes, 0 no buffer", 6 * frame.len()),
        "     Received 6 broadcasts (5 IP multicasts)".to_string(),
        "     0 watchdog, 5 multicast, 0 pause input".to_string(),
        "     3 unknown protocol drops".to_string(),
    ] {
        assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
    }
}

#[test]
fn routes_come_in_the_order_of_their_prefixes() {
    let lines = "interface Loopback0\n ip address 192.0.2.1 255.255.255.255\n\
                 ip nat outside source static 198.51.100.7 10.9.9.9 add-route\n";
    let text = exec(&mut bench(lines, 1), "show ip route");
    let order: Vec<&str> = text.lines().skip(4).collect();
    assert_eq!(
        order,
        [
            "S*       0.0.0.0/0 [1/0] via 198.51.100.254, GigabitEthernet0/0/2",
            "C        10.0.0.0/24 is directly connected, GigabitEthernet0/0/0",
            "L        10.0.0.1/32 is directly connected, GigabitEthernet0/0/0",
            "S        10.9.9.9/32 [1/0] via 198.51.100.7, GigabitEthernet0/0/2",
            "C        192.0.2.1/32 is directly connected, Loopback0",
            "C        198.51.100.0/24 is directly connected, GigabitEthernet0/0/2",
            "L        198.51.100.1/32 is directly connected, GigabitEthernet0/0/2",
        ],
        "{text}"
    );
}

/// Pools have the numbers of their lines, whatever else rules take addresses from.
#[test]
fn pools_are_numbered_as_they_are_configured() {
    let lines = "access-list 11 permit 10.7.0.0 0.0.0.255\nip nat pool UNUSED 10.8.0.1 10.8.0.2 prefix-length 24\n\
                 ip nat pool O 10.8.1.1 10.8.1.2 prefix-length 24\n\
                 ip nat inside source list 11 interface GigabitEthernet0/0/2 overload\n\
                 ip nat outside source list 11 pool O\n";
    let mut bench = bench(lines, 1);
    for (name, id) in [("P", 1), ("R", 2), ("UNUSED", 3), ("O", 4)] {
        let text = exec(&mut bench, &format!("show ip nat pool name {name}"));
        assert!(text.contains(&format!("Pool name {name}, id {id}\n")), "{text}");
    }
    let text = exec(&mut bench, "show ip nat statistics");
    assert!(text.contains("pool O: id 4, netmask 255.255.255.0\n"), "{text}");
}

/// What both an inside rule and an outside static translate counts with both.
#[test]
fn an_outside_static_counts_its_sessions() {
    let lines = "ip nat outside source static 198.51.100.7 10.9.9.9 add-route\n\
                 ip nat outside source static tcp 198.51.100.8 80 10.9.9.8 8080 add-route\n";
    let mut bench = bench(lines, 3);
    for (source, server) in [(1024, 53), (1025, 53), (1024, 54)] {
        let server = SocketAddrV4::new(Ipv4Addr::new(10, 9, 9, 9), server);
        put(&mut bench, GLOBAL, &datagram((host(11, source), server), b"x"));
    }
    put(&mut bench, GLOBAL, &datagram((host(11, 1024), SERVER), b"x"));
    let text = exec(&mut bench, "show ip nat translations verbose");
    let uses: Vec<(&str, &str)> = text
        .split("\n\n")
        .filter(|part| part.contains("Flags: static"))
        .map(|part| {
            let row = part.lines().find(|line| line.contains("---")).expect("a row");
            let uses = part.split_once("use_count:").expect("a count").1.lines().next().expect("a number");
            (row.split_whitespace().last().expect("a column"), uses)
        })
        .collect();
    assert_eq!(uses, [("198.51.100.7", "3"), ("198.51.100.8:80", "0")], "{text}");
}
