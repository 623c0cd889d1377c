//! How long translations live, and how many there may be.

use std::net::Ipv4Addr;

use super::{Place, PortProtocol};

/// The kinds of `ip nat translation KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeoutKind {
    /// Address-only translations, and whatever has no timer of its own.
    Simple,
    /// Established TCP.
    Tcp,
    /// PPTP.
    Pptp,
    /// UDP.
    Udp,
    /// TCP after a FIN from both ways, or a RST.
    FinRst,
    /// TCP after a SYN only.
    Syn,
    /// Port 53.
    Dns,
    /// ICMP queries.
    Icmp,
    /// Half entries made by a route-map.
    RouteMapEntry,
    /// ARP ping.
    ArpPing,
}

/// A row of [`TIMEOUTS`].
pub struct TimeoutRow {
    /// The kind.
    pub kind: TimeoutKind,
    /// Its keyword.
    pub keyword: &'static str,
    /// What holds unless configured, in seconds.
    pub default_s: u32,
}

/// Keywords and defaults of the timeouts, in the order of [`TimeoutKind`].
#[rustfmt::skip]
pub const TIMEOUTS: [TimeoutRow; 10] = [
    TimeoutRow { kind: TimeoutKind::Simple, keyword: "timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Tcp, keyword: "tcp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Pptp, keyword: "pptp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Udp, keyword: "udp-timeout", default_s: 300 },
    TimeoutRow { kind: TimeoutKind::FinRst, keyword: "finrst-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Syn, keyword: "syn-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Dns, keyword: "dns-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Icmp, keyword: "icmp-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::RouteMapEntry, keyword: "routemap-entry-timeout", default_s: 3600 },
    TimeoutRow { kind: TimeoutKind::ArpPing, keyword: "arp-ping-timeout", default_s: 60 },
];

impl TimeoutKind {
    /// What holds unless configured.
    pub fn default(self) -> Timeout {
        Timeout::Seconds(self.row().default_s)
    }

    /// The keyword after `ip nat translation`.
    pub fn keyword(self) -> &'static str {
        self.row().keyword
    }

    fn row(self) -> &'static TimeoutRow {
        &TIMEOUTS[self as usize]
    }
}

/// How long an idle translation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds.
    Seconds(u32),
    /// Until it is cleared.
    Never,
}

/// `ip nat translation port-timeout {tcp|udp} PORT {SECONDS|never}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortTimeout {
    /// The protocol.
    pub protocol: PortProtocol,
    /// The inside local port.
    pub port: u16,
    /// The timeout of its translations.
    pub timeout: Timeout,
}

/// `ip nat translation max-entries ...` or `ip nat translation max-rate ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Where it stands.
    pub place: Place,
    /// Whose translations count; no two limits of one kind have the same.
    pub scope: LimitScope,
    /// At most so many translations, or so many new ones per second; not 0.
    pub max: u32,
}

/// Whose translations a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// All of them together.
    All,
    /// `all-host`: those of each inside local address.
    EachHost,
    /// `all-vrf`: those of each VRF.
    EachVrf,
    /// `host A`: those of this inside local address, in place of what `all-host` says.
    Host(Ipv4Addr),
    /// `list ACL`: those of the inside local addresses that this list permits, together.
    List(String),
    /// `vrf V`: those of this VRF, in place of what `all-vrf` says.
    Vrf(String),
}
