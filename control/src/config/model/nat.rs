//! What `ip nat` holds.

use std::collections::BTreeMap;

use super::*;

/// Everything under `ip nat`, but for the interfaces' sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nat {
    /// `ip nat pool ...`
    pub pools: Vec<Pool>,
    /// `ip nat inside source {list | route-map} ...`
    pub dynamic_rules: Vec<DynamicRule>,
    /// `ip nat inside source static ...`
    pub static_rules: Vec<StaticRule>,
    /// `ip nat inside destination ...`
    pub destination_rules: Vec<DestinationRule>,
    /// `ip nat outside source {list | route-map} ...`
    pub outside_dynamic_rules: Vec<OutsideDynamicRule>,
    /// `ip nat outside source static ...`
    pub outside_static_rules: Vec<OutsideStaticRule>,
    /// `ip nat translation KIND ...`, only values other than the default.
    pub timeouts: BTreeMap<TimeoutKind, Timeout>,
    /// `ip nat translation port-timeout ...`
    pub port_timeouts: Vec<PortTimeout>,
    /// `ip nat translation max-entries ...`: translations at a time.
    pub max_entries: Vec<Limit>,
    /// `ip nat translation max-rate ...`: new translations per second.
    pub max_rates: Vec<Limit>,
    /// `ip nat settings ...`
    pub settings: Settings,
    /// `ip nat service ...`, only what differs from the default.
    pub services: Vec<ServiceSwitch>,
    /// `alg defaults ...`
    pub alg_defaults: AlgDefaults,
    /// `alg third-party ACL`
    pub third_parties: Option<ThirdParties>,
    /// `alg doors per-host`, only a value other than the default.
    pub doors_per_host: Option<u32>,
    /// `ip nat route vrf ...`
    pub vrf_leaks: Vec<VrfLeak>,
}

impl Nat {
    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// The VRF of each rule that can have one, with the rule's place.
    pub fn rule_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        self.inside_vrfs().chain(self.outside_vrfs())
    }

    /// Those of rules for the inside.
    pub(in super::super) fn inside_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        let dynamic = self.dynamic_rules.iter().map(|rule| (rule.place, &rule.vrf));
        dynamic.chain(self.static_rules.iter().map(|rule| (rule.place, &rule.vrf)))
    }

    /// Those of rules for the outside.
    pub(in super::super) fn outside_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        let dynamic = self.outside_dynamic_rules.iter().map(|rule| (rule.place, &rule.vrf));
        dynamic.chain(self.outside_static_rules.iter().map(|rule| (rule.place, &rule.vrf)))
    }

    /// The timeout of a kind, configured or default.
    pub fn timeout(&self, kind: TimeoutKind) -> Timeout {
        self.timeouts.get(&kind).copied().unwrap_or(self.timeout_default(kind))
    }

    /// The timeout of a kind unless configured: IOS's, or in CGN mode what RFC 5382 REQ-5 asks for.
    pub fn timeout_default(&self, kind: TimeoutKind) -> Timeout {
        match (self.settings.mode, kind) {
            (NatMode::Cgn, TimeoutKind::Tcp) => Timeout::Seconds(7440),
            (NatMode::Cgn, TimeoutKind::Syn | TimeoutKind::FinRst) => Timeout::Seconds(240),
            _ => kind.default(),
        }
    }

    /// Drops timeouts that say what holds anyway, now that the mode is known.
    pub(in super::super) fn forget_default_timeouts(&mut self) {
        let mut timeouts = std::mem::take(&mut self.timeouts);
        timeouts.retain(|&kind, timeout| *timeout != self.timeout_default(kind));
        self.timeouts = timeouts;
    }

    /// Whether a service is on.
    pub fn is_on(&self, key: &ServiceKey) -> bool {
        let switch = self.services.iter().find(|switch| switch.key == *key);
        switch.map_or_else(|| self.default_on(key), |switch| switch.on)
    }

    /// Whether a service is on without a switch of its own.
    pub fn default_on(&self, key: &ServiceKey) -> bool {
        let row = key.service.row();
        if key.access_list.is_some() {
            return false;
        }
        if let Some(general) = key.general() {
            return key.service.listens_to(key.protocol, key.port) && self.is_on(&general);
        }
        let by_preset = self.alg_defaults == AlgDefaults::Cisco || !row.is_alg || key.service.is_ietf();
        row.default_on && by_preset && key.port == row.port
    }

    /// Drops switches that say what holds anyway, now that all lines are known.
    pub(in super::super) fn forget_default_services(&mut self) {
        let differs = |switch: &&ServiceSwitch| switch.on != self.default_on(&switch.key);
        self.services = self.services.iter().filter(differs).cloned().collect();
    }
}
