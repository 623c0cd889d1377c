//! VRFs, routes and neighbours as text.

use std::fmt::{self, Display};

use super::super::model::*;
use super::super::text::{write_if, write_some};

impl Vrf {
    /// The lines that define it.
    pub fn lines(&self) -> Vec<String> {
        let header = match self.form {
            VrfForm::Definition => "vrf definition",
            VrfForm::Legacy => "ip vrf",
        };
        let mut lines = vec![format!("{header} {}", self.name)];
        lines.extend(self.route_distinguisher.iter().map(|rd| format!(" rd {rd}")));
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        if self.form == VrfForm::Definition {
            lines.extend([" address-family ipv4", " exit-address-family"].map(str::to_string));
        }
        lines
    }
}

/// The route's line.
impl Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip route")?;
        write_some(f, "vrf", self.vrf.as_ref())?;
        write!(f, " {} {} ", self.prefix.addr(), self.prefix.netmask())?;
        match &self.target {
            RouteTarget::NextHop(next_hop) => write!(f, "{next_hop}")?,
            RouteTarget::Interface(interface, None) => write!(f, "{interface}")?,
            RouteTarget::Interface(interface, Some(next_hop)) => write!(f, "{interface} {next_hop}")?,
            RouteTarget::Null => f.write_str("Null0")?,
        }
        write_if(f, self.global, " global")?;
        if self.distance != 1 {
            write!(f, " {}", self.distance)?;
        }
        write_some(f, "name", self.name.as_ref())?;
        write_some(f, "tag", self.tag)?;
        write_if(f, self.permanent, " permanent")
    }
}

/// The leak's line.
impl Display for VrfLeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VrfLeak { vrf, prefix, .. } = self;
        write!(f, "ip nat route vrf {vrf} {} {} global", prefix.addr(), prefix.netmask())
    }
}

/// The entry's line.
impl Display for ArpEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arp")?;
        write_some(f, "vrf", self.vrf.as_ref())?;
        write!(f, " {} {} arpa", self.address, self.mac)
    }
}
