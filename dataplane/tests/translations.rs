//! `show ip nat translations` and `clear ip nat translation` of an appliance with VRFs, statics and pools of both sides.

use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::describe;
use testkit::spec::PacketSpec;

/// Two VRFs with the same inside addresses, and every kind of rule.
const EVERYTHING: &str = "\
vrf definition A
vrf definition B
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.0.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
interface GigabitEthernet0/0/2
 vrf forwarding A
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/3
 vrf forwarding B
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
ip route 0.0.0.0 0.0.0.0 192.0.2.254
ip route vrf A 0.0.0.0 0.0.0.0 192.0.2.254 global
ip route vrf B 0.0.0.0 0.0.0.0 192.0.2.254 global
access-list 1 permit 10.0.0.0 0.0.0.127
access-list 2 permit 10.0.0.128 0.0.0.127
access-list 3 permit 198.18.0.0 0.1.255.255
access-list 4 permit 203.0.113.50
access-list 5 permit 10.0.1.0 0.0.0.255
ip nat pool SHARED 203.0.113.1 203.0.113.2 prefix-length 24
ip nat pool WHOLE 203.0.113.9 203.0.113.10 prefix-length 24
ip nat pool LOCAL 172.16.1.1 172.16.1.2 prefix-length 24
ip nat pool REAL 10.0.0.41 10.0.0.42 prefix-length 24 type rotary
ip nat inside source list 1 pool SHARED overload
ip nat inside source list 1 pool SHARED vrf A overload
ip nat inside source list 1 pool SHARED vrf B overload
ip nat inside source list 2 pool WHOLE
ip nat inside source list 5 interface GigabitEthernet0/0/1 overload
ip nat inside source static tcp 10.0.0.11 80 203.0.113.20 80
ip nat inside source static 10.0.0.12 203.0.113.21
ip nat inside source static network 10.0.2.0 203.0.114.0 255.255.255.0
ip nat inside source static esp 10.0.0.13 interface GigabitEthernet0/0/1
ip nat inside source static 10.0.0.12 203.0.113.22 vrf A
ip nat inside destination list 4 pool REAL
ip nat outside source list 3 pool LOCAL
ip nat outside source static 198.51.100.7 172.16.2.7
";

const HEADER: &str =
    "Pro  Inside global         Inside local          Outside local         Outside global\n";

fn bench(worker_count: usize) -> Bench {
    Bench::new("test", EVERYTHING, Setup { worker_count, ..Setup::default() }).expect("a configuration")
}

/// Lets a packet arrive, and returns what came out in words.
fn send(bench: &mut Bench, place: &str, packet: &str) -> Vec<String> {
    let spec: PacketSpec = packet.parse().expect("a packet");
    let bytes = build::packet(&spec).expect("a packet");
    let interface = bench.interface(place).expect("an interface").name.clone();
    let frame = bench.frame_to(&interface, &bytes).expect("a frame");
    bench.inject(&interface, &frame).expect("sound");
    bench.take_all().into_iter().map(|(_, frame)| describe::frame(&frame)).collect()
}

/// One flow by each rule.
fn everybody_talks(bench: &mut Bench) {
    for (place, packet) in [
        ("Gi0/0/0", "udp 10.0.0.2:4000 > 198.51.100.20:5000"),
        ("Gi0/0/0", "tcp 10.0.0.2:4001 > 198.51.100.20:21 syn"),
        ("Gi0/0/0", "icmp echo 10.0.0.2 > 198.51.100.20 id 77"),
        ("Gi0/0/2", "udp 10.0.0.2:4000 > 198.51.100.20:53"),
        ("Gi0/0/3", "udp 10.0.0.2:4000 > 198.51.100.20:5000"),
        ("Gi0/0/0", "udp 10.0.0.200:4000 > 198.51.100.20:5000"),
        ("Gi0/0/0", "ip gre 10.0.0.200 > 198.51.100.20 hex 0000080045000000"),
        ("Gi0/0/0", "ip esp 10.0.0.13 > 198.51.100.20 hex 0000080045000000"),
        ("Gi0/0/0", "udp 10.0.2.2:4000 > 172.16.2.7:500"),
        ("outside", "tcp 198.18.0.1:5555 > 203.0.113.20:80 syn"),
        ("outside", "tcp 198.51.100.20:5555 > 203.0.113.50:80 syn"),
    ] {
        assert_eq!(send(bench, place, packet).len(), 1, "{packet}");
    }
}

