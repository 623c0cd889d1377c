//! Every statement of the configuration language: one table of syntax lines per mode, and beside each table the
//! functions that carry its lines out. A family of statements is one file; what several of them do is in `edit`.

mod access_list;
mod edit;
mod inside;
mod interface;
mod outside;
mod platform;
mod pool;
mod route_map;
mod routing;
mod service;
mod settings;
mod system;
mod translation;
mod words;

use std::sync::LazyLock;

use super::builder::{Apply, Mode};
use super::grammar::{Grammar, Language, Phrase};

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
    /// Lines under `route-map`.
    pub route_map: Grammar<Apply>,
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
        pool::GLOBAL,
        inside::GLOBAL,
        outside::GLOBAL,
        translation::GLOBAL,
        settings::GLOBAL,
        service::GLOBAL,
        access_list::GLOBAL,
        route_map::GLOBAL,
        routing::GLOBAL,
    ];
    Grammars {
        global: Grammar::new(families.into_iter().flatten(), &LANGUAGE),
        vrf: Grammar::new(routing::VRF, &LANGUAGE),
        interface: Grammar::new(interface::INTERFACE, &LANGUAGE),
        platform: Grammar::new(platform::PLATFORM, &LANGUAGE),
        pool: Grammar::new(pool::POOL, &LANGUAGE),
        route_map: Grammar::new(route_map::ROUTE_MAP, &LANGUAGE),
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
            Mode::RouteMap(..) => vec![&self.route_map],
            Mode::StandardList(_) => vec![&self.standard_list],
            Mode::ExtendedList(_) => vec![&self.extended_list],
            Mode::Unknown => vec![
                &self.vrf,
                &self.interface,
                &self.platform,
                &self.pool,
                &self.route_map,
                &self.standard_list,
                &self.extended_list,
            ],
        }
    }
}

static LANGUAGE: Language = Language { phrases: PHRASES, words: words::WORDS };

const PHRASES: &[Phrase] = &[
    Phrase { name: "acl", syntax: "{ <acl:1-199,1300-2699> | <acl:name> }" },
    Phrase { name: "pool-mask", syntax: "{ netmask <mask> | prefix-length <mask:1-32> }" },
    Phrase {
        name: "pool-options",
        syntax: "[ type { generic | match-host | rotary } | accounting <accounting-list:word> | add-route | arp-ping ]*",
    },
    Phrase { name: "selector", syntax: "{ list (acl) | route-map <route-map:word> }" },
    Phrase { name: "rule-vrf", syntax: "vrf <vrf:word> [ match-in-vrf ]" },
    Phrase { name: "redundancy", syntax: "redundancy <group:word> [ mapping-id <mapping-id:1-2147483647> ]" },
    Phrase {
        name: "dynamic-options",
        syntax: "[ (redundancy) | (rule-vrf) | oer | overload [ extended | pap ] | egress-interface <egress:interface> \
                 | track <object:1-1000> | reversible | no-payload | forced ]*",
    },
    Phrase {
        name: "static-options",
        syntax: "[ (redundancy) | (rule-vrf) | route-map <route-map:word> [ reversible ] | extendable | stateless \
                 | no-alias | no-payload | egress-interface <egress:interface> | pool <ignored:word> | track <object:1-1000> \
                 | overload | forced ]*",
    },
    Phrase {
        name: "outside-options",
        syntax: "[ (redundancy) | (rule-vrf) | overload | add-route | no-payload | forced ]*",
    },
    Phrase {
        name: "outside-static-options",
        syntax: "[ (redundancy) | (rule-vrf) | add-route | extendable | no-alias | no-payload | pool <ignored:word> | forced ]*",
    },
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
