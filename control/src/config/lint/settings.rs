//! Settings that have no effect, or not the one that was meant.

use super::super::model::*;
use super::findings::Lint;

impl Lint<'_> {
    pub(crate) fn check_settings(&mut self) {
        let settings = &self.config.nat.settings;
        if settings.mode == NatMode::Cgn {
            self.check_cgn();
        }
        if !settings.maps_outside() {
            self.check_outside_rules();
        }
        if let Some(pairing) = settings.pairing.filter(|pairing| pairing.blocks.is_some())
            && settings.mode == NatMode::Default
        {
            self.warn(pairing.place, "bulk port allocation needs \"ip nat settings mode cgn\"".to_string());
        }
        if settings.pairing.is_none() {
            let nat = &self.config.nat;
            for rule in nat.dynamic_rules.iter().filter(|rule| rule.overload == Some(Overload::Paired)) {
                self.warn(rule.place, "\"overload pap\" needs \"ip nat settings pap pool\"".to_string());
            }
        }
        for deterministic in &settings.deterministic {
            self.check_deterministic(deterministic);
        }
    }

    fn check_cgn(&mut self) {
        let nat = &self.config.nat;
        if nat.settings.filtering.is_some_and(|filtering| filtering != Filtering::EndpointIndependent) {
            let text = "cgn mode lets in packets of every peer; other filtering needs the default mode";
            self.warn(nat.settings.mode_place, text.to_string());
        }
        for (place, vrf) in nat.rule_vrfs() {
            if vrf.as_ref().is_some_and(|vrf| vrf.match_in_vrf) {
                self.warn(place, "\"match-in-vrf\" needs the default mode".to_string());
            }
        }
    }

    fn check_outside_rules(&mut self) {
        let nat = &self.config.nat;
        let reason = match nat.settings.mode {
            NatMode::Cgn => "in cgn mode",
            NatMode::Default => "without \"ip nat settings support mapping outside\"",
        };
        let dynamic = nat.outside_dynamic_rules.iter().map(|rule| rule.place);
        for place in dynamic.chain(nat.outside_static_rules.iter().map(|rule| rule.place)) {
            self.warn(place, format!("rules for the outside translate nothing {reason}"));
        }
    }

    fn check_deterministic(&mut self, deterministic: &Deterministic) {
        let Deterministic { place, pool, access_list, .. } = deterministic;
        self.check_pool(*place, pool);
        self.check_access_list(*place, access_list);
        let target = DynamicTarget::Pool(pool.clone());
        let nat = &self.config.nat;
        if !nat.dynamic_rules.iter().any(|rule| rule.target == target && rule.overload.is_some()) {
            self.warn(*place, format!("no rule translates to pool {pool:?} with \"overload\""));
        }
        let (Some(pool), Some(list)) = (nat.pool(pool), self.config.access_list(access_list)) else { return };
        let Some(prefixes) = list.prefixes() else {
            let text = format!("access list {access_list:?} must only permit prefixes, to be counted");
            self.warn(*place, text);
            return;
        };
        let hosts: u64 = prefixes.iter().map(|prefix| Deterministic::host_count(*prefix)).sum();
        let room = pool.address_count() * u64::from(deterministic.hosts_per_address());
        if hosts > room {
            let text =
                format!("pool {:?} has ports for {room} hosts; {access_list:?} permits {hosts}", pool.name);
            self.warn(*place, text);
        }
    }
}
