//! `ip nat` as text.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::model::*;
use super::write_if;

impl Nat {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, timeout) in &self.timeouts {
            lines.push(format!("ip nat translation {} {timeout}", kind.keyword()));
        }
        for PortTimeout { protocol, port, timeout } in &self.port_timeouts {
            lines.push(format!("ip nat translation port-timeout {protocol} {port} {timeout}"));
        }
        lines.extend(self.vrf_leaks.iter().map(VrfLeak::to_string));
        lines.extend(self.pools.iter().flat_map(Pool::lines));
        lines.extend(self.dynamic_rules.iter().map(DynamicRule::to_string));
        lines.extend(self.static_rules.iter().map(StaticRule::to_string));
        lines
    }
}

impl Pool {
    /// `ip nat pool NAME ...`, with a line for each range unless there is just one.
    pub fn lines(&self) -> Vec<String> {
        let mask = mask(self.prefix_length);
        let kind = match self.kind {
            PoolKind::Generic => "",
            PoolKind::MatchHost => " type match-host",
            PoolKind::Rotary => " type rotary",
        };
        if let [AddressRange { start, end, .. }] = self.ranges[..] {
            return vec![format!("ip nat pool {} {start} {end} netmask {mask}{kind}", self.name)];
        }
        let mut lines = vec![format!("ip nat pool {} netmask {mask}{kind}", self.name)];
        lines.extend(self.ranges.iter().map(|range| format!(" address {} {}", range.start, range.end)));
        lines
    }
}

/// The rule's line, which is its identity.
impl Display for DynamicRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat inside source list {} ", self.access_list)?;
        match &self.target {
            DynamicTarget::Pool(pool) => write!(f, "pool {pool}")?,
            DynamicTarget::Interface(interface) => write!(f, "interface {interface}")?,
        }
        write_if(f, self.overload, " overload")
    }
}

/// The rule's line, which is its identity.
impl Display for StaticRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip nat inside source static ")?;
        match &self.mapping {
            StaticMapping::Address { local, global } => write!(f, "{local} {global}")?,
            StaticMapping::Port { protocol, local, local_port, global, global_port } => {
                write!(f, "{protocol} {local} {local_port} {global} {global_port}")?;
            }
            StaticMapping::Network { local, global, prefix_length } => {
                write!(f, "network {local} {global} {}", mask(*prefix_length))?;
            }
        }
        write_if(f, self.extendable, " extendable")?;
        write_if(f, self.no_alias, " no-alias")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

impl Display for GlobalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GlobalAddress::Address(address) => write!(f, "{address}"),
            GlobalAddress::Interface(interface) => write!(f, "interface {interface}"),
        }
    }
}

impl Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortProtocol::Tcp => "tcp",
            PortProtocol::Udp => "udp",
        })
    }
}

impl Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Timeout::Seconds(seconds) => write!(f, "{seconds}"),
            Timeout::Never => f.write_str("never"),
        }
    }
}

fn mask(prefix_length: u8) -> Ipv4Addr {
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, prefix_length).netmask()
}
