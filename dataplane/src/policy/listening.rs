//! Which gateway listens to a session, and what gateways can change under a policy.

use std::net::Ipv4Addr;

use alg::Transport;
use alg::registry::{ROWS, Reads};

use super::Policy;
use super::gateways::{Attachment, PortBits};
use super::numbers::{GatewayIndex, RuleId};
use crate::flow::{Protocol, UDP, transport_of};

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
        let transport = transport_of(protocol)?;
        let is_for = |attachment: &&Attachment| {
            attachment.port == port
                && attachment.transport == transport
                && attachment.servers.is_none_or(|acl| self.permits_host(acl, server))
        };
        let gateway = self.gateways.attachments.iter().find(is_for)?.gateway?;
        (self.reads(gateway) && !self.gateways.payload_kept.contains(&rule)).then_some(gateway)
    }
}