fn exec(bench: &mut Bench, command: &str) -> String {
    bench.exec(command).unwrap_or_else(|refusal| panic!("{command}: {refusal}"))
}

/// The rows of a table, sorted, once its total is what it should be.
fn rows(bench: &mut Bench, filter: &str) -> Vec<String> {
    let text = exec(bench, &format!("show ip nat translations {filter}"));
    let (table, total) = text.split_once("\nTotal number of translations: ").expect("a total");
    let mut rows: Vec<String> =
        table.strip_prefix(HEADER).expect("the header").lines().map(str::to_owned).collect();
    assert_eq!(total, format!("{}\n", rows.len()), "{text}");
    let only_total = exec(bench, &format!("show ip nat translations {filter} total"));
    assert_eq!(only_total, format!("Total number of translations: {}\n", rows.len()), "{filter}");
    rows.sort();
    rows
}

const STATIC_HOST: &str = "---  203.0.113.21          10.0.0.12             ---                   ---";
const STATIC_PORT: &str = "tcp  203.0.113.20:80       10.0.0.11:80          ---                   ---";
const STATIC_NETWORK: &str = "---  203.0.114.0           10.0.2.0              ---                   ---";
const STATIC_ESP: &str = "esp  192.0.2.1:0           10.0.0.13:0           ---                   ---";
const STATIC_OF_A: &str = "---  203.0.113.22          10.0.0.12             ---                   ---";
const STATIC_OUTSIDE: &str =
    "---  ---                   ---                   172.16.2.7            198.51.100.7";
const UDP: &str = "udp  203.0.113.1:4000      10.0.0.2:4000         198.51.100.20:5000    198.51.100.20:5000";
const FTP: &str = "tcp  203.0.113.1:4001      10.0.0.2:4001         198.51.100.20:21      198.51.100.20:21";
const ECHO: &str = "icmp 203.0.113.1:77        10.0.0.2:77           198.51.100.20:77      198.51.100.20:77";
const OF_WHOLE: &str =
    "udp  203.0.113.9:4000      10.0.0.200:4000       198.51.100.20:5000    198.51.100.20:5000";
const GRE: &str = "gre  203.0.113.9:0         10.0.0.200:0          198.51.100.20:0       198.51.100.20:0";
const ESP: &str = "esp  192.0.2.1:0           10.0.0.13:0           198.51.100.20:0       198.51.100.20:0";
const OF_NETWORK: &str =
    "udp  203.0.114.2:4000      10.0.2.2:4000         172.16.2.7:500        198.51.100.7:500";
const VISITOR: &str =
    "tcp  203.0.113.20:80       10.0.0.11:80          172.16.1.1:5555       198.18.0.1:5555";
const SERVED: &str =
    "tcp  203.0.113.50:80       10.0.0.41:80          198.51.100.20:5555    198.51.100.20:5555";
const WHOLE: &str = "---  203.0.113.9           10.0.0.200            ---                   ---";
const OUTSIDE_HOST: &str =
    "---  ---                   ---                   172.16.1.1            198.18.0.1";

#[test]
fn each_filter_leaves_the_rows_that_meet_it() {
    let mut bench = bench(1);
    everybody_talks(&mut bench);
    assert_eq!(rows(&mut bench, "").len(), 6 + 11 + 2);
    for (filter, expected) in [
        ("tcp", &[FTP, SERVED, STATIC_PORT, VISITOR][..]),
        ("icmp", &[ECHO]),
        ("esp", &[ESP, STATIC_ESP]),
        ("gre", &[GRE]),
        ("47", &[GRE]),
        ("132", &[]),
        ("inside 10.0.0.200", &[WHOLE, GRE, OF_WHOLE]),
        ("inside 203.0.113.9", &[WHOLE, GRE, OF_WHOLE]),
        ("inside 203.0.113.9 gre", &[GRE]),
        ("inside 10.0.2.2", &[STATIC_NETWORK, OF_NETWORK]),
        ("outside 198.51.100.7", &[STATIC_OUTSIDE, OF_NETWORK]),
        ("outside 172.16.1.1", &[OUTSIDE_HOST, VISITOR]),
        ("tcp outside 198.18.0.1", &[VISITOR]),
        ("filter range inside global 203.0.113.9 203.0.113.10", &[WHOLE, GRE, OF_WHOLE]),
        ("filter range inside local 10.0.0.11 10.0.0.12", &[STATIC_HOST, STATIC_OF_A, STATIC_PORT, VISITOR]),
        ("filter range inside local 10.0.0.11 10.0.0.12 vrf A", &[STATIC_OF_A]),
        ("filter range inside global 203.0.113.255 203.0.114.1", &[STATIC_NETWORK]),
        ("filter range outside local 172.16.1.0 172.16.1.255", &[OUTSIDE_HOST, VISITOR]),
        ("filter range outside global 198.18.0.0 198.19.255.255 tcp", &[VISITOR]),
        ("filter range outside global 0.0.0.0 198.17.255.255", &[]),
    ] {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(rows(&mut bench, filter), expected, "{filter}");
    }
    for (wrong, refusal) in [
        ("vrf C", "% VRF C does not exist"),
        (
            "filter range inside local 10.0.0.2 10.0.0.1",
            "% The range ends at 10.0.0.1, which is before 10.0.0.2",
        ),
    ] {
        assert_eq!(bench.exec(&format!("show ip nat translations {wrong}")), Err(refusal.to_string()));
    }
    assert!(bench.exec("show ip nat translations tcp udp").is_err());
}

