//! `ip nat settings deterministic`: deterministic NAT, global addresses and ports that are computed (RFC 7422).

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::policy;
use ipnet::Ipv4Net;

use crate::compile::compiler::Compiler;
use crate::config::builder::{Builder, Fault, Statement};
use crate::config::family::edit::remove;
use crate::config::lint::findings::Lint;
use crate::config::model::{DynamicTarget, Place, PortRange};
use crate::config::text::write_some;

/// `ip nat settings deterministic pool POOL list ACL ports-per-host N [dynamic-ports N] [max-ports N] [reserved PORTS]`:
/// the global address and ports of every inside address are computed (RFC 7422). A rule still translates to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deterministic {
    /// Where it stands.
    pub place: Place,
    /// The global addresses, which RFC 7422 calls O.
    pub pool: String,
    /// The list whose prefixes are the inside addresses, I: see `AccessList::prefixes`.
    pub access_list: String,
    /// The ports of each inside address, not 0. The sharing ratio C of RFC 7422 follows from it.
    pub ports_per_host: u16,
    /// The ports of each global address for hosts that need more than their own ports. RFC 7422 calls this D.
    pub dynamic_ports: u16,
    /// The most ports of an inside address, its own and dynamic ones (M); `None` is its own ports only.
    pub max_ports: Option<u16>,
    /// Ports that are not used (R): ranges in ascending order that do not touch.
    pub reserved: Vec<PortRange>,
}

impl Deterministic {
    /// The ports that are reserved unless others are configured: the system ports.
    pub const RESERVED_DEFAULT: [PortRange; 1] = [PortRange { start: 0, end: 1023 }];

    /// How many inside addresses of a prefix have ports: all but the network and broadcast address.
    pub fn host_count(prefix: Ipv4Net) -> u64 {
        let addresses = 1u64 << (32 - prefix.prefix_len());
        if prefix.prefix_len() < 31 { addresses - 2 } else { addresses }
    }

    /// How many inside addresses share a global one, C.
    pub fn hosts_per_address(&self) -> u32 {
        let reserved: u32 = self.reserved.iter().map(|range| range.count()).sum();
        let fixed = (65536 - reserved).saturating_sub(self.dynamic_ports.into());
        fixed / u32::from(self.ports_per_host)
    }
}

pub(super) fn deterministic(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let pool: String = args.required("pool");
    let known = &mut builder.config.nat.settings.deterministic;
    if !statement.sets() {
        let removed = remove(known, |known| known.pool == pool);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let new = Deterministic {
        place: statement.place,
        pool,
        access_list: args.required("acl"),
        ports_per_host: args.required("ports-per-host"),
        dynamic_ports: args.optional("dynamic-ports").unwrap_or(0),
        max_ports: args.optional("max-ports"),
        reserved: args.optional("reserved").unwrap_or(Deterministic::RESERVED_DEFAULT.to_vec()),
    };
    if new.hosts_per_address() == 0 {
        return Err(statement.fault("ports-per-host", "one address does not have so many ports"));
    }
    if new.max_ports.is_some_and(|max| max < new.ports_per_host) {
        return Err(statement.fault("max-ports", "\"max-ports\" is below \"ports-per-host\""));
    }
    match known.iter_mut().find(|known| known.pool == new.pool) {
        Some(known) => *known = new,
        None => known.push(new),
    }
    Ok(())
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

impl Lint<'_> {
    pub(super) fn check_deterministic(&mut self, deterministic: &Deterministic) {
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
            let text = format!(
                "access list {access_list:?} must only permit prefixes, so that its hosts can be counted"
            );
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

impl Compiler<'_> {
    /// The mappings of deterministic NAT. One whose pool or list does not exist is left out: the lint warns about it.
    pub(super) fn deterministic(&mut self) -> Vec<policy::Deterministic> {
        let config = self.config;
        let mut all = Vec::new();
        for deterministic in &config.nat.settings.deterministic {
            let Some(list) = config.access_list(&deterministic.access_list) else { continue };
            let Some(pool) = self.pool(&deterministic.pool) else { continue };
            let Some(prefixes) = list.prefixes() else { continue };
            all.push(policy::Deterministic {
                inside: prefixes.into_iter().map(hosts).collect(),
                pool: self.pool_index(pool),
                reserved: deterministic.reserved.iter().map(|range| (range.start, range.end)).collect(),
                ports_per_host: deterministic.ports_per_host,
                hosts_per_address: deterministic.hosts_per_address(),
                ports_max: deterministic.max_ports.unwrap_or(deterministic.ports_per_host),
            });
        }
        all
    }
}

/// The first host of a prefix, and how many there are.
fn hosts(prefix: Ipv4Net) -> (Ipv4Addr, u32) {
    let first = prefix.hosts().next().unwrap_or(prefix.network());
    (first, u32::try_from(Deterministic::host_count(prefix)).unwrap_or(u32::MAX))
}
