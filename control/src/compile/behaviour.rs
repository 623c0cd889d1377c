//! `ip nat settings`: how mappings, filters and ports behave.

use std::net::Ipv4Addr;

use dataplane::flow::{TCP, UDP};
use dataplane::policy::{Behaviour, Blocks, Deterministic, Filtering, Mode, Pairing, PortChoice};
use ipnet::Ipv4Net;

use super::compiler::Compiler;
use crate::config::model::{self, NatMode, UnsolicitedSyn};

/// The most port sets of one subscriber.
const SETS_MAX: u8 = dataplane::state::subscriber::SETS_MAX as u8;

impl Compiler<'_> {
    pub(crate) fn behaviour(&mut self) {
        let settings = &self.config.nat.settings;
        let mode = match settings.mode {
            NatMode::Default => Mode::Default,
            NatMode::Cgn => Mode::Cgn,
        };
        let filtering = match settings.filtering_in_force() {
            model::Filtering::EndpointIndependent => Filtering::EndpointIndependent,
            model::Filtering::AddressDependent => Filtering::AddressDependent,
            model::Filtering::AddressAndPortDependent => Filtering::AddressAndPortDependent,
        };
        let range = settings.interface_ports.map_or((1024, u16::MAX), |range| (range.start, range.end));
        let ports = PortChoice {
            preserve: settings.port_choice_in_force() == model::PortChoice::Preserve,
            parity: settings.port_parity_in_force() == model::PortParity::Preserve,
            interface_range: range,
        };
        let pairing = settings
            .pairing
            .map(|pairing| Pairing { subscribers_max: pairing.limit.into(), is_soft: pairing.soft });
        let blocks = settings.pairing.and_then(|pairing| pairing.blocks).map(|blocks| Blocks {
            size: blocks.set_size,
            step: blocks.step_size,
            per_subscriber_max: if blocks.single_set { 1 } else { SETS_MAX },
        });
        let blocked = settings.interface_blocked_ports.iter().map(|&(protocol, port)| match protocol {
            model::PortProtocol::Tcp => (TCP, port),
            model::PortProtocol::Udp => (UDP, port),
        });
        let hold_down = settings.hold_down;
        let behaviour = Behaviour {
            mode,
            filtering,
            ports,
            interface_blocked: blocked.collect(),
            pairing,
            blocks,
            deterministic: Vec::new(),
            hold_down_ms: hold_down.map_or(0, |hold| hold.seconds * 1000),
            held_down_max: hold_down.and_then(|hold| hold.max).unwrap_or(u32::MAX),
            tells_prohibited: settings.icmp_admin_prohibited,
            answers_unsolicited_syn: settings.unsolicited_syn_in_force() == UnsolicitedSyn::Hold,
            maps_portless: !settings.non_pat_drop,
            records_sessions: false,
        };
        self.out.policy.behaviour = behaviour;
        self.out.policy.behaviour.deterministic = self.deterministic();
    }

    /// The computed mappings. One whose pool or list is not there is lint's to warn of.
    fn deterministic(&mut self) -> Vec<Deterministic> {
        let config = self.config;
        let mut all = Vec::new();
        for computed in &config.nat.settings.deterministic {
            let Some(list) = config.access_list(&computed.access_list) else { continue };
            let Some(pool) = self.pool(&computed.pool) else { continue };
            let Some(prefixes) = list.prefixes() else { continue };
            all.push(Deterministic {
                inside: prefixes.into_iter().map(hosts).collect(),
                pool: self.pool_index(pool),
                reserved: computed.reserved.iter().map(|range| (range.start, range.end)).collect(),
                ports_per_host: computed.ports_per_host,
                hosts_per_address: computed.hosts_per_address(),
                ports_max: computed.max_ports.unwrap_or(computed.ports_per_host),
            });
        }
        all
    }
}

/// The first host of a prefix, and how many there are.
fn hosts(prefix: Ipv4Net) -> (Ipv4Addr, u32) {
    let first = prefix.hosts().next().unwrap_or(prefix.network());
    (first, u32::try_from(model::Deterministic::host_count(prefix)).unwrap_or(u32::MAX))
}
