//! What the data plane gets of access lists. An entry with object groups becomes an entry for each combination of what is in them;
//! they share its counter.

use std::collections::HashMap;
use std::rc::Rc;

use dataplane::policy;

use super::rule::{AccessAction, AccessRule, Addresses, TcpFlagsMatch};
use super::transport::{ServiceMatch, port_ranges};
use super::{AccessList, AccessListEntry, EntryBody};
use crate::compile::compiler::Compiler;
use crate::config::model::{Config, Place};

/// The most that object groups may make of all entries together. Each packet is compared with them one by one.
const COMBINATIONS_MAX: usize = 100_000;

/// What the groups that entries name come to, and how much of it was used.
struct Groups<'a> {
    config: &'a Config,
    addresses: HashMap<&'a str, Rc<[policy::AddressMatch]>>,
    services: HashMap<&'a str, Rc<[ServiceMatch]>>,
    combinations: usize,
}

impl Compiler<'_> {
    pub(super) fn acls(&mut self) {
        let most = usize::from(policy::AclIndex::MAX) + 1;
        if let Some(beyond) = self.config.access_lists.get(most) {
            self.refuse_once(beyond.place, "access lists", most);
        }
        let config = self.config;
        let (addresses, services) = (HashMap::new(), HashMap::new());
        let mut groups = Groups { config, addresses, services, combinations: 0 };
        for list in &config.access_lists {
            let mut acl = policy::Acl { name: list.name.clone(), entries: Vec::new() };
            for entry in &list.entries {
                if let EntryBody::Rule(rule) = &entry.body {
                    self.acl_entry(&mut groups, list, entry, rule, &mut acl.entries);
                }
            }
            self.out.policy.acls.push(acl);
        }
    }

    fn acl_entry<'a>(
        &mut self,
        groups: &mut Groups<'a>,
        list: &AccessList,
        entry: &AccessListEntry,
        rule: &'a AccessRule,
        out: &mut Vec<policy::AclEntry>,
    ) {
        let counter = self.acl_counter(list.name.clone(), entry.line(rule, list.kind));
        let has_group = rule.services.is_some()
            || [&rule.source, &rule.destination].iter().any(|it| matches!(it, Addresses::Group(_)));
        if has_group && !self.have_room(groups, entry.place, rule) {
            return;
        }
        if !self.is_in_force(rule.time_range.as_ref()) {
            return;
        }
        let services = groups.services(rule);
        let (sources, destinations) = (groups.addresses(&rule.source), groups.addresses(&rule.destination));
        for service in services.iter() {
            for &src in sources.iter() {
                out.extend(destinations.iter().map(|&dst| compiled(rule, service, src, dst, counter)));
            }
        }
    }

    /// Whether what the groups make of an entry still fits in. It counts whether or not the entry is in force now, so that a time
    /// range cannot make a configuration fail that was accepted.
    fn have_room<'a>(&mut self, groups: &mut Groups<'a>, place: Place, rule: &'a AccessRule) -> bool {
        let lens = [
            groups.services(rule).len(),
            groups.addresses(&rule.source).len(),
            groups.addresses(&rule.destination).len(),
        ];
        let count = lens.iter().fold(1, |product: usize, len| product.saturating_mul(*len));
        let is_first = groups.combinations <= COMBINATIONS_MAX;
        groups.combinations = groups.combinations.saturating_add(count);
        if groups.combinations > COMBINATIONS_MAX && is_first {
            let text = format!(
                "the object groups make {count} conditions of this entry, and access lists may have {COMBINATIONS_MAX} \
                 by object groups; use smaller groups, or networks in place of ranges and hosts"
            );
            self.error(place, text);
        }
        groups.combinations <= COMBINATIONS_MAX
    }
}

impl<'a> Groups<'a> {
    fn addresses(&mut self, addresses: &'a Addresses) -> Rc<[policy::AddressMatch]> {
        match addresses {
            Addresses::Match(one) => Rc::new([policy::AddressMatch::wildcard(one.address, one.wildcard)]),
            Addresses::Group(name) => {
                let config = self.config;
                let matches = || {
                    let networks = config.networks_of_group(name).into_iter();
                    networks.map(|net| policy::AddressMatch::wildcard(net.addr(), net.hostmask())).collect()
                };
                Rc::clone(self.addresses.entry(name).or_insert_with(matches))
            }
        }
    }

    fn services(&mut self, rule: &'a AccessRule) -> Rc<[ServiceMatch]> {
        match &rule.services {
            None => Rc::new([ServiceMatch {
                protocol: rule.protocol,
                src_ports: port_ranges(rule.source_port.as_ref()),
                dst_ports: port_ranges(rule.destination_port.as_ref()),
                icmp: rule.icmp.map(|icmp| (icmp.kind, icmp.code)),
            }]),
            Some(name) => {
                let config = self.config;
                let services = || config.services_of_group(name).into();
                Rc::clone(self.services.entry(name).or_insert_with(services))
            }
        }
    }
}

fn compiled(
    rule: &AccessRule,
    service: &ServiceMatch,
    src: policy::AddressMatch,
    dst: policy::AddressMatch,
    counter: u32,
) -> policy::AclEntry {
    const ACK_OR_RST: u8 = 0x14;
    let ServiceMatch { protocol, src_ports, dst_ports, icmp } = service.clone();
    policy::AclEntry {
        permit: rule.action == AccessAction::Permit,
        src,
        dst,
        protocol,
        src_ports,
        dst_ports,
        tcp_flags_any: match rule.tcp_flags {
            None => 0,
            Some(TcpFlagsMatch::Established) => ACK_OR_RST,
            Some(TcpFlagsMatch::AnyOf(flags)) => flags,
        },
        icmp,
        fragments: rule.fragments,
        dscp: rule.dscp,
        counter,
    }
}
