//! Gateways that are switched without effect, or against each other.

use super::super::model::*;
use super::findings::Lint;

impl Lint<'_> {
    pub(crate) fn check_service_references(&mut self) {
        let nat = &self.config.nat;
        for switch in &nat.services {
            if let Some(access_list) = &switch.key.access_list {
                self.check_access_list(switch.place, access_list);
            }
        }
        if let Some(list) = &nat.third_parties {
            self.check_access_list(list.place, &list.access_list);
        }
    }

    pub(crate) fn check_services(&mut self) {
        self.check_ports();
        self.check_third_parties();
        let nat = &self.config.nat;
        let is_on = |protocol| nat.is_on(&ServiceKey::new(Service::Dns, Some(protocol)));
        let has_dns = is_on(PortProtocol::Tcp) || is_on(PortProtocol::Udp);
        let has_port = nat.services.iter().any(|switch| switch.on && switch.key.service == Service::Dns);
        let reset = nat.services.iter().find(|switch| switch.key.service == Service::DnsResetTtl);
        if let Some(reset) = reset.filter(|_| !has_dns && !has_port) {
            self.warn(reset.place, "\"dns-reset-ttl\" needs the ALG of DNS, which is off".to_string());
        }
    }

    /// Of two gateways on one port, the first line's reads.
    fn check_ports(&mut self) {
        let on =
            || self.config.nat.services.iter().filter(|switch| switch.on && switch.key.service.row().is_alg);
        let is_same = |one: &ServiceKey, other: &ServiceKey| {
            one.port.is_some()
                && (one.port, one.protocol, &one.access_list)
                    == (other.port, other.protocol, &other.access_list)
        };
        let mut repeated = Vec::new();
        for (position, switch) in on().enumerate() {
            if let Some(before) = on().take(position).find(|before| is_same(&before.key, &switch.key)) {
                repeated.push((switch.place, before.key.service.row().keyword));
            }
        }
        for (place, keyword) in repeated {
            self.warn(place, format!("the ALG of {keyword:?} has this port already"));
        }
    }

    /// Who is announced by others must be seen by their worker, which takes the list's prefixes.
    fn check_third_parties(&mut self) {
        let Some(parties) = &self.config.nat.third_parties else { return };
        let list = self.config.access_list(&parties.access_list);
        if list.is_some_and(|list| list.prefixes().is_none()) {
            let text = format!(
                "access list {:?} must only permit prefixes, to be kept together",
                parties.access_list
            );
            self.warn(parties.place, text);
        }
    }
}
