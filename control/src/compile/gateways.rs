//! `ip nat service` and `alg`: which gateways read which sessions.

use std::net::Ipv4Addr;

use alg::Transport;
use alg::registry::{ROWS, Row};
use dataplane::policy::{AclIndex, Attachment, DOORS_PER_HOST_DEFAULT, GatewayIndex};

use super::compiler::Compiler;
use crate::config::model::{Service, ServiceKey, ServiceSwitch};

impl Compiler<'_> {
    /// The gateways, after the rules. Attachments are tried in their order: those for listed servers, ports that were
    /// added, the rows' own.
    pub(crate) fn gateways(&mut self) {
        let mut attachments = self.listed();
        attachments.extend(self.unlisted(&attachments));
        attachments.extend(self.switched(|switch| switch.key.access_list.is_none()));
        attachments.extend(self.at_home());
        let reset_ttl = ServiceKey::new(Service::DnsResetTtl, None);
        self.out.policy.gateways.resets_ttl = self.config.nat.is_on(&reset_ttl);
        self.out.policy.gateways.off = self.off(&attachments);
        self.out.policy.gateways.attachments = attachments;
        self.out.policy.gateways.doors_per_host_max =
            self.config.nat.doors_per_host.unwrap_or(DOORS_PER_HOST_DEFAULT);
        self.keep_payloads();
        self.third_parties();
    }

    /// `list ACL`: ports of some servers.
    fn listed(&self) -> Vec<Attachment> {
        self.switched(|switch| switch.key.access_list.is_some())
    }

    /// Whom a gateway's list names has to be listed at the gateway's own ports too, if it is to listen there.
    fn unlisted(&self, listed: &[Attachment]) -> Vec<Attachment> {
        let home = self.at_home();
        let silenced = |of_list: &Attachment| {
            let is_of_gateway = move |at: &&Attachment| at.gateway == of_list.gateway;
            home.iter()
                .filter(is_of_gateway)
                .map(|at| Attachment { gateway: None, servers: of_list.servers, ..*at })
                .collect::<Vec<_>>()
        };
        listed.iter().flat_map(silenced).collect()
    }

    /// What switches for a port say that are on. Lists that are not there are lint's to warn of.
    fn switched(&self, is_wanted: impl Fn(&ServiceSwitch) -> bool) -> Vec<Attachment> {
        let mut attachments = Vec::new();
        for switch in self.config.nat.services.iter().filter(|switch| switch.on && is_wanted(switch)) {
            let ServiceKey { service, protocol, port, access_list } = &switch.key;
            let (Some(protocol), Some(port)) = (*protocol, *port) else { continue };
            let servers = match access_list {
                None => None,
                Some(name) => match self.acl_index(name) {
                    Some(acl) => Some(acl),
                    None => continue,
                },
            };
            let gateway = service.gateway_over(protocol);
            attachments.extend(gateway.map(|gateway| attachment(gateway, protocol.into(), port, servers)));
        }
        attachments
    }

    /// The rows' own ports that are on.
    fn at_home(&self) -> Vec<Attachment> {
        let mut attachments = Vec::new();
        for (gateway, row) in ROWS.iter().enumerate() {
            for at in row.ports() {
                let key = ServiceKey::of_port(row, at);
                let (protocol, port) = (Some(at.transport.into()), Some(at.port));
                let key = key.map(|key| ServiceKey { protocol, port, ..key });
                if key.is_some_and(|key| self.config.nat.is_on(&key)) {
                    attachments.push(attachment(gateway, at.transport, at.port, None));
                }
            }
        }
        attachments
    }

    /// The gateways whose keyword is off: none of those that share it listens, and it is not on for those alone that doors
    /// lead to.
    fn off(&self, attachments: &[Attachment]) -> Vec<GatewayIndex> {
        let listens = |of: Service| {
            let mut listening = attachments.iter().filter_map(|at| at.gateway);
            listening.any(|gateway| Service::of(&ROWS[usize::from(gateway)]) == Some(of))
        };
        let is_on = |of: Service| {
            let protocols = of.row().protocols.iter().copied().map(Some);
            let by_door = of.gateways().all(|(_, row)| row.ports().is_empty());
            let mut keys = protocols.chain([None]).map(|protocol| ServiceKey::new(of, protocol));
            by_door && keys.any(|key| self.config.nat.is_on(&key))
        };
        let is_off = |row: &Row| Service::of(row).is_none_or(|of| !listens(of) && !is_on(of));
        let rows = ROWS.iter().enumerate().filter(|(_, row)| is_off(row));
        rows.map(|(gateway, _)| gateway as GatewayIndex).collect()
    }

    /// Rules with `no-payload`.
    fn keep_payloads(&mut self) {
        let nat = &self.config.nat;
        let dynamic = nat.dynamic_rules.iter().filter(|rule| rule.no_payload).map(ToString::to_string);
        let fixed = nat.static_rules.iter().filter(|rule| rule.no_payload).map(ToString::to_string);
        let outside = nat.outside_dynamic_rules.iter().filter(|rule| rule.no_payload);
        let outside = outside.map(ToString::to_string);
        let outside_fixed = nat.outside_static_rules.iter().filter(|rule| rule.no_payload);
        let lines = dynamic.chain(fixed).chain(outside).chain(outside_fixed.map(ToString::to_string));
        let ids = lines.filter_map(|line| self.out.rule_lines.get(&line).copied()).collect();
        self.out.policy.gateways.payload_kept = ids;
    }

    /// Third parties are seen together with those that announce them.
    fn third_parties(&mut self) {
        let Some(list) = &self.config.nat.third_parties else { return };
        self.out.policy.gateways.third_parties = self.acl_index(&list.access_list);
        let prefixes = self.config.access_list(&list.access_list).and_then(|list| list.prefixes());
        let ranges = prefixes.iter().flatten().map(|net| (net.network(), net.broadcast()));
        self.pin(&ranges.collect::<Vec<(Ipv4Addr, Ipv4Addr)>>());
    }
}

fn attachment(gateway: usize, transport: Transport, port: u16, servers: Option<AclIndex>) -> Attachment {
    Attachment { gateway: Some(gateway as GatewayIndex), transport, port, servers }
}
