//! What a configuration says, as the reference needs it: facts, the text they are written as, and nothing derived.

use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// An address and a port; an ICMP query's identifier stands for the port.
pub type Endpoint = (Ipv4Addr, u16);

pub use crate::packet::{ICMP, TCP, UDP};

/// The address of the box on the inside.
pub const INSIDE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The address of the box on the outside.
pub const OUTSIDE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The inside's subnet.
pub const INSIDE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16);
/// The inside hosts that the access list permits.
pub const PERMITTED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 17);

/// The length of the pool's mask.
const POOL_PREFIX_LEN: u8 = 24;

/// `ip nat settings mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A session for each peer.
    Default,
    /// A mapping for all peers.
    Cgn,
}

/// Who outside may send to a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everyone.
    EndpointIndependent,
    /// Whose address was sent to.
    AddressDependent,
    /// Whose address and port were sent to.
    AddressAndPortDependent,
}

/// What permitted hosts are translated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dynamic {
    /// Nothing: no rule.
    Nothing,
    /// Ports of these addresses.
    Overload(Vec<Ipv4Addr>),
    /// Ports of the outside interface's address.
    Interface,
    /// One of these addresses each.
    Whole(Vec<Ipv4Addr>),
}

/// A static rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Static {
    /// One address to another.
    Address(Ipv4Addr, Ipv4Addr),
    /// One port to another.
    Port(u8, Endpoint, Endpoint),
    /// A network to another of the same size, with the length of their mask.
    Network(Ipv4Addr, Ipv4Addr, u8),
}

/// Idle times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Whole addresses, and protocols without ports.
    pub simple_ms: u64,
    /// UDP.
    pub udp_ms: u64,
    /// Port 53.
    pub dns_ms: u64,
    /// ICMP queries.
    pub icmp_ms: u64,
    /// TCP before its handshake is done.
    pub syn_ms: u64,
    /// TCP with its handshake done.
    pub tcp_ms: u64,
    /// TCP after both FINs, or a RST.
    pub finrst_ms: u64,
}

/// A configuration's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Sessions per peer, or per mapping.
    pub mode: Mode,
    /// Filtering.
    pub filtering: Filtering,
    /// The dynamic rule.
    pub dynamic: Dynamic,
    /// Static rules.
    pub statics: Vec<Static>,
    /// Idle times.
    pub idle: Idle,
    /// A global port has the inside port's parity.
    pub parity: bool,
    /// The inside port is kept where it is free.
    pub preserve: bool,
    /// First and last port of an overloaded interface, where that is narrowed.
    pub interface_range: Option<(u16, u16)>,
    /// The most inside hosts of one global address, which they never leave.
    pub paired_max: Option<u32>,
    /// How long a freed port is kept from other hosts, in milliseconds.
    pub hold_down_ms: u64,
    /// The most sessions of an inside host.
    pub per_host_max: Option<u32>,
    /// The most sessions of all.
    pub all_max: Option<u32>,
    /// Room for sessions.
    pub room: u32,
    /// Workers.
    pub worker_count: usize,
}

impl Default for Facts {
    fn default() -> Facts {
        let idle = Idle {
            simple_ms: 86_400_000,
            udp_ms: 300_000,
            dns_ms: 60_000,
            icmp_ms: 60_000,
            syn_ms: 60_000,
            tcp_ms: 86_400_000,
            finrst_ms: 60_000,
        };
        Facts {
            mode: Mode::Default,
            filtering: Filtering::AddressAndPortDependent,
            dynamic: Dynamic::Overload(vec![Ipv4Addr::new(203, 0, 113, 1)]),
            statics: Vec::new(),
            idle,
            parity: true,
            preserve: true,
            interface_range: None,
            paired_max: None,
            hold_down_ms: 0,
            per_host_max: None,
            all_max: None,
            room: 8192,
            worker_count: 1,
        }
    }
}

/// `addr` moved from one network to another, its host bits kept.
fn moved(addr: Ipv4Addr, from: Ipv4Addr, to: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let net = Ipv4Net::new(from, prefix_len).ok().filter(|net| net.contains(&addr))?;
    let host = addr.to_bits() & net.hostmask().to_bits();
    Some(Ipv4Addr::from_bits(to.to_bits() & net.netmask().to_bits() | host))
}

