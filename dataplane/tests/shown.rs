//! What commands say of an appliance with something of everything in its tables.

use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::sides::ON_LINK;
use testkit::spec::PacketSpec;

/// Statics and pools, of both sides.
const EVERYTHING: &str = "\
access-list 1 permit 10.0.0.0 0.0.0.127
access-list 2 permit 10.0.0.128 0.0.0.127
access-list 3 permit 198.18.0.0 0.1.255.255
ip nat pool SHARED 203.0.113.1 203.0.113.2 prefix-length 24
ip nat pool WHOLE 203.0.113.9 203.0.113.10 prefix-length 24
ip nat pool LOCAL 172.16.1.1 172.16.1.2 prefix-length 24
ip nat inside source list 1 pool SHARED overload
ip nat inside source list 2 pool WHOLE
ip nat inside source static tcp 10.0.0.11 80 203.0.113.20 80
ip nat inside source static 10.0.0.12 203.0.113.21
ip nat outside source list 3 pool LOCAL
ip nat outside source static 198.51.100.7 172.16.2.7
ip nat outside source static tcp 198.51.100.8 80 172.16.2.8 8080
ip nat outside source static network 198.51.101.0 172.16.3.0 255.255.255.0
";

fn bench(config: &str, worker_count: usize) -> Bench {
    Bench::new("test", &format!("{ON_LINK}{config}"), Setup { worker_count, ..Setup::default() })
        .expect("a configuration")
}

/// Lets a packet arrive, and forgets what comes out.
fn send(bench: &mut Bench, place: &str, packet: &str) {
    let spec: PacketSpec = packet.parse().expect("a packet");
    let bytes = build::packet(&spec).expect("a packet");
    let interface = bench.interface(place).expect("an interface").name.clone();
    let frame = bench.frame_to(&interface, &bytes).expect("a frame");
    bench.inject(&interface, &frame).expect("sound");
    bench.take_all();
}

/// A host behind each pool has a session, and a host of the outside's pool visits a server.
fn everybody_talks(bench: &mut Bench) {
    send(bench, "inside", "udp 10.0.0.2:4000 > 198.51.100.20:5000");
    send(bench, "inside", "udp 10.0.0.200:4000 > 198.51.100.20:5000");
    send(bench, "outside", "tcp 198.18.0.1:5555 > 203.0.113.20:80 syn");
}