#[test]
fn vrfs_are_told_apart() {
    for worker_count in 1..=2 {
        let mut bench = bench(worker_count);
        everybody_talks(&mut bench);
        let a = rows(&mut bench, "vrf A");
        assert_eq!(a.len(), 2, "{a:?}");
        assert!(a.iter().any(|row| row == STATIC_OF_A) && a.iter().any(|row| row.ends_with(":53")), "{a:?}");
        let b = rows(&mut bench, "vrf B");
        assert!(b.len() == 1 && b[0].contains(" 10.0.0.2:4000 "), "{b:?}");
        let details = exec(&mut bench, "show ip nat translations udp inside 10.0.0.2 verbose");
        let mut vrfs: Vec<&str> = details
            .split("\n\n")
            .filter(|row| row.contains("\n  create"))
            .map(|row| {
                row.lines().find_map(|line| line.strip_prefix("  VRF : ")).unwrap_or("the global table")
            })
            .collect();
        vrfs.sort_unstable();
        assert_eq!(vrfs, ["A", "B", "the global table"], "{details}");
    }
}

#[test]
fn details_are_those_of_ios_xe() {
    let mut bench = bench(1);
    everybody_talks(&mut bench);
    bench.advance(2000).expect("sound");
    let of = |filter: &str| format!("show ip nat translations {filter} verbose");
    let ftp = format!(
        "{HEADER}{STATIC_PORT}
  create: 01/01/70 00:00:00, use: 01/01/70 00:00:00, timeout: 00:00:00
  RuleID : 1
  Flags: static
  ALG Application Type: NA
  WLAN-Flags: unknown
  Mac-Address: 0000.0000.0000    Input-IDB:
  entry-id: 0x0, use_count:1
  Output-IDB:

{FTP}
  create: 01/01/70 00:00:01, use: 01/01/70 00:00:01, timeout: 00:00:58
  RuleID : 6
  Flags: unknown
  ALG Application Type: FTP
  Idle class: syn-timeout
  WLAN-Flags: unknown
  Mac-Address: 0000.0000.0000    Input-IDB: GigabitEthernet0/0/0
  entry-id: 0x2, use_count:1
  Output-IDB: GigabitEthernet0/0/1

{VISITOR}
  create: 01/01/70 00:00:01, use: 01/01/70 00:00:01, timeout: 00:00:58
  RuleID : 1
  Flags: unknown
  ALG Application Type: NA
  Idle class: syn-timeout
  WLAN-Flags: unknown
  Mac-Address: 0000.0000.0000    Input-IDB: GigabitEthernet0/0/1
  entry-id: 0xa, use_count:1
  Output-IDB: GigabitEthernet0/0/0

Total number of translations: 3
"
    );
    assert_eq!(exec(&mut bench, &of("filter range inside local 10.0.0.2 10.0.0.11 tcp")), ftp);
    let whole = exec(&mut bench, &of("inside 203.0.113.9"));
    let (_, whole) = whole.split_once(WHOLE).expect("the whole address");
    assert!(
        whole.contains("timeout: 23:59:58\n  RuleID : 9\n") && whole.contains("use_count:2\n"),
        "{whole}"
    );
    assert!(whole.contains("Idle class: timeout\n"), "{whole}");
    let network = exec(&mut bench, &of("inside 10.0.2.9"));
    assert!(
        network.contains("  Netmask: 255.255.255.0\n  RuleID : 3\n") && network.contains("use_count:1\n")
    );
    let query = exec(&mut bench, &of("vrf A udp"));
    assert!(query.contains("ALG Application Type: DNS\n  Idle class: dns-timeout\n"), "{query}");
}

