//! The model as canonical text: what a running configuration shows, only what differs from the defaults.

mod nat;
mod route_map;
mod routing;
mod settings;

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use super::family::FAMILIES;
use super::model::*;
use super::names::{self, Names, name_of};
use super::text::named;

/// The whole configuration. Reading it gives the same model again.
impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_families = FAMILIES.iter().flat_map(|family| family.render);
        let mut sections: Vec<_> = of_families.map(|(section, lines)| (*section, lines(self))).collect();
        sections.retain(|(_, lines)| !lines.is_empty());
        sections.sort_by_key(|(section, _)| *section);
        for block in sections.chunk_by(|(one, _), (other, _)| one.is_nat() && other.is_nat()) {
            for line in block.iter().flat_map(|(_, lines)| lines) {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "!")?;
        }
        Ok(())
    }
}

impl Config {
    pub(super) fn host_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.logging.hosts.iter().map(|host| format!("logging host {host}")).collect();
        lines
            .extend(self.logging.trap.map(|trap| format!("logging trap {}", named(names::SEVERITIES, trap))));
        lines.extend(self.logging.console.map(|console| match console {
            ConsoleLogging::Off => "no logging console".to_string(),
            ConsoleLogging::Severity(severity) => {
                format!("logging console {}", named(names::SEVERITIES, severity))
            }
        }));
        lines.extend(
            self.prometheus_exporter.map(|Exporter { socket, .. }| {
                format!("prometheus exporter {} {}", socket.ip(), socket.port())
            }),
        );
        lines
    }
}

impl Platform {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.workers.map(|workers| format!(" workers {workers}")));
        if !self.cores.is_empty() {
            lines.push(format!(" cores {}", core_list(&self.cores)));
        }
        lines.extend(self.memory_mib.map(|mib| format!(" memory {mib}")));
        if !self.hugepages {
            lines.push(" no hugepages".to_string());
        }
        lines.extend(self.max_sessions.map(|sessions| format!(" max-sessions {sessions}")));
        if !lines.is_empty() {
            lines.insert(0, "platform dpdk".to_string());
        }
        lines
    }
}

impl Interface {
    /// `interface NAME` and its lines, indented.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("interface {}", self.name)];
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        lines.extend(self.device.iter().map(|device| format!(" device {device}")));
        lines.extend(self.mac_address.map(|mac| format!(" mac-address {mac}")));
        lines.extend(self.encapsulation.map(|encapsulation| {
            let native = if encapsulation.native { " native" } else { "" };
            format!(" encapsulation dot1Q {}{native}", encapsulation.vlan)
        }));
        lines.extend(self.vrf.iter().map(|member| format!(" vrf forwarding {}", member.vrf)));
        for (position, InterfaceAddress { network, .. }) in self.addresses.iter().enumerate() {
            let secondary = if position > 0 { " secondary" } else { "" };
            lines.push(format!(" ip address {} {}{secondary}", network.addr(), network.netmask()));
        }
        lines.extend(self.nat.map(|side| match side {
            NatSide::Inside => " ip nat inside".to_string(),
            NatSide::Outside => " ip nat outside".to_string(),
        }));
        lines.extend(self.ip_mtu_bytes.map(|bytes| format!(" ip mtu {bytes}")));
        lines.extend(self.adjust_mss_bytes.map(|bytes| format!(" ip tcp adjust-mss {bytes}")));
        for (group, direction) in [(&self.access_group_in, "in"), (&self.access_group_out, "out")] {
            lines.extend(
                group.iter().map(|group| format!(" ip access-group {} {direction}", group.access_list)),
            );
        }
        if self.shutdown {
            lines.push(" shutdown".to_string());
        }
        lines
    }
}