fn rows(table: &str) -> Vec<&str> {
    table.lines().skip(1).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn the_totals_are_of_the_same() {
    for worker_count in 1..=3 {
        let mut bench = bench(EVERYTHING, worker_count);
        everybody_talks(&mut bench);
        let table = bench.exec("show ip nat translations").expect("a table");
        assert_eq!(rows(&table).len(), 10, "{table}");
        let total = bench.exec("show ip nat translations total").expect("a total");
        assert_eq!(total, "Total number of translations: 10\n");
        let statistics = bench.exec("show ip nat statistics").expect("statistics");
        let mut lines = statistics.lines();
        assert_eq!(
            lines.next(),
            Some("Total active translations: 10 (5 static, 5 dynamic; 3 extended)"),
            "{worker_count} workers"
        );
        assert_eq!(lines.next(), Some("Peak translations: 10, occurred 00:00:00 ago"));
        let totals = bench.exec("show ip nat totals").expect("totals");
        let active: Vec<&str> = totals.lines().last().expect("a line").split_whitespace().collect();
        // The visitor's server has a static's endpoint, which nobody gave it.
        assert_eq!(active, ["Active", "3", "3", "0"], "{totals}");
        bench.exec("clear ip nat translation *").expect("an answer");
        let total = bench.exec("show ip nat translations total").expect("a total");
        assert_eq!(total, "Total number of translations: 5\n");
        let statistics = bench.exec("show ip nat statistics").expect("statistics");
        assert!(
            statistics.starts_with(
                "Total active translations: 5 (5 static, 0 dynamic; 0 extended)\nPeak translations: 10, "
            ),
            "{statistics}"
        );
    }
}

#[test]
fn what_is_known_of_the_outside_has_no_inside_columns() {
    const HOST: &str = "---  ---                   ---                   172.16.2.7            198.51.100.7";
    const PORT: &str =
        "tcp  ---                   ---                   172.16.2.8:8080       198.51.100.8:80";
    const NETWORK: &str =
        "---  ---                   ---                   172.16.3.0            198.51.101.0";
    const DYNAMIC: &str = "---  ---                   ---                   172.16.1.1            198.18.0.1";
    let mut bench = bench(EVERYTHING, 1);
    everybody_talks(&mut bench);
    for (filter, expected) in [
        ("", &[HOST, PORT, NETWORK, DYNAMIC][..]),
        ("tcp", &[PORT]),
        ("udp", &[]),
        ("inside 203.0.113.21", &[]),
        ("outside 172.16.2.7", &[HOST]),
        ("outside 172.16.1.1", &[DYNAMIC]),
    ] {
        let table = bench.exec(&format!("show ip nat translations {filter}")).expect("a table");
        let is_of_outside = |line: &&str| line.get(5..8) == Some("---");
        let found: Vec<&str> = rows(&table).into_iter().filter(is_of_outside).collect();
        assert_eq!(found, expected, "{filter}\n{table}");
    }
}

/// Each limit is reached once and once more, by hosts of the global table and of a VRF.
const LIMITED: &str = "\
vrf definition A
vrf definition B
interface GigabitEthernet0/0/2
 vrf forwarding A
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/3
 vrf forwarding B
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
ip route vrf A 0.0.0.0 0.0.0.0 192.0.2.254 global
ip route vrf B 0.0.0.0 0.0.0.0 192.0.2.254 global
access-list 1 permit 10.0.0.0 0.0.0.255
access-list 7 permit 10.0.0.64 0.0.0.63
ip nat pool P 203.0.113.1 203.0.113.2 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source list 1 pool P vrf A overload
ip nat inside source list 1 pool P vrf B overload
ip nat translation max-entries 14
ip nat translation max-entries all-host 5
ip nat translation max-entries host 10.0.0.9 2
ip nat translation max-entries list 7 3
ip nat translation max-entries vrf A 2
ip nat translation max-entries all-vrf 1
";

fn limits(bench: &mut Bench) -> Vec<String> {
    let statistics = bench.exec("show ip nat statistics").expect("statistics");
    let from = statistics.lines().skip_while(|line| *line != "nat-limit statistics:").skip(1);
    from.take_while(|line| line.contains(": max allowed ")).map(str::to_string).collect()
}

#[test]
fn each_limit_counts_what_it_refuses() {
    let mut bench = bench(LIMITED, 1);
    // Of the global table: a host, a host with a limit of its own, one of a list; then of VRFs; then one too many of all.
    for (place, last, count) in
        [("Gi0/0/0", 2, 7), ("Gi0/0/0", 9, 3), ("Gi0/0/0", 64, 4), ("Gi0/0/2", 3, 4), ("Gi0/0/3", 3, 2)]
    {
        for port in 4000..4000 + count {
            send(&mut bench, place, &format!("udp 10.0.0.{last}:{port} > 198.51.100.7:5000"));
        }
    }
    send(&mut bench, "Gi0/0/0", "udp 10.0.0.5:4000 > 198.51.100.7:5000");
    send(&mut bench, "Gi0/0/0", "udp 10.0.0.5:4001 > 198.51.100.7:5000");
    assert_eq!(
        limits(&mut bench),
        [
            "max entry: max allowed 14, used 14, missed 1",
            "all-host: max allowed 5, missed 2",
            "host 10.0.0.9: max allowed 2, used 2, missed 1",
            "list 7: max allowed 3, used 3, missed 1",
            "vrf A: max allowed 2, used 2, missed 2",
            "vrf B: max allowed 1, used 1, missed 1",
        ]
    );
    let statistics = bench.exec("show ip nat statistics").expect("statistics");
    assert!(statistics.contains("In-to-out drops: 8 "), "{statistics}");
    // Another limit before them does not take their counts.
    let more = LIMITED
        .replace("max-entries 14\n", "max-entries host 10.0.0.8 1\nip nat translation max-entries 14\n");
    bench.reconfigure("test", &format!("{ON_LINK}{more}")).expect("a configuration");
    bench.advance(1000).expect("sound");
    let shown = limits(&mut bench);
    assert_eq!(
        shown[2..4],
        ["host 10.0.0.8: max allowed 1, used 0, missed 0", "host 10.0.0.9: max allowed 2, used 2, missed 1"]
    );
    bench.exec("clear ip nat statistics").expect("silence");
    for line in limits(&mut bench) {
        assert!(line.ends_with(" missed 0"), "{line}");
    }
}

/// Ports by computation, for two hosts.
const COMPUTED: &str = "\
ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 32
access-list 1 permit 10.0.0.2 0.0.0.1
ip nat inside source list 1 pool P overload
ip nat settings mode cgn
ip nat settings deterministic pool P list 1 ports-per-host 100 dynamic-ports 100 max-ports 150
";

/// A port that no host has by computation is told all the same, while one has it.
#[test]
fn who_has_a_port_is_asked_of_the_sessions_first() {
    for worker_count in 1..=2 {
        let mut bench = bench(COMPUTED, worker_count);
        for port in 4000..4101 {
            send(&mut bench, "inside", &format!("udp 10.0.0.2:{port} > 198.51.100.7:5000"));
        }
        let sessions = bench.sessions();
        let mut extra = sessions.iter().filter(|row| row.inside_global.port >= 1224);
        let (local, port) =
            extra.next().map(|row| (row.inside_local, row.inside_global.port)).expect("a session");
        let global = format!("show ip nat deterministic global 203.0.113.1 port {port}");
        let expected = format!("Inside global 203.0.113.1:{port}\n  Inside local {local} by udp now\n");
        assert_eq!(bench.exec(&global), Ok(expected));
        let own = bench.exec("show ip nat deterministic global 203.0.113.1 port 1100").expect("an answer");
        let lines: Vec<&str> = own.lines().collect();
        assert!(
            lines[1].starts_with("  Inside local 10.0.0.2:4") && lines[1].ends_with(" by udp now"),
            "{own}"
        );
        assert_eq!(lines[2..], ["  By computation 10.0.0.2"]);
        let other = bench.exec("show ip nat deterministic global 203.0.113.1 port 1124").expect("an answer");
        assert_eq!(other, "Inside global 203.0.113.1:1124\n  By computation 10.0.0.3\n");
        bench.exec("clear ip nat translation *").expect("an answer");
        assert!(bench.exec(&global).is_err(), "nobody has it now");
    }
}

#[test]
fn sessions_that_new_settings_would_not_make_are_counted() {
    for worker_count in 1..=2 {
        let mut bench = bench(COMPUTED, worker_count);
        for host in [2, 3] {
            send(&mut bench, "inside", &format!("udp 10.0.0.{host}:4000 > 198.51.100.7:5000"));
        }
        let wider = COMPUTED
            .replace("ports-per-host 100", "ports-per-host 200")
            .replace("max-ports 150", "max-ports 250");
        bench.reconfigure("test", &format!("{ON_LINK}{wider}")).expect("a configuration");
        bench.advance(1000).expect("sound");
        let operation = &bench.appliance.operation;
        assert_eq!((operation.recomputing, operation.recomputed), (0, 1), "{worker_count} workers");
        assert_eq!(bench.sessions().len(), 1);
    }
}
