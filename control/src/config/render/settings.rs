//! `ip nat settings` and `ip nat service` as text.

use std::fmt::{self, Display};

use super::super::model::*;
use super::super::text::{write_if, write_some};

impl Settings {
    /// The lines of what differs from the defaults.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.mode == NatMode::Cgn {
            lines.push("ip nat settings mode cgn".to_string());
        }
        if self.inside_only {
            lines.push("no ip nat settings support mapping outside".to_string());
        }
        let values = [
            self.pairing.map(|pairing| pairing.to_string()),
            self.gatekeeper_size.map(|size| format!("gatekeeper-size {size}")),
            self.non_pat_drop.then(|| "nonpatdrop".to_string()),
            self.interface_ports.map(|range| {
                format!("interface-overload port range start {} end {}", range.start, range.end)
            }),
            self.watermark.map(|watermark| watermark.to_string()),
            self.log_destination.then(|| "log-destination".to_string()),
            self.filtering.map(|filtering| format!("filtering {filtering}")),
            self.port_parity.map(|parity| format!("port parity {parity}")),
            self.port_choice.map(|choice| format!("port choice {choice}")),
            self.hold_down.map(|hold_down| hold_down.to_string()),
            self.icmp_admin_prohibited.then(|| "icmp admin-prohibited".to_string()),
            self.unsolicited_syn.map(|answer| match answer {
                UnsolicitedSyn::Hold => "tcp unsolicited-syn hold".to_string(),
                UnsolicitedSyn::Silent => "tcp unsolicited-syn silent".to_string(),
            }),
        ];
        let blocked = self.interface_blocked_ports.iter();
        let blocked =
            blocked.map(|(protocol, port)| format!("interface-overload block port {protocol} {port}"));
        let deterministic = self.deterministic.iter().map(Deterministic::to_string);
        let settings = values.into_iter().flatten().chain(blocked).chain(deterministic);
        lines.extend(settings.map(|setting| format!("ip nat settings {setting}")));
        lines
    }
}

impl Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pap")?;
        write_if(f, self.marked_only, " pool")?;
        write_some(f, "limit", Some(self.limit).filter(|limit| *limit != Pairing::LIMIT_DEFAULT))?;
        write_if(f, self.soft, " soft")?;
        let Some(blocks) = self.blocks else { return Ok(()) };
        let default = BlockAllocation::default();
        f.write_str(" bpa")?;
        write_some(f, "set-size", Some(blocks.set_size).filter(|size| *size != default.set_size))?;
        write_some(f, "step-size", Some(blocks.step_size).filter(|size| *size != default.step_size))?;
        write_if(f, blocks.single_set, " single-set")
    }
}

impl Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool watermark high {}", self.high_percent)?;
        write_some(f, "low", self.low_percent)
    }
}

impl Display for HoldDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold-down {}", self.seconds)?;
        write_some(f, "max", self.max)
    }
}

impl Display for Deterministic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deterministic { pool, access_list, ports_per_host, .. } = self;
        write!(f, "deterministic pool {pool} list {access_list} ports-per-host {ports_per_host}")?;
        write_some(f, "dynamic-ports", Some(self.dynamic_ports).filter(|ports| *ports != 0))?;
        write_some(f, "max-ports", self.max_ports)?;
        if self.reserved == Deterministic::RESERVED_DEFAULT {
            return Ok(());
        }
        let ranges: Vec<String> = self.reserved.iter().map(PortRange::to_string).collect();
        write!(f, " reserved {}", ranges.join(","))
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start == self.end {
            true => write!(f, "{}", self.start),
            false => write!(f, "{}-{}", self.start, self.end),
        }
    }
}

impl Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Filtering::EndpointIndependent => "endpoint-independent",
            Filtering::AddressDependent => "address-dependent",
            Filtering::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl Display for PortParity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortParity::Preserve => "preserve",
            PortParity::Ignore => "ignore",
        })
    }
}

impl Display for PortChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortChoice::Preserve => "preserve",
            PortChoice::Random => "random",
        })
    }
}

/// The switch's line.
impl Display for ServiceSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_if(f, !self.on, "no ")?;
        f.write_str("ip nat service")?;
        write_some(f, "list", self.key.access_list.as_ref())?;
        let row = self.key.service.row();
        write!(f, " {}", row.keyword)?;
        if let Some(protocol) = self.key.protocol {
            write!(f, " {protocol}")?;
        }
        write_some(f, "port", self.key.port)?;
        f.write_str(row.suffix)
    }
}
