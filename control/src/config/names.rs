//! Names that IOS gives to numbers. They are read wherever the number may stand, and printed in its place; of two
//! names for one number the first is printed.

use std::sync::LazyLock;

use alg::registry::{ROWS, Row};

/// Pairs of a name and its number.
pub type Names = &'static [(&'static str, u32)];

/// The name printed for a number, if it has one.
pub fn name_of(names: Names, number: u32) -> Option<&'static str> {
    names.iter().find(|(_, named)| *named == number).map(|(name, _)| *name)
}

/// ALGs, by their position in the registry.
pub static ALGS: LazyLock<Vec<(&str, u32)>> =
    LazyLock::new(|| ROWS.iter().map(|row| row.name).zip(0..).collect());

/// ALGs as `ip nat service` calls them, by the position in the registry of the first that is called so.
pub static SERVICES: LazyLock<Vec<(&str, u32)>> = LazyLock::new(|| services(ROWS));

fn services(rows: &[Row]) -> Vec<(&'static str, u32)> {
    let mut names: Vec<(&str, u32)> = Vec::new();
    for (row, position) in rows.iter().zip(0..) {
        let keyword = row.keyword.split(' ').next().unwrap_or_default();
        if names.iter().all(|(name, _)| *name != keyword) {
            names.push((keyword, position));
        }
    }
    names
}

/// TCP ports.
#[rustfmt::skip]
pub const TCP_PORTS: Names = &[
    ("bgp", 179), ("chargen", 19), ("cmd", 514), ("daytime", 13), ("discard", 9), ("domain", 53), ("echo", 7),
    ("exec", 512), ("finger", 79), ("ftp", 21), ("ftp-data", 20), ("gopher", 70), ("hostname", 101), ("ident", 113),
    ("irc", 194), ("klogin", 543), ("kshell", 544), ("login", 513), ("lpd", 515), ("msrpc", 135), ("nntp", 119),
    ("pim-auto-rp", 496), ("pop2", 109), ("pop3", 110), ("smtp", 25), ("sunrpc", 111), ("syslog", 514),
    ("tacacs", 49), ("talk", 517), ("telnet", 23), ("time", 37), ("uucp", 540), ("whois", 43), ("www", 80),
];

/// UDP ports.
#[rustfmt::skip]
pub const UDP_PORTS: Names = &[
    ("biff", 512), ("bootpc", 68), ("bootps", 67), ("discard", 9), ("dnsix", 195), ("domain", 53), ("echo", 7),
    ("isakmp", 500), ("mobile-ip", 434), ("nameserver", 42), ("netbios-dgm", 138), ("netbios-ns", 137),
    ("netbios-ss", 139), ("non500-isakmp", 4500), ("ntp", 123), ("pim-auto-rp", 496), ("rip", 520), ("snmp", 161),
    ("snmptrap", 162), ("sunrpc", 111), ("syslog", 514), ("tacacs", 49), ("talk", 517), ("tftp", 69), ("time", 37),
    ("who", 513), ("xdmcp", 177),
];

/// Ports that have the same name in TCP and UDP.
#[rustfmt::skip]
pub const COMMON_PORTS: Names = &[
    ("discard", 9), ("domain", 53), ("echo", 7), ("pim-auto-rp", 496), ("sunrpc", 111), ("syslog", 514), ("tacacs", 49),
    ("talk", 517), ("time", 37),
];

/// IP protocols; `ip`, any of them, is number 0 here as in IOS.
#[rustfmt::skip]
pub const PROTOCOLS: Names = &[
    ("ip", 0), ("ahp", 51), ("eigrp", 88), ("esp", 50), ("gre", 47), ("icmp", 1), ("igmp", 2), ("ipinip", 4),
    ("nos", 94), ("ospf", 89), ("pcp", 108), ("pim", 103), ("sctp", 132), ("tcp", 6), ("udp", 17),
];

/// Differentiated services code points.
#[rustfmt::skip]
pub const DSCP: Names = &[
    ("default", 0), ("af11", 10), ("af12", 12), ("af13", 14), ("af21", 18), ("af22", 20), ("af23", 22), ("af31", 26),
    ("af32", 28), ("af33", 30), ("af41", 34), ("af42", 36), ("af43", 38), ("cs1", 8), ("cs2", 16), ("cs3", 24),
    ("cs4", 32), ("cs5", 40), ("cs6", 48), ("cs7", 56), ("ef", 46),
];

