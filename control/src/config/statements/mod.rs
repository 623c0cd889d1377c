//! Every statement of the configuration language: one table of syntax lines per mode, and beside each table the
//! functions that carry its lines out. A family of statements is one file.

mod access_list;
mod interface;
mod nat;
mod platform;
mod routing;
mod system;

use std::sync::LazyLock;

use ipnet::Ipv4Net;

use super::builder::{Apply, Fault, Statement};
use super::grammar::{Grammar, Language, Phrase, Row};

/// What lines may follow, and which part of the model they edit, by index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Global,
    Vrf(usize),
    Interface(usize),
    Platform,
    Pool(usize),
    StandardList(usize),
    ExtendedList(usize),
    /// The mode of a line that could not be read.
    Unknown,
}

/// The compiled tables, one per mode.
pub struct Grammars {
    /// Lines that may stand anywhere.
    pub global: Grammar<Apply>,
    /// Lines under `vrf definition` and `ip vrf`.
    pub vrf: Grammar<Apply>,
    /// Lines under `interface`.
    pub interface: Grammar<Apply>,
    /// Lines under `platform dpdk`.
    pub platform: Grammar<Apply>,
    /// Lines under `ip nat pool NAME netmask MASK`.
    pub pool: Grammar<Apply>,
    /// Lines under `ip access-list standard`.
    pub standard_list: Grammar<Apply>,
    /// Lines under `ip access-list extended`.
    pub extended_list: Grammar<Apply>,
}

/// The tables, compiled when first used.
pub static GRAMMARS: LazyLock<Grammars> = LazyLock::new(|| {
    let families = [
        system::GLOBAL,
        platform::GLOBAL,
        interface::GLOBAL,
        nat::GLOBAL,
        access_list::GLOBAL,
        routing::GLOBAL,
    ];
    Grammars {
        global: Grammar::new(families.into_iter().flatten(), &LANGUAGE),
        vrf: Grammar::new(routing::VRF, &LANGUAGE),
        interface: Grammar::new(interface::INTERFACE, &LANGUAGE),
        platform: Grammar::new(platform::PLATFORM, &LANGUAGE),
        pool: Grammar::new(nat::POOL, &LANGUAGE),
        standard_list: Grammar::new(access_list::STANDARD_LIST, &LANGUAGE),
        extended_list: Grammar::new(access_list::EXTENDED_LIST, &LANGUAGE),
    }
});

impl Grammars {
    /// The tables to try before the global one.
    pub(super) fn of(&self, mode: Mode) -> Vec<&Grammar<Apply>> {
        match mode {
            Mode::Global => vec![],
            Mode::Vrf(_) => vec![&self.vrf],
            Mode::Interface(_) => vec![&self.interface],
            Mode::Platform => vec![&self.platform],
            Mode::Pool(_) => vec![&self.pool],
            Mode::StandardList(_) => vec![&self.standard_list],
            Mode::ExtendedList(_) => vec![&self.extended_list],
            Mode::Unknown => vec![
                &self.vrf,
                &self.interface,
                &self.platform,
                &self.pool,
                &self.standard_list,
                &self.extended_list,
            ],
        }
    }
}

/// A line that `no` and `default` may introduce.
const fn statement(syntax: &'static str, help: &'static str, action: Apply) -> Row<Apply> {
    Row { syntax, help, action, negatable: true }
}

/// A line that only does something.
const fn command(syntax: &'static str, help: &'static str, action: Apply) -> Row<Apply> {
    Row { syntax, help, action, negatable: false }
}