impl AccessList {
    /// The list's lines: `access-list N ...` for a number whose entries are numbered as new ones would be, and
    /// otherwise `ip access-list ...` with a numbered line for each entry.
    pub fn lines(&self) -> Vec<String> {
        let plain = self.entries.iter().zip(1..).all(|(entry, position)| entry.sequence == 10 * position);
        let numbered = self.name.starts_with(|c: char| c.is_ascii_digit());
        let body = |entry: &AccessListEntry| match &entry.body {
            EntryBody::Remark(text) => format!("remark {text}"),
            EntryBody::Rule(rule) => rule.line(self.kind),
        };
        if numbered && plain && !self.entries.is_empty() {
            return self
                .entries
                .iter()
                .map(|entry| format!("access-list {} {}", self.name, body(entry)))
                .collect();
        }
        let kind = match self.kind {
            AccessListKind::Standard => "standard",
            AccessListKind::Extended => "extended",
        };
        let mut lines = vec![format!("ip access-list {kind} {}", self.name)];
        lines.extend(self.entries.iter().map(|entry| format!(" {} {}", entry.sequence, body(entry))));
        lines
    }
}

impl AccessRule {
    /// The rule as a list of this kind writes it, without a number.
    pub fn line(&self, kind: AccessListKind) -> String {
        let mut words = vec![self.action.to_string()];
        match kind {
            AccessListKind::Standard => words.push(self.source.text("")),
            AccessListKind::Extended => self.push_extended(&mut words),
        }
        if self.log {
            words.push("log".to_string());
        }
        words.join(" ")
    }

    fn push_extended(&self, words: &mut Vec<String>) {
        let ports = match self.protocol {
            Some(6) => names::TCP_PORTS,
            _ => names::UDP_PORTS,
        };
        words.push(named(names::PROTOCOLS, self.protocol.unwrap_or(0)));
        for (address, port) in [(self.source, &self.source_port), (self.destination, &self.destination_port)]
        {
            words.push(address.text("host "));
            words.extend(port.as_ref().map(|port| port.text(ports)));
        }
        words.extend(self.icmp.map(IcmpMatch::text));
        match self.tcp_flags {
            None => {}
            Some(TcpFlagsMatch::Established) => words.push("established".to_string()),
            Some(TcpFlagsMatch::AnyOf(bits)) => {
                let set = TCP_FLAGS.iter().filter(|(_, bit)| bits & bit != 0);
                words.extend(set.map(|(name, _)| name.to_string()));
            }
        }
        words.extend(self.dscp.map(|dscp| format!("dscp {}", named(names::DSCP, dscp))));
        if self.fragments {
            words.push("fragments".to_string());
        }
    }
}

impl Display for AccessAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AccessAction::Permit => "permit",
            AccessAction::Deny => "deny",
        })
    }
}

impl AddressMatch {
    /// The addresses; a single one is introduced by `host`, which is empty where the word is left out.
    fn text(&self, host: &str) -> String {
        match self.wildcard {
            Ipv4Addr::BROADCAST => "any".to_string(),
            Ipv4Addr::UNSPECIFIED => format!("{host}{}", self.address),
            wildcard => format!("{} {wildcard}", self.address),
        }
    }
}

impl PortMatch {
    fn text(&self, names: Names) -> String {
        match self {
            PortMatch::Equal(ports) => {
                let ports: Vec<String> = ports.iter().map(|port| named(names, *port)).collect();
                format!("eq {}", ports.join(" "))
            }
            PortMatch::NotEqual(port) => format!("neq {}", named(names, *port)),
            PortMatch::Below(port) => format!("lt {}", named(names, *port)),
            PortMatch::Above(port) => format!("gt {}", named(names, *port)),
            PortMatch::Range(low, high) => format!("range {} {}", named(names, *low), named(names, *high)),
        }
    }
}

impl IcmpMatch {
    fn text(self) -> String {
        match (name_of(names::ICMP_MESSAGES, self.number()), self.code) {
            (Some(name), _) => name.to_string(),
            (None, Some(code)) => format!("{} {code}", self.kind),
            (None, None) => self.kind.to_string(),
        }
    }
}

/// Cores with neighbours joined: `2-4,7`.
fn core_list(cores: &[u16]) -> String {
    let follows = |low: &u16, high: &u16| low.checked_add(1) == Some(*high);
    let ranges = cores.chunk_by(follows).map(|range| match range {
        [core] => core.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<String>>().join(",")
}