/// Who serves every peer has nobody outside.
#[test]
fn a_binding_of_cgn_mode_has_no_outside() {
    let cgn = format!("{EVERYTHING}ip nat settings mode cgn\n");
    let mut bench = Bench::new("test", &cgn, Setup::default()).expect("a configuration");
    send(&mut bench, "Gi0/0/0", "udp 10.0.0.2:4000 > 198.51.100.20:5000");
    let rows = rows(&mut bench, "udp");
    // The port is drawn.
    let rest = "10.0.0.2:4000         ---                   ---";
    assert!(
        rows.len() == 1 && rows[0].starts_with("udp  203.0.113.1:") && rows[0].get(27..) == Some(rest),
        "{rows:?}"
    );
}

/// The rows that a clear ends, and what it says.
#[track_caller]
fn expect_cleared(words: &str, expected: &[&str]) {
    let mut bench = bench(1);
    everybody_talks(&mut bench);
    let before = rows(&mut bench, "");
    let said = exec(&mut bench, &format!("clear ip nat translation {words}"));
    let count = expected.len();
    assert_eq!(
        said,
        format!("{count} translation{} cleared\n", if count == 1 { "" } else { "s" }),
        "{words}"
    );
    let after = rows(&mut bench, "");
    let mut ended: Vec<&str> =
        before.iter().map(String::as_str).filter(|row| !after.iter().any(|left| left == row)).collect();
    let mut expected = expected.to_vec();
    ended.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ended, expected, "{words}");
    assert_eq!(after.len() + count, before.len(), "{words}: and nothing else");
    bench.finish().expect("sound");
}

#[test]
fn a_clear_ends_what_it_names_and_nothing_else() {
    let endpoints = "udp inside 203.0.113.1 4000 10.0.0.2 4000";
    for (words, expected) in [
        ("inside 203.0.113.1 10.0.0.2", &[UDP, FTP, ECHO][..]),
        ("inside 203.0.113.1 10.0.0.2 forced", &[UDP, FTP, ECHO]),
        ("inside 203.0.113.1 10.0.0.2 outside 198.51.100.20 198.51.100.20", &[UDP, FTP, ECHO]),
        ("inside 203.0.113.9 10.0.0.200", &[WHOLE, OF_WHOLE, GRE]),
        ("inside 203.0.113.9 10.0.0.200 outside 198.51.100.20 198.51.100.20", &[OF_WHOLE, GRE]),
        ("inside 203.0.113.20 10.0.0.11", &[VISITOR, OUTSIDE_HOST]),
        ("outside 172.16.1.1 198.18.0.1", &[VISITOR, OUTSIDE_HOST]),
        ("outside 172.16.2.7 198.51.100.7 forced", &[OF_NETWORK]),
        (endpoints, &[UDP]),
        (
            "tcp inside 203.0.113.1 4001 10.0.0.2 4001 outside 198.51.100.20 21 198.51.100.20 21 forced",
            &[FTP],
        ),
        ("pool WHOLE", &[WHOLE, OF_WHOLE, GRE]),
        ("pool LOCAL", &[VISITOR, OUTSIDE_HOST]),
        ("pool REAL forced", &[SERVED]),
    ] {
        expect_cleared(words, expected);
    }
}

/// What must have ended with a clear, and what must be left, whatever ports workers gave.
#[test]
fn vrfs_are_cleared_apart() {
    for worker_count in 1..=2 {
        for (words, left) in [
            ("vrf A *", [1, 1, 1 + 2]),
            ("vrf B * forced", [2, 0, 1 + 2]),
            ("vrf A inside 203.0.113.1 10.0.0.2", [1, 1, 1 + 2]),
            ("pool SHARED", [1, 0, 0]),
            ("*", [1, 0, 0]),
            ("forced", [1, 0, 0]),
        ] {
            let mut bench = bench(worker_count);
            everybody_talks(&mut bench);
            let of_a = rows(&mut bench, "vrf A udp");
            // Which of the two addresses the host has is its worker's to choose.
            let global = of_a[0].split([' ', ':']).find(|word| word.starts_with("203")).expect("an address");
            exec(&mut bench, &format!("clear ip nat translation {}", words.replace("203.0.113.1", global)));
            let vrfs = ["vrf A", "vrf B"].map(|vrf| rows(&mut bench, vrf).len());
            let in_global = rows(&mut bench, "inside 10.0.0.2").len() - (vrfs[0] - 1) - vrfs[1];
            assert_eq!([vrfs[0], vrfs[1], in_global], left, "{words}, {worker_count} workers");
            bench.finish().expect("sound");
        }
    }
}

