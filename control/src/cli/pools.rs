//! `show ip nat pool`, `show ip nat bpa`

use std::collections::HashSet;
use std::net::Ipv4Addr;

use dataplane::state::ports::address_use::{AddressUse, PortUse};

use super::answer::{Answer, Progress};
use super::command::{Command, Started, command, long_command};
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{BlockAllocation, Nat, Pairing};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat pool name <pool:word>", "Addresses and ports of a pool that are in use, and left", pool),
    command("show ip nat bpa", "Paired pooling and sets of ports, as they are configured", bpa),
];

/// Ports of an address and protocol from 512 to 1023, and from 1024 on.
const PORTS: PortUse = PortUse { low: 512, high: 64_512 };

/// A pool under way.
struct Pool {
    name: String,
    id: usize,
    ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    walk: Walk<AddressUse>,
    /// Addresses that workers have something of.
    addresses: HashSet<Ipv4Addr>,
    tcp: PortSum,
    udp: PortSum,
    is_told: bool,
}

#[derive(Default)]
struct PortSum {
    low: u64,
    high: u64,
}

impl PortSum {
    fn add(&mut self, used: PortUse) {
        self.low += u64::from(used.low);
        self.high += u64::from(used.high);
    }
}

fn pool(appliance: &mut Appliance, args: &Args) -> Started {
    let name: String = args.required("pool");
    let configured = appliance.config.nat.pool(&name).ok_or_else(|| format!("% Pool {name} not found"))?;
    Ok(Box::new(Pool {
        id: number(&appliance.config.nat, &name),
        ranges: configured.usable_ranges(),
        name,
        walk: Walk::new(()),
        addresses: HashSet::new(),
        tcp: PortSum::default(),
        udp: PortSum::default(),
        is_told: false,
    }))
}

/// The number of a pool, from 1 on in the order of their lines.
pub(super) fn number(nat: &Nat, name: &str) -> usize {
    nat.pools.iter().position(|pool| pool.name == name).map_or(0, |position| position + 1)
}

impl Answer for Pool {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if self.is_told {
            return Progress::Done;
        }
        match self.walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                rows.iter().for_each(|used| self.add(used));
                Progress::Waiting
            }
            Walking::Through => {
                self.is_told = true;
                Progress::Piece(self.text())
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl Pool {
    fn add(&mut self, used: &AddressUse) {
        if self.ranges.iter().any(|&(first, last)| (first..=last).contains(&used.addr)) {
            self.addresses.insert(used.addr);
            self.tcp.add(used.tcp);
            self.udp.add(used.udp);
        }
    }

    fn text(&self) -> String {
        let size = |&(first, last): &(Ipv4Addr, Ipv4Addr)| u64::from(last.to_bits() - first.to_bits()) + 1;
        let total: u64 = self.ranges.iter().map(size).sum();
        let (low, high) = (total * u64::from(PORTS.low), total * u64::from(PORTS.high));
        let mut out = format!(
            "NAT Pool Statistics\nPool name {}, id {}\n{:>38}{:>21}\n",
            self.name, self.id, "Assigned", "Available"
        );
        for (title, used, of) in [
            ("Addresses", self.addresses.len() as u64, total),
            ("UDP Low Ports", self.udp.low, low),
            ("TCP Low Ports", self.tcp.low, low),
            ("UDP High Ports", self.udp.high, high),
            ("TCP High Ports", self.tcp.high, high),
        ] {
            out += &format!("  {title:<14}{used:>22}{:>21}\n", of.saturating_sub(used));
        }
        out
    }
}

fn bpa(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let Some(Pairing { limit, blocks, .. }) = &appliance.config.nat.settings.pairing else {
        return Err("% Paired address pooling is not configured ('ip nat settings pap')".into());
    };
    let mut out = format!(
        "Paired Address Pooling (PAP)\n Limit: {limit} local addresses per global address\nBulk Port Allocation (BPA)\n"
    );
    out += &match blocks {
        None => " Disabled\n".to_string(),
        Some(BlockAllocation { set_size, step_size, single_set }) => format!(
            " Port set size: {set_size} ports in each port set allocation\n Port step size: {step_size}\n Single set: {}\n",
            if *single_set { "True" } else { "False" }
        ),
    };
    Ok(out)
}
