//! The appliance's configuration, with what a crowd needs.

use std::fmt::Write;
use std::net::Ipv4Addr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::dns::NAMED;
use super::{Parties, Speech};

/// Idle connections are gone after so many seconds: later than any host is silent that means to go on.
pub const IDLE_S: u64 = 1800;
/// The same of connections that close: smoltcp's sockets may wait a minute before they repeat a FIN, and once more.
const CLOSING_S: u64 = 240;

/// The line of the mode that is not the default.
pub const CGN: &str = "ip nat settings mode cgn\n";

const HEAD: &str = "
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.0.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 198.18.0.1 255.255.0.0
 ip nat outside
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat pool P 203.0.113.1 203.0.113.4 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source static network 10.0.1.0 203.0.114.0 255.255.255.0
";

/// Whether the configuration knows an address as an inside host's.
pub fn is_inside(addr: Ipv4Addr) -> bool {
    addr.octets()[..2] == [10, 0]
}

/// The parties of session number so-and-so.
pub fn parties(number: u8, speech: Speech, generator: &mut SmallRng) -> Parties {
    let client_is_inside = generator.random_bool(0.6);
    let is_whole_static = !client_is_inside && generator.random_bool(0.5);
    let (net, global) = match (client_is_inside, is_whole_static) {
        (true, _) => (4, (Ipv4Addr::UNSPECIFIED, 0)),
        (_, true) => (1, (Ipv4Addr::new(203, 0, 114, number), speech.port())),
        _ => (2, (Ipv4Addr::new(203, 0, 116, 1), generator.random_range(100..256) * 256 + u16::from(number))),
    };
    let (inside, outside) = (Ipv4Addr::new(10, 0, net, number), Ipv4Addr::new(198, 18, 1, number));
    Parties { client_is_inside, inside, outside, global, is_whole_static, shared_port: None }
}

/// The same, but for the outside host: another session of the inside host, which announces the same ports.
pub fn twin(first: &mut Parties, number: u8, generator: &mut SmallRng) -> Parties {
    first.shared_port = Some(generator.random_range(512..30_000) * 2);
    Parties { outside: Ipv4Addr::new(198, 18, 1, number), ..first.clone() }
}

/// The configuration that serves these sessions.
pub fn text<'c>(members: impl Iterator<Item = (&'c Parties, Speech)>, generator: &mut SmallRng) -> String {
    let mut text = HEAD.trim_start().to_string();
    let dots = |[a, b, c]: [u8; 3]| format!("{a}.{b}.{c}.0");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "ip nat inside source static network {} {} 255.255.255.0",
        dots(NAMED.0),
        dots(NAMED.1)
    );
    let _ = writeln!(text, "ip nat translation tcp-timeout {IDLE_S}");
    let _ = writeln!(text, "ip nat translation finrst-timeout {CLOSING_S}");
    if generator.random_bool(0.5) {
        text.push_str(CGN);
    }
    for (parties, speech) in
        members.filter(|(parties, _)| !parties.client_is_inside && !parties.is_whole_static)
    {
        let (inside, port, (global, global_port)) = (parties.inside, speech.port(), parties.global);
        let _ = writeln!(text, "ip nat inside source static tcp {inside} {port} {global} {global_port}");
    }
    text
}