/// Months, from 1.
#[rustfmt::skip]
pub const MONTHS: Names = &[
    ("January", 1), ("February", 2), ("March", 3), ("April", 4), ("May", 5), ("June", 6), ("July", 7), ("August", 8),
    ("September", 9), ("October", 10), ("November", 11), ("December", 12),
];

/// Days of the week, Sunday being 0.
#[rustfmt::skip]
pub const WEEKDAYS: Names = &[
    ("Sunday", 0), ("Monday", 1), ("Tuesday", 2), ("Wednesday", 3), ("Thursday", 4), ("Friday", 5), ("Saturday", 6),
];

/// Severities of log messages.
#[rustfmt::skip]
pub const SEVERITIES: Names = &[
    ("emergencies", 0), ("alerts", 1), ("critical", 2), ("errors", 3), ("warnings", 4), ("notifications", 5),
    ("informational", 6), ("debugging", 7),
];

/// ICMP messages: a type (see [`icmp_type`]) or one code of a type (see [`icmp_code`]).
#[rustfmt::skip]
pub const ICMP_MESSAGES: Names = &[
    ("administratively-prohibited", icmp_code(3, 13)), ("alternate-address", icmp_type(6)),
    ("conversion-error", icmp_type(31)), ("dod-host-prohibited", icmp_code(3, 10)),
    ("dod-net-prohibited", icmp_code(3, 9)), ("echo", icmp_type(8)), ("echo-reply", icmp_type(0)),
    ("general-parameter-problem", icmp_code(12, 0)), ("host-isolated", icmp_code(3, 8)),
    ("host-precedence-unreachable", icmp_code(3, 14)), ("host-redirect", icmp_code(5, 1)),
    ("host-tos-redirect", icmp_code(5, 3)), ("host-tos-unreachable", icmp_code(3, 12)),
    ("host-unknown", icmp_code(3, 7)), ("host-unreachable", icmp_code(3, 1)), ("information-reply", icmp_type(16)),
    ("information-request", icmp_type(15)), ("mask-reply", icmp_type(18)), ("mask-request", icmp_type(17)),
    ("mobile-redirect", icmp_type(32)), ("net-redirect", icmp_code(5, 0)), ("net-tos-redirect", icmp_code(5, 2)),
    ("net-tos-unreachable", icmp_code(3, 11)), ("net-unreachable", icmp_code(3, 0)),
    ("network-unknown", icmp_code(3, 6)), ("no-room-for-option", icmp_code(12, 2)),
    ("option-missing", icmp_code(12, 1)), ("packet-too-big", icmp_code(3, 4)), ("parameter-problem", icmp_type(12)),
    ("port-unreachable", icmp_code(3, 3)), ("precedence-unreachable", icmp_code(3, 15)),
    ("protocol-unreachable", icmp_code(3, 2)), ("reassembly-timeout", icmp_code(11, 1)), ("redirect", icmp_type(5)),
    ("router-advertisement", icmp_type(9)), ("router-solicitation", icmp_type(10)),
    ("source-quench", icmp_type(4)), ("source-route-failed", icmp_code(3, 5)), ("time-exceeded", icmp_type(11)),
    ("timestamp-reply", icmp_type(14)), ("timestamp-request", icmp_type(13)), ("traceroute", icmp_type(30)),
    ("ttl-exceeded", icmp_code(11, 0)), ("unreachable", icmp_type(3)),
];

/// The number that stands for an ICMP type, whatever its code.
pub const fn icmp_type(kind: u8) -> u32 {
    (kind as u32) << 16
}

/// The number that stands for one code of an ICMP type.
pub const fn icmp_code(kind: u8, code: u8) -> u32 {
    icmp_type(kind) | 0x100 | code as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_mean_the_same_port() {
        for pair in COMMON_PORTS {
            assert!(TCP_PORTS.contains(pair) && UDP_PORTS.contains(pair), "{pair:?}");
        }
        assert_eq!(TCP_PORTS.iter().filter(|pair| UDP_PORTS.contains(pair)).count(), COMMON_PORTS.len());
    }

    #[test]
    fn a_keyword_that_rows_share_is_one_name() {
        let rows = [ROWS[0], ROWS[1], Row { name: "another", ..ROWS[0] }];
        let keyword = |row: &Row| row.keyword.split(' ').next().unwrap_or_default();
        assert_eq!(services(&rows), [(keyword(&ROWS[0]), 0), (keyword(&ROWS[1]), 1)]);
    }
}
