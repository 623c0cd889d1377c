//! Pieces of syntax that several lines share.

use super::super::grammar::Phrase;

/// Every one of them.
pub const PHRASES: &[Phrase] = &[
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
    Phrase {
        name: "tcp-mapping",
        syntax: "<local:address> <local-port:nat-tcp-port> { <global:address> | interface <interface> } <global-port:nat-tcp-port>",
    },
    Phrase {
        name: "udp-mapping",
        syntax: "<local:address> <local-port:nat-udp-port> { <global:address> | interface <interface> } <global-port:nat-udp-port>",
    },
    Phrase {
        name: "transport-port",
        syntax: "{ tcp port <port:nat-tcp-port> | udp port <port:nat-udp-port> }",
    },
    Phrase { name: "timeout", syntax: "{ <seconds:0-536870> | never }" },
    Phrase { name: "standard-rule", syntax: "{ permit | deny } (source:standard-address) [ log ]" },
    Phrase { name: "standard-address", syntax: "{ any | host <address> | <address> [ <wildcard> ] }" },
    Phrase {
        name: "extended-rule",
        syntax: "{ permit | deny } { (tcp-rule) | (udp-rule) | (icmp-rule) | (ip-rule) | (group-rule) }",
    },
    Phrase {
        name: "tcp-rule",
        syntax: "tcp (source:address) [ (source:tcp-ports) ] (destination:address) [ (destination:tcp-ports) ] \
                 [ established | ack | fin | psh | rst | syn | urg | dscp <dscp> | fragments | log | log-input | time-range <time-range:word> ]*",
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
    Phrase {
        name: "group-rule",
        syntax: "object-group <services:word> (source:address) (destination:address) (rule-options)",
    },
    Phrase {
        name: "rule-options",
        syntax: "[ dscp <dscp> | fragments | log | log-input | time-range <time-range:word> ]*",
    },
    Phrase {
        name: "address",
        syntax: "{ any | host <address> | object-group <group:word> | <address> <wildcard> }",
    },
    Phrase {
        name: "tcp-object-ports",
        syntax: "{ [ eq ] <port:tcp-port> | lt <port:tcp-port> | gt <port:tcp-port> | range <low:tcp-port> <high:tcp-port> }",
    },
    Phrase {
        name: "udp-object-ports",
        syntax: "{ [ eq ] <port:udp-port> | lt <port:udp-port> | gt <port:udp-port> | range <low:udp-port> <high:udp-port> }",
    },
    Phrase {
        name: "common-object-ports",
        syntax: "{ [ eq ] <port:common-port> | lt <port:common-port> | gt <port:common-port> \
                 | range <low:common-port> <high:common-port> }",
    },
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
