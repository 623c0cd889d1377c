//! Names that the notation has for numbers.

/// ICMP types by name: type and code.
pub const ICMP_TYPES: &[(&str, u8, u8)] = &[
    ("echo", 8, 0),
    ("echo-reply", 0, 0),
    ("net-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("admin-prohibited", 3, 13),
    ("source-quench", 4, 0),
    ("redirect", 5, 1),
    ("time-exceeded", 11, 0),
    ("reassembly-exceeded", 11, 1),
    ("parameter-problem", 12, 0),
    ("timestamp", 13, 0),
    ("timestamp-reply", 14, 0),
];

/// IP protocols by name.
pub const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ospf", 89),
    ("sctp", 132),
];

/// TCP flags by name.
pub const FLAGS: &[(&str, u64)] = &[
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ece", 0x40),
    ("cwr", 0x80),
];
