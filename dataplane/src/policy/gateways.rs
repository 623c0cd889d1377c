//! Which gateways read which control sessions.

use std::net::Ipv4Addr;

use alg::Transport;
use alg::registry::{Port, ROWS, Reads, Row};

use super::Policy;
use super::numbers::{AclIndex, GatewayIndex, RuleId};
use crate::flow::{Protocol, TCP, UDP};

/// The gateways that are on, and where.
#[derive(Clone, Debug)]
pub struct Gateways {
    /// In the order they are tried.
    pub attachments: Vec<Attachment>,
    /// Gateways that are off: no door leads to them either.
    pub off: Vec<GatewayIndex>,
    /// Ports whose datagrams a gateway reads, at their outside end.
    pub outside_ports: PortBits,
    /// The same at their inside end, where it is a server's: as it knows them, and as static lines do.
    pub inside_ports: PortBits,
    /// Whole addresses have counterparts that a message can name: gateways attach that have a word on those alone.
    pub maps_addresses: bool,
    /// `ip nat service dns-reset-ttl`.
    pub resets_ttl: bool,
    /// Rules with `no-payload`: gateways leave what their sessions carry alone.
    pub payload_kept: Vec<RuleId>,
    /// Inside hosts that other inside hosts may announce (`alg third-party ACL`).
    pub third_parties: Option<AclIndex>,
    /// The most doors of one inside host (`alg doors per-host`).
    pub doors_per_host_max: u32,
}

/// The most doors of one inside host, unless configured otherwise.
pub const DOORS_PER_HOST_DEFAULT: u32 = 128;

impl Default for Gateways {
    fn default() -> Gateways {
        Gateways {
            attachments: Vec::new(),
            off: Vec::new(),
            outside_ports: PortBits::default(),
            inside_ports: PortBits::default(),
            maps_addresses: false,
            resets_ttl: false,
            payload_kept: Vec::new(),
            third_parties: None,
            doors_per_host_max: DOORS_PER_HOST_DEFAULT,
        }
    }
}

/// A port that a gateway listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The gateway; none if sessions to these servers are not to be read, whatever comes after.
    pub gateway: Option<GatewayIndex>,
    /// What carries the control session.
    pub transport: Transport,
    /// The control session's destination port.
    pub port: u16,
    /// The servers this holds for; all of them if none.
    pub servers: Option<AclIndex>,
}

impl Gateways {
    /// Every gateway on its own ports.
    pub fn all() -> Gateways {
        let of = |(gateway, row): (usize, &Row)| {
            let gateway = Some(gateway as GatewayIndex);
            let at = |port: &Port| Attachment {
                gateway,
                transport: port.transport,
                port: port.port,
                servers: None,
            };
            row.ports().iter().map(at).collect::<Vec<_>>()
        };
        Gateways { attachments: ROWS.iter().enumerate().flat_map(of).collect(), ..Gateways::default() }
    }
}

/// A set of ports; no memory while it is empty.
#[derive(Clone, Debug, Default)]
pub struct PortBits(Vec<u64>);

impl PortBits {
    fn of(ports: &[u16]) -> PortBits {
        let mut words = if ports.is_empty() { Vec::new() } else { vec![0; 65_536 / 64] };
        for &port in ports {
            words[usize::from(port) / 64] |= 1 << (port % 64);
        }
        PortBits(words)
    }

    /// Whether a port is in it.
    #[inline]
    pub fn holds(&self, port: u16) -> bool {
        self.0.get(usize::from(port) / 64).is_some_and(|word| word & 1 << (port % 64) != 0)
    }
}

impl Policy {
    /// Notes what gateways have to read under this policy. To be called when attachments and rules are complete.
    pub fn note_gateways(&mut self) {
        self.gateways.maps_addresses = self.maps_addresses();
        let reads = |at: &&Attachment| at.gateway.is_none_or(|gateway| self.reads(gateway));
        let attachments = self.gateways.attachments.iter().filter(reads);
        let ports: Vec<u16> = attachments
            .filter(|at| at.transport == Transport::Udp)
            .map(|attachment| attachment.port)
            .collect();
        let mut of_servers = Vec::new();
        for rule in self.statics.rules() {
            match rule.protocol {
                None => of_servers.extend(&ports),
                Some(UDP) if ports.contains(&rule.local.port) || ports.contains(&rule.global.port) => {
                    of_servers.extend([rule.local.port, rule.global.port]);
                }
                Some(_) => {}
            }
        }
        self.gateways.outside_ports = PortBits::of(&ports);
        self.gateways.inside_ports = PortBits::of(&of_servers);
    }

    /// Whether messages can name an address that a rule maps as a whole. That a protocol without ports takes one beside
    /// overloaded ports is no reason: it is for that session, and no name leads there.
    fn maps_addresses(&self) -> bool {
        self.statics.rules().iter().any(|rule| rule.protocol.is_none())
            || self.rules.iter().any(|rule| !rule.overload)
            || !self.outside_statics.rules().is_empty()
            || !self.outside_rules.is_empty()
    }

    /// Whether a gateway has anything to read under this policy.
    fn reads(&self, gateway: GatewayIndex) -> bool {
        match ROWS[usize::from(gateway)].reads {
            Reads::Always => true,
            Reads::MappedAddresses => self.gateways.maps_addresses,
        }
    }

    /// The gateway of a new session, by a rule's making, to a server's port.
    pub fn gateway_of(
        &self,
        rule: RuleId,
        protocol: Protocol,
        port: u16,
        server: Ipv4Addr,
    ) -> Option<GatewayIndex> {
        let transport = match protocol {
            TCP => Transport::Tcp,
            UDP => Transport::Udp,
            _ => return None,
        };
        let is_for = |attachment: &&Attachment| {
            attachment.port == port
                && attachment.transport == transport
                && attachment.servers.is_none_or(|acl| self.permits_host(acl, server))
        };
        let gateway = self.gateways.attachments.iter().find(is_for)?.gateway?;
        (self.reads(gateway) && !self.gateways.payload_kept.contains(&rule)).then_some(gateway)
    }
}

/// The position of a gateway by its row's name.
pub fn gateway_named(name: &str) -> Option<GatewayIndex> {
    ROWS.iter().position(|row| row.name == name).map(|index| index as GatewayIndex)
}
