//! What a capture is played with: who is inside, the configuration, and what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Row, Transport, registry};

use super::align::Form;
use super::capture::Taken;
use super::index::{Announced, Entry, Host, Inside};
use super::sip::SIP_PORT;
use crate::packet::{ICMP, Kind, SYN, TCP, UDP, View};

/// The pool's only address.
pub const POOL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The first address of inside hosts that are reached from outside.
const STATICS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 101);
/// Protocols whose messages are text; all others change values in place.
const TEXT: &[&str] = &["ftp", "rtsp", "sip", "rcmd"];
/// What has no gateway and is judged all the same.
const WITHOUT_ROW: &[&str] = &["icmp", "frag"];

/// How addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As IOS does: ports are kept where they are free.
    Default,
    /// As a carrier's NAT does: ports are drawn at random.
    Cgn,
}

/// An address that configuration translates in messages: what the inside calls a host, and what the outside does.
pub type Renamed = (Ipv4Addr, Ipv4Addr);

/// What a capture is played with.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its protocol.
    pub protocol: String,
    /// Who is inside.
    pub inside: Vec<Ipv4Addr>,
    /// Endpoints of inside hosts that are announced, if there is a gateway for them.
    pub doors: Vec<ExpectedDoor>,
    /// Inside addresses that messages carry and that must change, if there is a gateway for them.
    pub rewritten: Vec<Ipv4Addr>,
    /// Inside addresses that may change, into what they are outside.
    pub may_change: Vec<Ipv4Addr>,
    /// Inside endpoints that messages carry besides: they become what they are outside.
    pub endpoints: Vec<SocketAddrV4>,
    /// How addresses are translated.
    pub mode: Mode,
    /// What the client said before the capture began.
    pub prologue: Vec<u8>,
    /// What configuration translates besides.
    pub renamed: Vec<Renamed>,
    /// The capture is damaged: what it says is not judged, but that nothing else changes, and what is left of it.
    pub is_damaged: bool,
    /// Ports at which a capture has SIP besides the gateway's own, and whether configuration has it listen there.
    pub sip_ports: BTreeMap<(u8, u16), bool>,
}

/// A door that must open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedDoor {
    /// What the index calls it.
    pub tag: String,
    /// What goes through it.
    pub transport: Transport,
    /// Where it leads.
    pub local: SocketAddrV4,
    /// The ports that are announced together with its own.
    pub together: Vec<u16>,
    /// Who comes, if that is said.
    pub from: Option<Ipv4Addr>,
}

/// Whether a port of a transport has the gateway of a row.
fn has_row(row: &Row, protocol: u8, port: u16) -> bool {
    let transport = match protocol {
        TCP => Transport::Tcp,
        UDP => Transport::Udp,
        _ => return false,
    };
    row.ports().iter().any(|own| (own.transport, own.port) == (transport, port))
}