/// Removes what fits, and tells whether anything did.
fn remove<T>(list: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> bool {
    let before = list.len();
    list.retain(|item| !fits(item));
    list.len() < before
}

/// The network of the address under this name and the mask beside it; bits of a host are a fault.
fn network(statement: &Statement, name: &str) -> Result<Ipv4Net, Fault> {
    let address = statement.args.required(name);
    let length: u8 = statement.args.required("mask");
    let network = Ipv4Net::new_assert(address, length).trunc();
    if network.addr() == address {
        return Ok(network);
    }
    let text = format!("{address} has bits outside its mask; the network is {}", network.addr());
    Err(statement.fault(name, text))
}

static LANGUAGE: Language = Language { phrases: PHRASES, words: WORDS };

const PHRASES: &[Phrase] = &[
    Phrase { name: "acl", syntax: "{ <acl:1-199,1300-2699> | <acl:name> }" },
    Phrase { name: "pool-mask", syntax: "{ netmask <mask> | prefix-length <mask:1-32> }" },
    Phrase { name: "pool-type", syntax: "[ type { generic | match-host | rotary } ]" },
    Phrase { name: "static-options", syntax: "[ extendable | no-alias | no-payload ]*" },
    Phrase { name: "timeout", syntax: "{ <seconds:0-536870> | never }" },
    Phrase { name: "standard-rule", syntax: "{ permit | deny } (source:standard-address) [ log ]" },
    Phrase { name: "standard-address", syntax: "{ any | host <address> | <address> [ <wildcard> ] }" },
    Phrase {
        name: "extended-rule",
        syntax: "{ permit | deny } { (tcp-rule) | (udp-rule) | (icmp-rule) | (ip-rule) }",
    },
    Phrase {
        name: "tcp-rule",
        syntax: "tcp (source:address) [ (source:tcp-ports) ] (destination:address) [ (destination:tcp-ports) ] \
                 [ established | ack | fin | psh | rst | syn | urg | dscp <dscp> | fragments | log | log-input ]*",
    },
    Phrase {
        name: "udp-rule",
        syntax: "udp (source:address) [ (source:udp-ports) ] (destination:address) [ (destination:udp-ports) ] \
                 (rule-options)",
    },
    Phrase {
        name: "icmp-rule",
        syntax: "icmp (source:address) (destination:address) \
                 [ <message:icmp-message> | <type:0-255> [ <code:0-255> ] ] (rule-options)",
    },
    Phrase { name: "ip-rule", syntax: "<protocol> (source:address) (destination:address) (rule-options)" },
    Phrase { name: "rule-options", syntax: "[ dscp <dscp> | fragments | log | log-input ]*" },
    Phrase { name: "address", syntax: "{ any | host <address> | <address> <wildcard> }" },
    Phrase {
        name: "tcp-ports",
        syntax: "{ eq <port:tcp-port> ... | neq <port:tcp-port> | lt <port:tcp-port> | gt <port:tcp-port> \
                 | range <low:tcp-port> <high:tcp-port> }",
    },
    Phrase {
        name: "udp-ports",
        syntax: "{ eq <port:udp-port> ... | neq <port:udp-port> | lt <port:udp-port> | gt <port:udp-port> \
                 | range <low:udp-port> <high:udp-port> }",
    },
];

/// Help on words that stand in several lines.
#[rustfmt::skip]
const WORDS: &[(&str, &str)] = &[
    ("access-list", "Access lists"),
    ("ack", "Packets with ACK set"),
    ("address", "Addresses of the interface or pool"),
    ("any", "Any address"),
    ("arp", "Static neighbours"),
    ("deny", "Packets to drop, or to leave untranslated"),
    ("dscp", "Packets of a code point"),
    ("eq", "These ports"),
    ("established", "Packets of established connections: ACK or RST is set"),
    ("extendable", "Allow the local address other global ones"),
    ("extended", "A list that looks at protocol, addresses and ports"),
    ("fin", "Packets with FIN set"),
    ("fragments", "Fragments after the first"),
    ("generic", "Hand out any free address"),
    ("global", "Find the next hop in the global table"),
    ("gt", "Ports above this one"),
    ("host", "A single address"),
    ("icmp", "ICMP"),
    ("in", "Packets that arrive"),
    ("inside", "The subscribers' side"),
    ("interface", "An interface"),
    ("ip", "Internet Protocol"),
    ("list", "Local addresses that an access list permits"),
    ("log", "Log packets that match"),
    ("log-input", "Log packets that match"),
    ("logging", "Log messages"),
    ("lt", "Ports below this one"),
    ("match-host", "Hand out the address with the subscriber's host part"),
    ("nat", "Network address translation"),
    ("name", "A remark"),
    ("neq", "Every port but this one"),
    ("netmask", "The mask of the pool's network"),
    ("never", "No timeout"),
    ("no-alias", "Do not answer for the global address"),
    ("no-payload", "Do not rewrite payloads"),
    ("out", "Packets that leave"),
    ("outside", "The Internet's side"),
    ("overload", "Share addresses by their ports"),
    ("permanent", "Keep the route while its interface is down"),
    ("permit", "Packets to pass, or to translate"),
    ("pool", "A pool of global addresses"),
    ("prefix-length", "The length of the mask of the pool's network"),
    ("psh", "Packets with PSH set"),
    ("range", "A range of ports or addresses"),
    ("remark", "A comment that is kept"),
    ("rotary", "Hand out the addresses in turn"),
    ("route", "A static route"),
    ("rst", "Packets with RST set"),
    ("source", "Translate the source of packets from this side"),
    ("standard", "A list that looks at the source address"),
    ("static", "A fixed translation"),
    ("syn", "Packets with SYN set"),
    ("tag", "A number that is kept and shown"),
    ("tcp", "TCP"),
    ("translation", "Lifetimes of translations"),
    ("type", "How addresses are chosen"),
    ("udp", "UDP"),
    ("urg", "Packets with URG set"),
    ("vrf", "A VRF: a routing table of its own"),
];