impl Facts {
    /// The addresses whose ports the dynamic rule hands out.
    pub fn pool(&self) -> &[Ipv4Addr] {
        match &self.dynamic {
            Dynamic::Nothing => &[],
            Dynamic::Overload(pool) | Dynamic::Whole(pool) => pool,
            Dynamic::Interface => &[OUTSIDE_ADDRESS],
        }
    }

    /// Whether an address belongs to the NAT.
    pub fn is_global(&self, addr: Ipv4Addr) -> bool {
        self.pool().contains(&addr)
            || self.statics.iter().any(|rule| match *rule {
                Static::Address(_, global) | Static::Port(_, _, (global, _)) => global == addr,
                Static::Network(local, global, len) => moved(addr, global, local, len).is_some(),
            })
    }

    /// The global endpoint that a static rule gives a local one; port statics come first, then longer prefixes.
    pub fn static_global(&self, protocol: u8, local: Endpoint) -> Option<Endpoint> {
        self.by_static(|rule| match *rule {
            Static::Port(of, from, to) => (of == protocol && from == local).then_some((to, 33)),
            Static::Address(from, to) => (from == local.0).then_some(((to, local.1), 32)),
            Static::Network(from, to, len) => moved(local.0, from, to, len).map(|to| ((to, local.1), len)),
        })
    }

    /// The local endpoint that a static rule has for a global one.
    pub fn static_local(&self, protocol: u8, global: Endpoint) -> Option<Endpoint> {
        self.by_static(|rule| match *rule {
            Static::Port(of, to, from) => (of == protocol && from == global).then_some((to, 33)),
            Static::Address(to, from) => (from == global.0).then_some(((to, global.1), 32)),
            Static::Network(to, from, len) => moved(global.0, from, to, len).map(|to| ((to, global.1), len)),
        })
    }

    /// Whether what an inside endpoint sends outside is translated.
    pub fn translates(&self, protocol: u8, local: Endpoint) -> bool {
        let is_permitted = self.dynamic != Dynamic::Nothing && PERMITTED.contains(&local.0);
        is_permitted || self.static_global(protocol, local).is_some()
    }

    /// Whether an address is of the pool's network, though the pool may not have it.
    pub fn is_of_pool_network(&self, addr: Ipv4Addr) -> bool {
        let network = |first: &Ipv4Addr| Ipv4Net::new_assert(*first, POOL_PREFIX_LEN);
        self.dynamic != Dynamic::Interface
            && self.pool().first().is_some_and(|first| network(first).contains(&addr))
    }

    fn by_static(&self, find: impl Fn(&Static) -> Option<(Endpoint, u8)>) -> Option<Endpoint> {
        self.statics.iter().filter_map(find).max_by_key(|(_, len)| *len).map(|(end, _)| end)
    }

    /// The ports that an inside port may become, by its class; any identifier of a query. A range for interfaces
    /// narrows the higher class.
    pub fn port_range(&self, protocol: u8, local_port: u16) -> (u16, u16) {
        let range = self.interface_range.filter(|_| self.dynamic == Dynamic::Interface);
        match (protocol, local_port) {
            (ICMP, _) => (0, u16::MAX),
            (_, ..1024) => (512, 1023),
            _ => range.unwrap_or((1024, u16::MAX)),
        }
    }

