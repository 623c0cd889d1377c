//! What the gateway translates, as data that the appliance's configuration and the kernel's ruleset are rendered from.

use crate::address::{
    INSIDE_GATEWAY, OUTSIDE_GATEWAY, POOL_FIRST, POOL_LAST, STATIC_GLOBAL, STATIC_HOST, STATIC_PORT,
    inside_host,
};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Where the inside hosts' global addresses come from, always with port overload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A pool, first and last address included; on the outside subnet the gateway answers ARP for it.
    Pool(Ipv4Addr, Ipv4Addr),
    /// The address of the outside interface.
    Interface,
}

/// A static translation, local first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Static {
    /// A whole address.
    Address(Ipv4Addr, Ipv4Addr),
    /// One port.
    Port(Protocol, SocketAddrV4, SocketAddrV4),
}

/// The gateway's rules; `default()` is [`Rules::routed_pool`].
#[derive(Debug, Clone)]
pub struct Rules {
    /// Dynamic translation of the inside subnet.
    pub source: Source,
    /// The static translations.
    pub statics: Vec<Static>,
    /// Outside hosts that the inside knows by other addresses, global first.
    pub outside_statics: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// The kernel's NAT reads FTP and TFTP with its helpers; the appliance's gateways are on by default.
    pub has_helpers: bool,
    /// The MTU of the inside interface where not 1500.
    pub inside_mtu: Option<u16>,
    /// The MTU of the outside interface where not 1500.
    pub outside_mtu: Option<u16>,
    /// Two VRFs in the place of one inside network; the appliance's only.
    pub vrfs: Option<Vrfs>,
    /// The appliance's workers.
    pub worker_count: u32,
    /// What the appliance calls its interfaces, the inside first.
    pub interface_names: [&'static str; 2],
    /// Further lines of the appliance's configuration, which the kernel's NAT does not read.
    pub lines: Vec<String>,
}

/// Two VRFs, RED and BLUE, whose inside networks have the same addresses. RED has the source and the statics of the
/// [`Rules`].
#[derive(Debug, Clone)]
pub struct Vrfs {
    /// Where BLUE's global addresses come from; RED's source, if they share it.
    pub blue_source: Source,
    /// BLUE's static translations.
    pub blue_statics: Vec<Static>,
}

impl Vrfs {
    /// Both VRFs in the pool of [`Rules::routed_pool`].
    pub fn one_pool() -> Vrfs {
        Vrfs::with_source(Source::Pool(POOL_FIRST, POOL_LAST))
    }

    /// The VRF BLUE with a pool of its own.
    pub fn two_pools() -> Vrfs {
        Vrfs::with_source(Source::Pool(Ipv4Addr::new(203, 0, 113, 5), Ipv4Addr::new(203, 0, 113, 6)))
    }

    fn with_source(blue_source: Source) -> Vrfs {
        let web = Static::web(Ipv4Addr::new(203, 0, 113, 11));
        let host = Static::Address(inside_host(STATIC_HOST), Ipv4Addr::new(203, 0, 113, 21));
        Vrfs { blue_source, blue_statics: vec![web, host] }
    }
}

impl Static {
    /// The port of `global` that is the web server of the first inside host.
    fn web(global: Ipv4Addr) -> Static {
        let local = SocketAddrV4::new(inside_host(0), 80);
        Static::Port(Protocol::Tcp, local, SocketAddrV4::new(global, STATIC_PORT))
    }
}

impl Source {
    /// Whether `address` is one that dynamic translation may choose.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        match self {
            Source::Pool(first, last) => (first..=last).contains(&address),
            Source::Interface => address == OUTSIDE_GATEWAY,
        }
    }
}

/// The global address of the first one-to-one static.
pub fn static_global(statics: &[Static]) -> Option<Ipv4Addr> {
    statics.iter().find_map(|rule| match rule {
        Static::Address(_, global) => Some(*global),
        Static::Port(..) => None,
    })
}

/// The global endpoint of the first inside host's web server.
pub fn web_global(statics: &[Static]) -> Option<SocketAddrV4> {
    statics.iter().find_map(|rule| match rule {
        Static::Port(_, local, global) if local.port() == 80 => Some(*global),
        _ => None,
    })
}

impl Rules {
    /// A pool of 203.0.113.0/24 that the outside reaches by a route through the gateway; the second inside host is
    /// 203.0.113.20, and port 8080 of 203.0.113.10 the web server of the first.
    pub fn routed_pool() -> Rules {
        let web_global = Ipv4Addr::new(203, 0, 113, 10);
        Rules::new(Source::Pool(POOL_FIRST, POOL_LAST), Some(STATIC_GLOBAL), web_global)
    }

    /// A pool on the outside subnet, for which the gateway answers ARP.
    pub fn connected_pool() -> Rules {
        let host = |last| Ipv4Addr::new(198, 51, 100, last);
        Rules::new(Source::Pool(host(100), host(103)), Some(host(120)), host(110))
    }

    /// Overload of the outside interface; the static port is the interface's too, and no host is reached one-to-one.
    pub fn interface_overload() -> Rules {
        Rules::new(Source::Interface, None, OUTSIDE_GATEWAY)
    }

    fn new(source: Source, static_global: Option<Ipv4Addr>, web_global: Ipv4Addr) -> Rules {
        let mut statics = vec![Static::web(web_global)];
        statics.extend(static_global.map(|global| Static::Address(inside_host(STATIC_HOST), global)));
        let (inside_mtu, outside_mtu, vrfs, lines) = (None, None, None, Vec::new());
        let (outside_statics, has_helpers) = (Vec::new(), false);
        Rules {
            source,
            statics,
            outside_statics,
            has_helpers,
            inside_mtu,
            outside_mtu,
            vrfs,
            worker_count: 1,
            interface_names: ["GigabitEthernet0/0/0", "GigabitEthernet0/0/1"],
            lines,
        }
    }

    /// The global address of the first one-to-one static.
    pub fn static_global(&self) -> Option<Ipv4Addr> {
        static_global(&self.statics)
    }

    /// The global endpoint of the first inside host's web server.
    pub fn web_global(&self) -> Option<SocketAddrV4> {
        web_global(&self.statics)
    }

    /// Whether `address` is one that dynamic translation may choose.
    pub fn is_source(&self, address: Ipv4Addr) -> bool {
        self.source.contains(address)
    }

    /// The addresses of the two interfaces, inside first, with a prefix length of 24 each.
    pub(crate) fn interfaces() -> [(&'static str, Ipv4Addr); 2] {
        [("inside", INSIDE_GATEWAY), ("outside", OUTSIDE_GATEWAY)]
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::routed_pool()
    }
}
