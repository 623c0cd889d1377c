//! Static rules, found by either side.

use std::net::Ipv4Addr;

use hashbrown::HashMap;

use super::numbers::RuleId;
use super::rules::Selector;
use crate::flow::InterfaceIndex;
use crate::flow::{Endpoint, Protocol, Vrf};

/// A static rule: a local endpoint and the global one it always has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRule {
    /// The rule's number.
    pub id: RuleId,
    /// The protocol of a port static; none translates every protocol and port.
    pub protocol: Option<Protocol>,
    /// Inside local; port 0 for an address static.
    pub local: Endpoint,
    /// Inside global; port 0 for an address static.
    pub global: Endpoint,
    /// Prefix length: 32 but for a network static.
    pub prefix_len: u8,
    /// VRF of the inside.
    pub inside_vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
    /// Only packets from inside that this selects, and what answers them.
    pub selector: Option<Selector>,
    /// Only packets from inside that leave through this interface.
    pub egress: Option<InterfaceIndex>,
    /// Only those packets from outside whose answers the selector selects; else all.
    pub is_reversible: bool,
    /// It has of its global address what nobody else has, who shares that by port: the default server of an interface that
    /// is overloaded.
    pub is_default: bool,
}

impl StaticRule {
    /// Whether it leaves addresses as they are: its hosts are exempt from what other rules say.
    pub fn is_identity(&self) -> bool {
        masked(self.global.addr, self.prefix_len) == masked(self.local.addr, self.prefix_len)
    }

    /// Whether this is one of the rule's global addresses.
    pub fn is_global(&self, addr: Ipv4Addr) -> bool {
        masked(self.global.addr, self.prefix_len) == masked(addr, self.prefix_len)
    }
}

/// Static rules, found by either side.
#[derive(Clone, Debug, Default)]
pub struct Statics {
    rules: Vec<StaticRule>,
    by_local: HashMap<StaticKey, Vec<u32>>,
    by_global: HashMap<StaticKey, Vec<u32>>,
    /// The outside VRFs of each global prefix.
    globals: Prefixes,
    /// The same of those that are inside hosts' own addresses: packets to them are routed there.
    identities: Prefixes,
    /// By number; a line of the configuration may be several rules.
    by_id: HashMap<RuleId, Vec<u32>>,
    prefix_lens: Vec<u8>,
    has_default: bool,
}

/// VRF, protocol (0 for all), network prefix and its length, port (0 for all).
type StaticKey = (Vrf, Protocol, u32, u8, u16);

/// Outside VRFs by a prefix's bits and its length.
type Prefixes = HashMap<(u32, u8), Vec<Vrf>>;

/// The bits of an address that a prefix of this length has.
pub(super) fn masked(addr: Ipv4Addr, prefix_len: u8) -> u32 {
    addr.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0)
}

/// `addr` moved from one network to another, host bits kept.
fn moved(addr: Ipv4Addr, to: Ipv4Addr, prefix_len: u8) -> Ipv4Addr {
    let host = addr.to_bits() ^ masked(addr, prefix_len);
    Ipv4Addr::from_bits(masked(to, prefix_len) | host)
}

impl Statics {
    /// Puts rules in tables. Where several name the same endpoint, the first one that applies stands for it.
    pub fn new(rules: Vec<StaticRule>) -> Statics {
        let mut statics = Statics::default();
        for (index, rule) in rules.iter().enumerate() {
            let key = |vrf: Vrf, end: Endpoint| {
                let prefix = masked(end.addr, rule.prefix_len);
                (vrf, rule.protocol.unwrap_or(0), prefix, rule.prefix_len, end.port)
            };
            statics.by_local.entry(key(rule.inside_vrf, rule.local)).or_default().push(index as u32);
            statics.by_global.entry(key(rule.outside_vrf, rule.global)).or_default().push(index as u32);
            let global = (masked(rule.global.addr, rule.prefix_len), rule.prefix_len);
            let prefixes = if rule.is_identity() { &mut statics.identities } else { &mut statics.globals };
            let vrfs = prefixes.entry(global).or_default();
            if !vrfs.contains(&rule.outside_vrf) {
                vrfs.push(rule.outside_vrf);
            }
            statics.by_id.entry(rule.id).or_default().push(index as u32);
            if !statics.prefix_lens.contains(&rule.prefix_len) {
                statics.prefix_lens.push(rule.prefix_len);
            }
        }
        statics.has_default = rules.iter().any(|rule| rule.is_default);
        statics.prefix_lens.sort_unstable_by(|a, b| b.cmp(a));
        statics.rules = rules;
        statics
    }

    /// The rules, in the order of the configuration.
    pub fn rules(&self) -> &[StaticRule] {
        &self.rules
    }

    /// Whether an address is the NAT's, seen from an outside VRF: the global side of a rule, and not its inside host's own.
    pub fn is_global(&self, vrf: Vrf, addr: Ipv4Addr) -> bool {
        self.vrfs_of(&self.globals, addr).any(|vrfs| vrfs.contains(&vrf))
    }

    /// Whether an address is an inside host's own on both sides of a rule, seen from an outside VRF.
    pub fn is_identity(&self, vrf: Vrf, addr: Ipv4Addr) -> bool {
        self.vrfs_of(&self.identities, addr).any(|vrfs| vrfs.contains(&vrf))
    }