#[test]
fn what_there_is_not_is_not_cleared() {
    let mut bench = bench(2);
    everybody_talks(&mut bench);
    let before = rows(&mut bench, "").len();
    for (words, refusal) in [
        ("inside 203.0.113.1 10.0.0.3", "%Translation not found"),
        ("inside 203.0.113.1 10.0.0.2 outside 198.51.100.20 198.51.100.21", "%Translation not found"),
        ("outside 172.16.1.9 198.18.0.1", "%Translation not found"),
        ("tcp inside 203.0.113.1 4000 10.0.0.2 4000", "%Translation not found"),
        ("udp inside 203.0.113.1 4000 10.0.0.2 4009", "%Translation not found"),
        ("vrf B inside 203.0.113.22 10.0.0.12", "%Translation not found"),
        ("inside 203.0.113.21 10.0.0.12", "%Translation not dynamic"),
        ("vrf A inside 203.0.113.22 10.0.0.12", "%Translation not dynamic"),
        ("vrf C *", "% VRF C does not exist"),
        ("pool NONE", "% There is no pool NONE"),
    ] {
        let said = bench.exec(&format!("clear ip nat translation {words}"));
        assert_eq!(said, Err(refusal.to_string()), "{words}");
    }
    for wrong in ["", "inside 203.0.113.1", "udp inside 203.0.113.1 10.0.0.2", "vrf A", "pool"] {
        assert!(bench.exec(&format!("clear ip nat translation {wrong}")).is_err(), "{wrong}");
    }
    assert_eq!(rows(&mut bench, "").len(), before);
    assert_eq!(exec(&mut bench, "clear ip nat translation vrf B *"), "1 translation cleared\n");
    assert_eq!(exec(&mut bench, "clear ip nat translation vrf B *"), "0 translations cleared\n");
}

/// Whoever sends after a clear is translated anew, or is not let through: his address stays inside.
#[test]
fn no_inside_address_leaves_after_a_clear() {
    for worker_count in 1..=2 {
        for words in ["*", "forced", "pool SHARED", "inside 203.0.113.9 10.0.0.200", "vrf A *"] {
            let mut bench = bench(worker_count);
            everybody_talks(&mut bench);
            for _ in 0..2 {
                // The second time there may be nothing left.
                drop(bench.exec(&format!("clear ip nat translation {words}")));
                for (place, packet) in [
                    ("Gi0/0/0", "udp 10.0.0.2:4000 > 198.51.100.20:5000"),
                    ("Gi0/0/0", "tcp 10.0.0.2:4001 > 198.51.100.20:21 ack"),
                    ("Gi0/0/2", "udp 10.0.0.2:4000 > 198.51.100.20:53"),
                    ("Gi0/0/0", "ip gre 10.0.0.200 > 198.51.100.20 hex 0000080045000000"),
                ] {
                    for sent in send(&mut bench, place, packet) {
                        assert!(!sent.contains(" 10.0."), "{words}: {packet}: {sent}");
                    }
                }
            }
            bench.finish().expect("sound");
        }
    }
}

