//! RFC 7422: who had a port is told in both directions, by the command an operator would use, and traffic agrees.

use testkit::bench::{Bench, Setup};

/// The example of section 2: fourteen hosts, one address, 4032 ports each and 8064 for those that need more.
const CONFIG: &str = "
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 203.0.113.2 255.255.255.0
 ip nat outside
ip route 0.0.0.0 0.0.0.0 203.0.113.254
ip route 198.51.100.0 255.255.255.240 10.0.0.2
ip nat pool O 192.0.2.1 192.0.2.1 prefix-length 32
access-list 1 permit 198.51.100.0 0.0.0.15
ip nat inside source list 1 pool O overload
ip nat settings mode cgn
ip nat settings deterministic pool O list 1 ports-per-host 4032 dynamic-ports 8064 max-ports 5040
";

fn bench() -> Bench {
    Bench::new("rfc_7422", CONFIG, Setup::default()).expect("the configuration of the example")
}

#[test]
fn the_command_tells_both_directions() {
    let mut bench = bench();
    for host in 1..=14u16 {
        let (first, last) = (1024 + (host - 1) * 4032, 1023 + host * 4032);
        let inside = format!("198.51.100.{host}");
        let forward = bench.exec(&format!("show ip nat deterministic inside {inside}")).unwrap();
        assert!(forward.contains(&format!("192.0.2.1, ports {first} to {last} ")), "{forward}");
        for port in [first, first + 2000, last] {
            let command = format!("show ip nat deterministic global 192.0.2.1 port {port}");
            let reverse = bench.exec(&command).unwrap();
            assert!(reverse.trim_end().ends_with(&format!(" {inside}")), "{reverse}");
        }
    }
    for port in [0, 1023, 57_472, 65_535] {
        let command = format!("show ip nat deterministic global 192.0.2.1 port {port}");
        assert!(bench.exec(&command).is_err(), "port {port} is nobody's");
    }
    assert!(bench.exec("show ip nat deterministic inside 198.51.100.15").is_err());
    bench.finish().unwrap();
}

/// Another box with the same configuration answers the same.
#[test]
fn two_boxes_compute_the_same() {
    let (mut one, mut other) = (bench(), bench());
    for host in 1..=14 {
        let command = format!("show ip nat deterministic inside 198.51.100.{host}");
        assert_eq!(one.exec(&command).unwrap(), other.exec(&command).unwrap());
    }
}
