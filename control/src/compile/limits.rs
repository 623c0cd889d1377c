//! How long sessions live, and how many there may be.

use dataplane::policy::{IdleClass, Limit, LimitScope, Timeouts};

use super::compiler::Compiler;
use super::nat::number_of;
use crate::config::model::{self, TimeoutKind};

/// The most limits on groups; a session notes in a bit each which it counts towards.
const GROUPS_MAX: usize = 16;

impl Compiler<'_> {
    pub(crate) fn timeouts(&mut self) {
        const CLASSES: [(TimeoutKind, IdleClass); 7] = [
            (TimeoutKind::Simple, IdleClass::Other),
            (TimeoutKind::Udp, IdleClass::Udp),
            (TimeoutKind::Dns, IdleClass::Dns),
            (TimeoutKind::Icmp, IdleClass::Icmp),
            (TimeoutKind::Syn, IdleClass::TcpSyn),
            (TimeoutKind::Tcp, IdleClass::TcpEstablished),
            (TimeoutKind::FinRst, IdleClass::TcpClosing),
        ];
        for (kind, class) in CLASSES {
            let idle_ms = idle_ms(self.config.nat.timeout(kind));
            self.out.policy.timeouts.set(class, idle_ms);
        }
        for of_port in &self.config.nat.port_timeouts {
            let idle_ms = idle_ms(of_port.timeout);
            self.out.policy.port_timeouts.push((number_of(of_port.protocol), of_port.port, idle_ms));
        }
    }

    pub(crate) fn limits(&mut self) {
        let config = self.config;
        let own_vrfs: Vec<&str> =
            config.nat.max_entries.iter().filter_map(|limit| vrf_of(&limit.scope)).collect();
        for limit in &config.nat.max_entries {
            let sessions_max = limit.max;
            match &limit.scope {
                model::LimitScope::EachHost => self.out.policy.limits.per_host = Some(limit.max),
                model::LimitScope::Host(host) => self.out.policy.limits.hosts.push((*host, limit.max)),
                model::LimitScope::All => self.limit_group(LimitScope::All, sessions_max),
                model::LimitScope::List(name) => {
                    if let Some(acl) = self.acl_index(name) {
                        self.limit_group(LimitScope::List(acl), sessions_max);
                    }
                }
                model::LimitScope::Vrf(name) => {
                    let vrf = self.vrf(Some(name));
                    self.limit_group(LimitScope::Vrf(vrf), sessions_max);
                }
                model::LimitScope::EachVrf => {
                    for vrf in config.vrfs.iter().filter(|vrf| !own_vrfs.contains(&vrf.name.as_str())) {
                        let vrf = self.vrf(Some(&vrf.name));
                        self.limit_group(LimitScope::Vrf(vrf), sessions_max);
                    }
                }
            }
        }
        if self.out.policy.limits.groups.len() > GROUPS_MAX {
            let place = config.nat.max_entries.last().map(|limit| limit.place).unwrap_or_default();
            self.error(place, format!("at most {GROUPS_MAX} limits on lists, VRFs and all together"));
        }
        for rate in &config.nat.max_rates {
            match rate.scope {
                model::LimitScope::Host(host) => self.out.policy.limits.host_rates.push((host, rate.max)),
                _ => self.out.policy.limits.rate_per_host = Some(rate.max),
            }
        }
    }

    fn limit_group(&mut self, scope: LimitScope, sessions_max: u32) {
        self.out.policy.limits.groups.push(Limit { scope, sessions_max });
    }
}

fn idle_ms(timeout: model::Timeout) -> u32 {
    match timeout {
        model::Timeout::Seconds(seconds) => seconds.saturating_mul(1000),
        model::Timeout::Never => Timeouts::NEVER,
    }
}

fn vrf_of(scope: &model::LimitScope) -> Option<&str> {
    match scope {
        model::LimitScope::Vrf(name) => Some(name),
        _ => None,
    }
}
