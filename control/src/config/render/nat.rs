//! `ip nat` as text.

use super::super::model::*;
use super::super::text::{mask, write_if, write_some};
use std::fmt::{self, Display};

impl Nat {
    pub(in super::super) fn service_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.alg_defaults == AlgDefaults::Ietf {
            lines.push("alg defaults ietf".to_string());
        }
        lines.extend(self.third_parties.iter().map(|list| format!("alg third-party {}", list.access_list)));
        lines.extend(self.doors_per_host.iter().map(|max| format!("alg doors per-host {max}")));
        lines.extend(self.services.iter().map(ServiceSwitch::to_string));
        lines
    }

    pub(in super::super) fn translation_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, timeout) in &self.timeouts {
            lines.push(format!("ip nat translation {} {timeout}", kind.keyword()));
        }
        for PortTimeout { protocol, port, timeout } in &self.port_timeouts {
            lines.push(format!("ip nat translation port-timeout {protocol} {port} {timeout}"));
        }
        for (keyword, limits) in [("max-entries", &self.max_entries), ("max-rate", &self.max_rates)] {
            let line = |limit: &Limit| format!("ip nat translation {keyword}{} {}", limit.scope, limit.max);
            lines.extend(limits.iter().map(line));
        }
        lines
    }

    pub(in super::super) fn inside_lines(&self) -> Vec<String> {
        let dynamic = self.dynamic_rules.iter().map(DynamicRule::to_string);
        let fixed = self.static_rules.iter().map(StaticRule::to_string);
        dynamic.chain(fixed).chain(self.destination_rules.iter().map(DestinationRule::to_string)).collect()
    }

    pub(in super::super) fn outside_lines(&self) -> Vec<String> {
        let dynamic = self.outside_dynamic_rules.iter().map(OutsideDynamicRule::to_string);
        dynamic.chain(self.outside_static_rules.iter().map(OutsideStaticRule::to_string)).collect()
    }
}

/// What follows the keyword of the limit, each word after a space.
impl Display for LimitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitScope::All => Ok(()),
            LimitScope::EachHost => f.write_str(" all-host"),
            LimitScope::EachVrf => f.write_str(" all-vrf"),
            LimitScope::Host(address) => write!(f, " host {address}"),
            LimitScope::List(access_list) => write!(f, " list {access_list}"),
            LimitScope::Vrf(vrf) => write!(f, " vrf {vrf}"),
        }
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
        write!(f, "ip nat inside source {} {}", self.selector, self.target)?;
        write_vrf(f, &self.vrf)?;
        match self.overload {
            None => {}
            Some(Overload::Plain) => f.write_str(" overload")?,
            Some(Overload::Extended) => f.write_str(" overload extended")?,
            Some(Overload::Paired) => f.write_str(" overload pap")?,
        }
        write_some(f, "egress-interface", self.egress_interface.as_ref())?;
        write_if(f, self.reversible, " reversible")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::List(access_list) => write!(f, "list {access_list}"),
            Selector::RouteMap(map) => write!(f, "route-map {map}"),
        }
    }
}

impl Display for DynamicTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DynamicTarget::Pool(pool) => write!(f, "pool {pool}"),
            DynamicTarget::Interface(interface) => write!(f, "interface {interface}"),
        }
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
            StaticMapping::Esp { local, interface } => write!(f, "esp {local} interface {interface}")?,
            StaticMapping::Network { local, global, prefix_length } => {
                write!(f, "network {local} {global} {}", mask(*prefix_length))?;
            }
        }
        write_vrf(f, &self.vrf)?;
        if let Some(StaticRouteMap { name, reversible }) = &self.route_map {
            write!(f, " route-map {name}")?;
            write_if(f, *reversible, " reversible")?;
        }
        write_if(f, self.extendable, " extendable")?;
        write_if(f, self.no_alias, " no-alias")?;
        write_if(f, self.no_payload, " no-payload")?;
        write_some(f, "egress-interface", self.egress_interface.as_ref())
    }
}

/// The rule's line, which is its identity.
impl Display for DestinationRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat inside destination list {} pool {}", self.access_list, self.pool)
    }
}

/// The rule's line, which is its identity.
impl Display for OutsideDynamicRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat outside source {} pool {}", self.selector, self.pool)?;
        write_vrf(f, &self.vrf)?;
        write_if(f, self.overload, " overload")?;
        write_if(f, self.add_route, " add-route")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

/// The rule's line, which is its identity.
impl Display for OutsideStaticRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip nat outside source static ")?;
        match &self.mapping {
            OutsideMapping::Address { global, local } => write!(f, "{global} {local}")?,
            OutsideMapping::Port { protocol, global, global_port, local, local_port } => {
                write!(f, "{protocol} {global} {global_port} {local} {local_port}")?;
            }
            OutsideMapping::Network { global, local, prefix_length } => {
                write!(f, "network {global} {local} {}", mask(*prefix_length))?;
            }
        }
        write_vrf(f, &self.vrf)?;
        write_if(f, self.add_route, " add-route")?;
        write_if(f, self.extendable, " extendable")?;
        write_if(f, self.no_alias, " no-alias")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

fn write_vrf(f: &mut fmt::Formatter<'_>, vrf: &Option<RuleVrf>) -> fmt::Result {
    let Some(RuleVrf { name, match_in_vrf }) = vrf else { return Ok(()) };
    write!(f, " vrf {name}")?;
    write_if(f, *match_in_vrf, " match-in-vrf")
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