    /// Whether an address is the global side of any rule, in whatever VRF.
    pub fn is_global_anywhere(&self, addr: Ipv4Addr) -> bool {
        [&self.globals, &self.identities].into_iter().any(|of| self.vrfs_of(of, addr).next().is_some())
    }

    fn vrfs_of<'p>(&'p self, prefixes: &'p Prefixes, addr: Ipv4Addr) -> impl Iterator<Item = &'p Vec<Vrf>> {
        self.prefix_lens.iter().filter_map(move |&len| prefixes.get(&(masked(addr, len), len)))
    }

    /// The rules with a number.
    pub fn with_id(&self, id: RuleId) -> impl Iterator<Item = &StaticRule> {
        let indices = self.by_id.get(&id).into_iter().flatten();
        indices.filter_map(|&index| self.rules.get(index as usize))
    }

    /// The global endpoint of a local one, and the first rule that says so and that `applies`.
    pub fn global_of(
        &self,
        vrf: Vrf,
        protocol: Protocol,
        local: Endpoint,
        applies: impl Fn(&StaticRule) -> bool,
    ) -> Option<(Endpoint, &StaticRule)> {
        let rule = self.find(&self.by_local, vrf, protocol, local, applies)?;
        Some((Self::across(rule, local, rule.global), rule))
    }

    /// The local endpoint of a global one, and the first rule that says so and that `applies`.
    pub fn local_of(
        &self,
        vrf: Vrf,
        protocol: Protocol,
        global: Endpoint,
        applies: impl Fn(&StaticRule) -> bool,
    ) -> Option<(Endpoint, &StaticRule)> {
        let rule = self.find(&self.by_global, vrf, protocol, global, applies)?;
        Some((Self::across(rule, global, rule.local), rule))
    }

    /// What a rule makes of an endpoint of one side, by the other's of the rule.
    pub fn across(rule: &StaticRule, from: Endpoint, to: Endpoint) -> Endpoint {
        let port = if rule.protocol.is_some() { to.port } else { from.port };
        Endpoint::new(moved(from.addr, to.addr, rule.prefix_len), port)
    }

    /// The local endpoint of a global one that nobody else may have: no default server's.
    pub fn owner_of(&self, vrf: Vrf, protocol: Protocol, global: Endpoint) -> Option<Endpoint> {
        self.local_of(vrf, protocol, global, |rule| !rule.is_default).map(|(local, _)| local)
    }

    /// The default server of a global endpoint's address, at that port.
    pub fn default_of(
        &self,
        vrf: Vrf,
        protocol: Protocol,
        global: Endpoint,
    ) -> Option<(Endpoint, &StaticRule)> {
        let is_default = |rule: &StaticRule| rule.is_default;
        self.has_default.then(|| self.local_of(vrf, protocol, global, is_default)).flatten()
    }

    /// Port statics come before address statics, and longer prefixes before shorter ones.
    fn find(
        &self,
        table: &HashMap<StaticKey, Vec<u32>>,
        vrf: Vrf,
        protocol: Protocol,
        end: Endpoint,
        applies: impl Fn(&StaticRule) -> bool,
    ) -> Option<&StaticRule> {
        if table.is_empty() {
            return None;
        }
        let first = |key: StaticKey| {
            let rules = table.get(&key)?.iter().filter_map(|&index| self.rules.get(index as usize));
            rules.into_iter().find(|rule| applies(rule))
        };
        let by_prefix = |&len: &u8| first((vrf, 0, masked(end.addr, len), len, 0));
        first((vrf, protocol, end.addr.to_bits(), 32, end.port))
            .or_else(|| self.prefix_lens.iter().find_map(by_prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{TCP, UDP};

    fn static_rule(
        id: RuleId,
        protocol: Option<Protocol>,
        local: Endpoint,
        global: Endpoint,
        len: u8,
    ) -> StaticRule {
        StaticRule {
            id,
            protocol,
            local,
            global,
            prefix_len: len,
            inside_vrf: 0,
            outside_vrf: 0,
            selector: None,
            egress: None,
            is_reversible: false,
            is_default: false,
        }
    }

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(10, 0, 0, last), port)
    }

    fn global(last: u8, port: u16) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(192, 0, 2, last), port)
    }

    #[test]
    fn port_statics_come_before_address_statics_before_networks() {
        let statics = Statics::new(vec![
            static_rule(1, None, end(0, 0), global(0, 0), 24),
            static_rule(2, None, end(5, 0), global(77, 0), 32),
            static_rule(3, Some(TCP), end(5, 80), global(1, 8080), 32),
        ]);
        let of =
            |protocol, local| statics.global_of(0, protocol, local, |_| true).map(|(g, rule)| (g, rule.id));
        assert_eq!(of(TCP, end(5, 80)), Some((global(1, 8080), 3)));
        assert_eq!(of(UDP, end(5, 80)), Some((global(77, 80), 2)));
        assert_eq!(of(TCP, end(9, 80)), Some((global(9, 80), 1)));
        assert_eq!(statics.local_of(0, TCP, global(1, 8080), |_| true).map(|(l, _)| l), Some(end(5, 80)));
        assert_eq!(statics.local_of(0, TCP, global(77, 22), |_| true).map(|(l, _)| l), Some(end(5, 22)));
    }
}