/// The ports at which a capture has SIP though it is nobody's port by itself: configuration says so, but of a session that an
/// inside host begins with an answer, which goes where the request says.
fn sip_ports(inside: &[Ipv4Addr], taken: &[Taken]) -> BTreeMap<(u8, u16), bool> {
    let mut ports = BTreeMap::new();
    let mut begun = BTreeSet::new();
    for taken in taken.iter().filter(|taken| taken.is_ipv4()) {
        let Some(view) = View::of(&taken.packet) else { continue };
        let line = taken.packet[view.payload.clone()].split(|byte| *byte == b'\r').next().unwrap_or_default();
        let is_read = matches!(view.kind, Kind::Segment(..) | Kind::Datagram) && view.protocol != ICMP;
        let is_sip = is_read && (line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0"));
        if !is_sip || begun.contains(&(view.protocol, view.dst, view.src)) {
            continue;
        }
        begun.insert((view.protocol, view.src, view.dst));
        // A datagram begins its session; of a connection whoever speaks first is captured, and its server has the lower port.
        let server =
            if view.protocol == UDP || view.dst.port() < view.src.port() { view.dst } else { view.src };
        let own = if inside.contains(view.src.ip()) { view.src } else { view.dst };
        if server.port() != SIP_PORT && own.port() != SIP_PORT {
            let is_answer = own == view.src && line.starts_with(b"SIP/2.0 ");
            *ports.entry((view.protocol, server.port())).or_default() |= !is_answer;
        }
    }
    ports
}

/// The hosts to place inside, one set for each time that a capture is played.
pub fn casts(entry: &Entry, taken: &[Taken]) -> Vec<Vec<Ipv4Addr>> {
    match &entry.inside {
        Inside::Hosts(hosts) => vec![hosts.clone()],
        Inside::Ipv6 => vec![Vec::new()],
        Inside::EitherEnd => {
            let views: Vec<View> = taken.iter().filter_map(|taken| View::of(&taken.packet)).collect();
            let mut hosts: BTreeMap<Ipv4Addr, bool> = BTreeMap::new();
            for view in &views {
                let src_is_first = hosts.get(view.dst.ip()).is_none_or(|is_first| !is_first);
                hosts.entry(*view.src.ip()).or_insert(src_is_first);
                hosts.entry(*view.dst.ip()).or_insert(!src_is_first);
            }
            let cast = |is_first: bool| {
                hosts.iter().filter(|host| *host.1 == is_first).map(|host| *host.0).collect()
            };
            vec![cast(true), cast(false)]
        }
    }
}

impl Scenario {
    /// What the index wants of a capture with these hosts inside.
    pub fn new(entry: &Entry, inside: Vec<Ipv4Addr>, mode: Mode, taken: &[Taken]) -> Scenario {
        let has_row = registry::ROWS.iter().any(|row| row.name == entry.protocol());
        let may_change: Vec<Ipv4Addr> =
            entry.rewritten().into_iter().filter(|addr| inside.contains(addr)).collect();
        let mut scenario = Scenario {
            protocol: entry.protocol().to_string(),
            rewritten: may_change.iter().copied().filter(|_| has_row).collect(),
            may_change,
            endpoints: entry.endpoints().into_iter().filter(|end| inside.contains(end.ip())).collect(),
            sip_ports: match entry.protocol() {
                "sip" => sip_ports(&inside, taken),
                _ => BTreeMap::new(),
            },
            inside,
            doors: Vec::new(),
            mode,
            prologue: Vec::new(),
            renamed: Vec::new(),
            is_damaged: false,
        };
        if scenario.is_judged() {
            scenario.doors =
                entry.doors.iter().flat_map(|announced| scenario.door_orders(announced, taken)).collect();
        }
        scenario
    }

    /// Whether the index's expectations are checked: there is a gateway, or none is needed.
    pub fn is_judged(&self) -> bool {
        registry::ROWS.iter().any(|row| row.name == self.protocol) || WITHOUT_ROW.contains(&&*self.protocol)
    }

    /// Whether a port of a transport has a gateway.
    pub fn has_gateway(&self, protocol: u8, port: u16) -> bool {
        registry::ROWS.iter().any(|row| has_row(row, protocol, port))
            || self.sip_ports.contains_key(&(protocol, port))
    }

    /// Whether a gateway reads a packet's session.
    pub fn is_control(&self, view: &View) -> bool {
        [view.src, view.dst].iter().any(|end| self.has_gateway(view.protocol, end.port()))
    }

    /// Whether the gateway of SIP does.
    pub fn is_sip(&self, view: &View) -> bool {
        let sip = registry::ROWS.iter().filter(|row| row.name == "sip");
        let has_sip = |port| sip.clone().any(|row| has_row(row, view.protocol, port));
        let is_it = |port| has_sip(port) || self.sip_ports.contains_key(&(view.protocol, port));
        [view.src, view.dst].iter().any(|end| is_it(end.port()))
    }

    /// Whether the first of two endpoints is the server's: a gateway listens there, or else its port is the lower one.
    pub fn is_server(&self, protocol: u8, one: SocketAddrV4, other: SocketAddrV4) -> bool {
        match (self.has_gateway(protocol, one.port()), self.has_gateway(protocol, other.port())) {
            (true, false) => true,
            (false, true) => false,
            _ => one.port() < other.port(),
        }
    }

    /// How the messages of a packet's session can change.
    pub fn form_of(&self, view: &View) -> Form {
        if self.is_sip(view) { Form::Sip { is_tcp: view.protocol == TCP } } else { self.form() }
    }

    /// How messages can change, but those of SIP.
    pub fn form(&self) -> Form {
        if TEXT.contains(&&*self.protocol) { Form::Text } else { Form::InPlace }
    }

    fn is_inside(&self, addr: Ipv4Addr) -> bool {
        self.inside.contains(&addr)
    }

    /// The doors of an announcement, a port each; none if it is an outside host's, or no door may open.
    fn door_orders(&self, announced: &Announced, taken: &[Taken]) -> Vec<ExpectedDoor> {
        let addr = match announced.host {
            Host::Addr(addr) => Some(addr),
            Host::Client => self.party(taken, true),
            Host::Server => self.party(taken, false),
        };
        let Some(addr) = addr.filter(|addr| self.is_inside(*addr)) else { return Vec::new() };
        let first_port = if self.protocol == "rcmd" { 512 } else { 1024 };
        let ports = announced.ports.iter().filter(|port| **port >= first_port);
        let order = |port: &u16| ExpectedDoor {
            tag: announced.tag.clone(),
            transport: announced.transport,
            local: SocketAddrV4::new(addr, *port),
            together: announced.ports.clone(),
            from: announced.from,
        };
        ports.map(order).collect()
    }

    /// The client, or the server, of the first control session.
    fn party(&self, taken: &[Taken], is_client: bool) -> Option<Ipv4Addr> {
        let views = taken.iter().filter(|taken| taken.is_ipv4()).filter_map(|taken| View::of(&taken.packet));
        let mut control = views.filter(|view| self.is_control(view));
        let view = control.next()?;
        let src_is_server = self.is_server(view.protocol, view.src, view.dst);
        Some(*if src_is_server == is_client { view.dst } else { view.src }.ip())
    }

    /// The inside hosts that are spoken to before they spoke, and not where they announced it.
    pub fn servers(&self, taken: &[Taken]) -> Vec<Ipv4Addr> {
        let (mut spoke, mut servers) = (BTreeSet::new(), BTreeSet::new());
        for taken in taken.iter().filter(|taken| taken.is_ipv4()) {
            let Some(view) = View::of(&taken.packet) else { continue };
            let sides = (self.is_inside(*view.src.ip()), self.is_inside(*view.dst.ip()));
            let is_answer = match view.kind {
                Kind::Segment(.., flags) => flags & SYN == 0 && self.is_server(TCP, view.src, view.dst),
                Kind::Error { .. } | Kind::Other => true,
                _ => false,
            };
            let is_announced = |end: SocketAddrV4| self.doors.iter().any(|door| door.local == end);
            match sides {
                (true, false) => {
                    spoke.insert((view.protocol, view.src));
                }
                (false, true)
                    if !is_answer
                        && !is_announced(view.dst)
                        && !spoke.contains(&(view.protocol, view.dst)) =>
                {
                    servers.insert(*view.dst.ip());
                }
                _ => {}
            }
        }
        servers.into_iter().collect()
    }

    /// The global address of the server with this number.
    pub fn static_global(number: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(STATICS) + number as u32)
    }

    /// The configuration.
    pub fn config(&self, servers: &[Ipv4Addr]) -> String {
        let mut text = String::from(
            "interface GigabitEthernet0/0/0\n ip address 100.127.255.1 255.255.255.252\n ip nat inside\n\
             interface GigabitEthernet0/0/1\n ip address 192.0.2.1 255.255.255.0\n ip nat outside\n\
             ip route 0.0.0.0 0.0.0.0 192.0.2.254\n\
             ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 24\n\
             ip nat inside source list 1 pool P overload\n\
             ip nat translation timeout 240\nip nat translation tcp-timeout 240\n\
             ip nat translation udp-timeout 240\nip nat translation finrst-timeout 20\n\
             ip nat translation syn-timeout 20\nip nat translation dns-timeout 240\n",
        );
        let mut line = |line: std::fmt::Arguments| {
            let _ = writeln!(text, "{line}");
        };
        if self.mode == Mode::Cgn {
            line(format_args!("ip nat settings mode cgn"));
        }
        for host in &self.inside {
            line(format_args!("ip route {host} 255.255.255.255 100.127.255.2"));
            line(format_args!("access-list 1 permit {host}"));
        }
        for (number, host) in servers.iter().enumerate() {
            line(format_args!("ip nat inside source static {host} {}", Scenario::static_global(number)));
        }
        for ((protocol, port), _) in self.sip_ports.iter().filter(|(_, is_configured)| **is_configured) {
            let transport = if *protocol == TCP { "tcp" } else { "udp" };
            line(format_args!("ip nat service sip {transport} port {port}"));
        }
        for (inside, outside) in &self.renamed {
            line(format_args!("ip nat outside source static {outside} {inside}"));
        }
        text
    }
}