/// A control session that is cleared takes its door with it, and what was read of its connection.
#[test]
fn doors_end_with_what_is_cleared() {
    for (words, left) in [
        ("tcp inside 203.0.113.1 4001 10.0.0.2 4001", 0),
        ("inside 203.0.113.1 10.0.0.2", 0),
        ("outside 198.51.100.20 198.51.100.20", 0),
        ("pool SHARED", 0),
        ("*", 0),
        ("udp inside 203.0.113.1 4000 10.0.0.2 4000", 1),
        ("pool WHOLE", 1),
        ("vrf A *", 1),
    ] {
        let mut bench = bench(1);
        everybody_talks(&mut bench);
        for (place, packet) in [
            ("Gi0/0/0", "tcp 10.0.0.2:4001 > 198.51.100.20:21 syn seq 1000"),
            ("outside", "tcp 198.51.100.20:21 > 203.0.113.1:4001 syn,ack seq 5000 ack 1001"),
            ("Gi0/0/0", "tcp 10.0.0.2:4001 > 198.51.100.20:21 ack seq 1001 ack 5001"),
            (
                "Gi0/0/0",
                "tcp 10.0.0.2:4001 > 198.51.100.20:21 psh,ack seq 1001 ack 5001 \"PORT 10,0,0,2,19,136\\r\\n\"",
            ),
        ] {
            send(&mut bench, place, packet);
        }
        assert_eq!(bench.doors().len(), 1);
        exec(&mut bench, &format!("clear ip nat translation {words}"));
        assert_eq!(bench.doors().len(), left, "{words}");
        bench.finish().expect("sound");
    }
}

#[test]
fn statistics_tell_of_every_rule() {
    const EXPECTED: &str = "\
Total active translations: 19 (6 static, 13 dynamic; 11 extended)
Peak translations: 19, occurred 00:01:02 ago
Half-open translations: 1 begun inside, 2 begun outside
Outside interfaces:
  GigabitEthernet0/0/1
Inside interfaces:
  GigabitEthernet0/0/0
  GigabitEthernet0/0/2
  GigabitEthernet0/0/3
Hits: 0  Misses: 11
Expired translations: 0
Dynamic mappings:
-- Inside Source
[Id: 6] access-list 1 pool SHARED refcount 3
pool SHARED: id 1, netmask 255.255.255.0
    start 203.0.113.1 end 203.0.113.2
    type generic, total addresses 2, allocated ALLOCATED, misses 0
";
    const REST: &str = "\
[Id: 9] access-list 2 pool WHOLE refcount 3
pool WHOLE: id 2, netmask 255.255.255.0
    start 203.0.113.9 end 203.0.113.10
    type generic, total addresses 2, allocated 1 (50%), misses 0
[Id: 10] access-list 5 interface GigabitEthernet0/0/1 refcount 0
-- Inside Destination
[Id: 11] access-list 4 pool REAL refcount 1
pool REAL: id 4, netmask 255.255.255.0
    start 10.0.0.41 end 10.0.0.42
    type rotary, total addresses 2, allocated 0 (0%), misses 0
-- Outside Source
[Id: 13] access-list 3 pool LOCAL refcount 1
pool LOCAL: id 3, netmask 255.255.255.0
    start 172.16.1.1 end 172.16.1.2
    type generic, total addresses 2, allocated 1 (50%), misses 0
Total doors: 0
Appl doors: 0
Normal doors: 0
Queued Packets: 0
nat-limit statistics:
max entry: max allowed 0, used 11, missed 0
In-to-out drops: 0  Out-to-in drops: 0
Pool stats drop: 0  Mapping stats drop: 0
Port block alloc fail: 0
IP alias add fail: 0
Limit entry add fail: 0
";
    let mut bench = bench(1);
    everybody_talks(&mut bench);
    let now = exec(&mut bench, "show ip nat statistics");
    let expected = EXPECTED.replace("ALLOCATED", "1 (50%)").replace("00:01:02", "00:00:00");
    assert!(now.starts_with(&expected), "{now}");
    assert!(now.ends_with(REST), "{now}");
}

#[test]
fn an_address_that_workers_share_is_allocated_once() {
    let mut bench = bench(3);
    for host in 2..40 {
        send(&mut bench, "Gi0/0/0", &format!("udp 10.0.0.{host}:4000 > 198.51.100.20:5000"));
    }
    let statistics = exec(&mut bench, "show ip nat statistics");
    let addresses: Vec<_> = bench.ports_in_use().into_iter().map(|(addr, _)| addr).collect();
    assert!(addresses.len() > 1 && addresses.iter().all(|addr| *addr == addresses[0]), "{addresses:?}");
    assert!(statistics.contains("total addresses 2, allocated 1 (50%), misses 0\n"), "{statistics}");
}

#[test]
fn the_peak_is_as_old_as_it_is() {
    let mut bench = bench(2);
    everybody_talks(&mut bench);
    exec(&mut bench, "clear ip nat translation *");
    bench.advance(3_723_000).expect("sound");
    let statistics = exec(&mut bench, "show ip nat statistics");
    assert!(statistics.contains("\nPeak translations: 19, occurred 01:02:03 ago\n"), "{statistics}");
}