    /// The configuration, in the product's language.
    pub fn config(&self) -> String {
        let mut text = String::from("platform dpdk\n");
        let _ = writeln!(text, " max-sessions {}", self.room);
        let _ = writeln!(text, "interface GigabitEthernet0/0/0\n ip address {INSIDE_ADDRESS} 255.255.0.0");
        text.push_str(" ip nat inside\n");
        let _ = writeln!(text, "interface GigabitEthernet0/0/1\n ip address {OUTSIDE_ADDRESS} 255.255.255.0");
        text.push_str(" ip nat outside\nip route 0.0.0.0 0.0.0.0 192.0.2.254\n");
        // The relation is about translation: what gateways do with random bytes is tested elsewhere.
        text.push_str("no ip nat service all-algs\n");
        let (net, wildcard) = (PERMITTED.network(), PERMITTED.hostmask());
        let _ = writeln!(text, "access-list 1 permit {net} {wildcard}");
        if let (Some(first), Some(last)) = (self.pool().first(), self.pool().last()) {
            let _ = match self.dynamic {
                Dynamic::Interface => {
                    writeln!(text, "ip nat inside source list 1 interface GigabitEthernet0/0/1 overload")
                }
                Dynamic::Whole(_) => writeln!(
                    text,
                    "ip nat pool P {first} {last} prefix-length {POOL_PREFIX_LEN}\nip nat inside source list 1 pool P"
                ),
                _ => writeln!(
                    text,
                    "ip nat pool P {first} {last} prefix-length {POOL_PREFIX_LEN}\nip nat inside source list 1 pool P overload"
                ),
            };
        }
        for rule in &self.statics {
            let _ = match rule {
                Static::Address(local, global) => {
                    writeln!(text, "ip nat inside source static {local} {global}")
                }
                Static::Port(protocol, local, global) => {
                    let name = if *protocol == TCP { "tcp" } else { "udp" };
                    let (local, global) =
                        (format!("{} {}", local.0, local.1), format!("{} {}", global.0, global.1));
                    writeln!(text, "ip nat inside source static {name} {local} {global}")
                }
                Static::Network(local, global, len) => {
                    writeln!(text, "ip nat inside source static network {local} {global} /{len}")
                }
            };
        }
        self.settings(&mut text);
        self.timers(&mut text);
        self.limits(&mut text);
        text
    }

    fn timers(&self, text: &mut String) {
        let (idle, usual) = (self.idle, Facts::default().idle);
        for (name, own, usual) in [
            ("timeout", idle.simple_ms, usual.simple_ms),
            ("udp-timeout", idle.udp_ms, usual.udp_ms),
            ("dns-timeout", idle.dns_ms, usual.dns_ms),
            ("icmp-timeout", idle.icmp_ms, usual.icmp_ms),
            ("syn-timeout", idle.syn_ms, usual.syn_ms),
            ("tcp-timeout", idle.tcp_ms, usual.tcp_ms),
            ("finrst-timeout", idle.finrst_ms, usual.finrst_ms),
        ] {
            // CGN mode has defaults of its own.
            if own != usual || self.mode == Mode::Cgn {
                let _ = writeln!(text, "ip nat translation {name} {}", own / 1000);
            }
        }
    }

    fn settings(&self, text: &mut String) {
        let choice = if self.preserve { "preserve" } else { "random" };
        let parity = if self.parity { "preserve" } else { "ignore" };
        let mut lines = vec![format!("port choice {choice}"), format!("port parity {parity}")];
        // Hosts that would get a whole address of a shared pool are another story.
        lines.extend(["nonpatdrop".to_string(), "tcp unsolicited-syn silent".to_string()]);
        match (self.mode, self.filtering) {
            (Mode::Cgn, _) => lines.push("mode cgn".into()),
            (_, Filtering::EndpointIndependent) => lines.push("filtering endpoint-independent".into()),
            (_, Filtering::AddressDependent) => lines.push("filtering address-dependent".into()),
            (_, Filtering::AddressAndPortDependent) => {}
        }
        lines.extend(self.paired_max.map(|max| format!("pap limit {max}")));
        let range = self.interface_range;
        lines
            .extend(range.map(|(low, high)| format!("interface-overload port range start {low} end {high}")));
        if self.hold_down_ms > 0 {
            lines.push(format!("hold-down {}", self.hold_down_ms / 1000));
        }
        for line in lines {
            let _ = writeln!(text, "ip nat settings {line}");
        }
    }

    fn limits(&self, text: &mut String) {
        if let Some(max) = self.per_host_max {
            let _ = writeln!(text, "ip nat translation max-entries all-host {max}");
        }
        if let Some(max) = self.all_max {
            let _ = writeln!(text, "ip nat translation max-entries {max}");
        }
    }
}
