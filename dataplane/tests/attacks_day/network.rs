//! The network that is attacked.

use std::net::{Ipv4Addr, SocketAddrV4};

use testkit::bench::Setup;
use testkit::network::Network;
use testkit::sides::{DEFAULT_ROUTE, TWO_SIDES};

/// What strangers reach servers of 10.0.0.0/24 by.
pub const PUBLISHED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
/// A server that nobody attacks, and its address outside.
pub const PRIVATE_SERVER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 3, 80), Ipv4Addr::new(203, 0, 113, 81)];
/// A pool of two addresses; for hosts from 10.0.64.0 on the interface's own, of which they have few ports. Addresses of 11.0.0.0/8
/// are others inside, of which there are few, but in CGN mode; one host has a whole address, so that DNS is read. TCP's idle time and that of whole addresses are two hours and four minutes
/// (RFC 5382 REQ-5) instead of a day, so that in a day what one attack established has ended before another one.
const CONFIG: &str = "
platform dpdk
 max-sessions 8192
access-list 1 permit 10.0.0.0 0.0.63.255
access-list 1 permit 10.0.128.0 0.0.127.255
access-list 2 permit 10.0.64.0 0.0.63.255
access-list 7 permit 11.0.0.0 0.255.255.255
ip nat pool P 203.0.113.1 203.0.113.2 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source list 2 interface GigabitEthernet0/0/1 overload
ip nat settings interface-overload port range start 20000 end 21999
ip nat pool OUT 172.16.1.1 172.16.1.30 prefix-length 24
ip nat outside source list 7 pool OUT
ip nat inside source static tcp 10.0.3.80 80 203.0.113.81 80
ip nat inside source static 10.0.3.81 203.0.113.82
ip nat inside source static tcp 10.0.0.80 80 203.0.113.80 80
ip nat inside source static tcp 10.0.0.21 21 203.0.113.80 21
ip nat inside source static tcp 10.0.0.54 554 203.0.113.80 554
ip nat inside source static tcp 10.0.0.14 514 203.0.113.80 514
ip nat inside source static tcp 10.0.0.53 53 203.0.113.80 53
ip nat inside source static udp 10.0.0.53 53 203.0.113.80 53
ip nat inside source static udp 10.0.0.69 69 203.0.113.80 69
ip nat inside source static udp 10.0.0.90 9000 203.0.113.80 9000
ip nat translation tcp-timeout 7440
ip nat translation timeout 7440
ip route 198.18.0.0 255.254.0.0 Null0
interface GigabitEthernet0/0/1
 ip mtu 1400
";

/// The appliance in one of its modes.
pub fn network(mode: &str, worker_count: usize) -> Network {
    let setup = Setup { worker_count, stations_answer: false, ..Setup::default() };
    let config = format!("{TWO_SIDES}{DEFAULT_ROUTE}{CONFIG}{mode}");
    let mut network = Network::new(&format!("attacks_day, {mode:?}, {worker_count} workers"), &config, setup);
    // Servers answer whoever asks, and strangers in made-up names do not.
    network.answers = |syn| syn.dst.ip().octets()[..3] == [10, 0, 0] && !is_known(syn.src);
    network
}

/// Whether somebody is there who answers for himself, step by step.
fn is_known(end: SocketAddrV4) -> bool {
    end.ip().octets()[..3] == [198, 51, 100]
}
