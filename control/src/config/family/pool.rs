//! `ip nat pool`: pools of global addresses.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use dataplane::policy;
use ipnet::Ipv4Net;

use super::edit::{Ignored, put, remove, statement, warn_ignored};
use super::row::{Family, Section};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Config, DynamicTarget, GlobalAddress, Place, Route, RouteTarget, StaticMapping};
use crate::config::text::mask;
use crate::means::Shortage;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Pool, POOL)],
    render: &[(Section::NatPools, |config| config.nat.pools.iter().flat_map(Pool::lines).collect())],
    lint: |lint| lint.check_pools(),
    ..Family::NONE
};

/// `ip nat pool NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where it stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// Its addresses; every range lies within one network of the mask.
    pub ranges: Vec<AddressRange>,
    /// The length of the mask, 1 to 32 bits. The mask's network and broadcast addresses are not handed out.
    pub prefix_length: u8,
    /// How addresses are chosen.
    pub kind: PoolKind,
}

impl Pool {
    /// The ranges without the network and broadcast addresses of the mask; none is empty.
    pub fn usable_ranges(&self) -> Vec<(Ipv4Addr, Ipv4Addr)> {
        let usable = |range: &AddressRange| {
            let network = Ipv4Net::new_assert(range.start, self.prefix_length);
            let has_ends = self.prefix_length < 31;
            let skips_first = has_ends && range.start == network.network();
            let skips_last = has_ends && range.end == network.broadcast();
            let first = range.start.to_bits() + u32::from(skips_first);
            let last = range.end.to_bits() - u32::from(skips_last);
            (first <= last).then(|| (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last)))
        };
        self.ranges.iter().filter_map(usable).collect()
    }

    /// How many addresses are handed out.
    pub fn address_count(&self) -> u64 {
        let count = |(first, last): (Ipv4Addr, Ipv4Addr)| u64::from(last.to_bits() - first.to_bits()) + 1;
        self.usable_ranges().into_iter().map(count).sum()
    }
}

/// Addresses from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Where it stands.
    pub place: Place,
    /// The first address.
    pub start: Ipv4Addr,
    /// The last address, not below the first.
    pub end: Ipv4Addr,
}

impl AddressRange {
    /// Whether the address is in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.start..=self.end).contains(&address)
    }
}

/// How a pool chooses an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// Any free address.
    #[default]
    Generic,
    /// The address whose host part equals the subscriber's.
    MatchHost,
    /// The addresses in turn: the real servers of a virtual one.
    Rotary,
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat pool <name:word> / <start:address> <end:address> (pool-mask) (pool-options)",
              "Define a pool of one range of global addresses", pool),
    statement("ip nat pool <name:word> (pool-mask) (pool-options)",
              "Define a pool of several ranges of global addresses", pool_of_ranges),
];

#[rustfmt::skip]
const POOL: &[Row<Apply>] = &[
    statement("{ address | range } <start:address> <end:address>", "Add a range of addresses", pool_range),
];

/// Options that are accepted and mean nothing here.
const IGNORED: &[Ignored] = &[
    ("accounting", "translations are not accounted to a list"),
    ("add-route", "packets to a pool's addresses are taken without a route"),
    ("arp-ping", "hosts are not asked whether they are still there"),
];

fn pool(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let name: String = statement.args.required("name");
    if !statement.sets() {
        let removed = remove(&mut builder.config.nat.pools, |pool| pool.name == name);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    warn_ignored(builder, statement, IGNORED);
    let mut pool = new_pool(statement, name);
    pool.ranges.push(range(builder, statement, pool.prefix_length)?);
    let pools = &mut builder.config.nat.pools;
    if let Some(old) = put(&mut builder.known, List::Pools, pools, pool, |pool| pool.name.clone()) {
        builder.known.forget();
        let text = format!("pool {:?} replaces the one of {}", old.name, old.place);
        builder.warn(statement.args.column("name"), text);
    }
    Ok(())
}

fn pool_of_ranges(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if !statement.sets() {
        return pool(builder, statement);
    }
    warn_ignored(builder, statement, IGNORED);
    let new = new_pool(statement, statement.args.required("name"));
    let pools = &mut builder.config.nat.pools;
    let known = builder.known.position(List::Pools, pools, |pool| pool.name.clone(), &new.name);
    let index = match known {
        Some(index) if pools[index].prefix_length != new.prefix_length && !pools[index].ranges.is_empty() => {
            let known = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, pools[index].prefix_length).netmask();
            let text =
                format!("pool {:?} has addresses with the mask {known}; remove the pool first", new.name);
            return Err(statement.fault("name", text));
        }
        Some(index) => {
            pools[index] = Pool { ranges: std::mem::take(&mut pools[index].ranges), ..new };
            index
        }
        None => {
            pools.push(new);
            pools.len() - 1
        }
    };
    builder.open(Mode::Pool, (index, 0));
    Ok(())
}

fn new_pool(statement: &Statement, name: String) -> Pool {
    let args = &statement.args;
    let kind = match () {
        () if args.has("match-host") => PoolKind::MatchHost,
        () if args.has("rotary") => PoolKind::Rotary,
        () => PoolKind::Generic,
    };
    Pool { place: statement.place, name, ranges: Vec::new(), prefix_length: args.required("mask"), kind }
}

fn pool_range(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let length = builder.pool().prefix_length;
    let range = range(builder, statement, length)?;
    if !statement.sets() {
        let removed = remove(&mut builder.pool().ranges, |known| *known == range);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let pool = builder.opened.0;
    let ranges = &mut builder.config.nat.pools[pool].ranges;
    let known = ranges.iter().map(|known| (known.start, known.end));
    if let Some(position) = builder.known.overlapping(pool, known, (range.start, range.end)) {
        let text = format!("the range overlaps the one of {}", ranges[position].place);
        return Err(statement.fault("start", text));
    }
    ranges.push(range);
    Ok(())
}

/// The range of a pool whose mask has this length.
fn range(builder: &mut Builder, statement: &Statement, length: u8) -> Result<AddressRange, Fault> {
    let (start, end): (Ipv4Addr, Ipv4Addr) =
        (statement.args.required("start"), statement.args.required("end"));
    if start > end {
        return Err(statement.fault("start", format!("the range starts at {start}, after its end {end}")));
    }
    let network = Ipv4Net::new_assert(start, length).trunc();
    if !network.contains(&end) {
        return Err(
            statement.fault("end", format!("{end} is outside the network {network} of the range's start"))
        );
    }
    let reserved = |address| length < 31 && (address == network.network() || address == network.broadcast());
    if reserved(start) && start == end {
        return Err(statement.fault("start", format!("{start} is not handed out, so the range is empty")));
    }
    for (name, address, role) in [("start", start, "network"), ("end", end, "broadcast")] {
        if statement.sets() && reserved(address) {
            let text = format!("{address} is the {role} address of its mask and is not handed out");
            builder.warn(statement.args.column(name), text);
        }
    }
    Ok(AddressRange { place: statement.place, start, end })
}

impl Builder {
    /// The pool whose mode this is.
    fn pool(&mut self) -> &mut Pool {
        &mut self.config.nat.pools[self.opened.0]
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

impl Lint<'_> {
    fn check_pools(&mut self) {
        for pool in self.config.nat.pools.iter().filter(|pool| pool.ranges.is_empty()) {
            self.warn(pool.place, format!("pool {:?} has no addresses", pool.name));
        }
        self.check_pool_overlaps();
        self.check_pools_of_statics();
        self.check_pools_of_interfaces();
        self.check_pools_of_next_hops();
        self.check_pool_types();
    }

    fn check_pool_overlaps(&mut self) {
        let ranges: Vec<_> = ranges(self.config).collect();
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by_key(|&at| ranges[at].1.start);
        let (mut reaching, mut pairs) = (Vec::<usize>::new(), Vec::new());
        for at in order {
            let (pool, range) = ranges[at];
            reaching.retain(|&other| ranges[other].1.end >= range.start);
            let others = reaching.iter().filter(|&&other| ranges[other].0.name != pool.name);
            pairs.extend(others.map(|&other| (at.max(other), at.min(other))));
            reaching.push(at);
        }
        pairs.sort_unstable();
        for (later, earlier) in pairs {
            let ((other, _), (pool, range)) = (ranges[earlier], ranges[later]);
            self.warn(range.place, format!("pools {:?} and {:?} overlap", other.name, pool.name));
        }
    }

    fn check_pools_of_statics(&mut self) {
        let ranges: Vec<_> = ranges(self.config).collect();
        let spans = Spans::new(ranges.iter().map(|(_, range)| (range.start, range.end)));
        for rule in &self.config.nat.static_rules {
            let global = match rule.mapping {
                StaticMapping::Address { global: GlobalAddress::Address(global), .. } => global.into(),
                StaticMapping::Network { global, prefix_length, .. } => {
                    Ipv4Net::new_assert(global, prefix_length)
                }
                _ => continue,
            };
            if let Some(at) = spans.first_touching(global.network(), global.broadcast()) {
                let global = match global.prefix_len() {
                    32 => global.addr().to_string(),
                    _ => global.to_string(),
                };
                let text = format!("{global} is in pool {:?} too, which may hand it out", ranges[at].0.name);
                self.warn(rule.place, text);
            }
        }
    }

    fn check_pools_of_interfaces(&mut self) {
        let interfaces = self.config.interfaces.iter();
        let own: Vec<_> = interfaces
            .flat_map(|interface| interface.addresses.iter().map(move |own| (own.network.addr(), interface)))
            .collect();
        let points = Spans::new(own.iter().map(|&(addr, _)| (addr, addr)));
        for (pool, range) in ranges(self.config) {
            for at in points.touching(range.start, range.end) {
                let (addr, interface) = own[at];
                let text = format!("pool {:?} contains {addr}, the address of {}", pool.name, interface.name);
                self.warn(range.place, text);
            }
        }
    }

    /// Whoever has a next hop's address would be in its way, and the box would answer ARP for it.
    fn check_pools_of_next_hops(&mut self) {
        let next_hop = |route: &Route| match route.target {
            RouteTarget::NextHop(next_hop) | RouteTarget::Interface(_, Some(next_hop)) => Some(next_hop),
            RouteTarget::Interface(_, None) | RouteTarget::Null => None,
        };
        let routes = self.config.routes.iter();
        let mut known = HashSet::new();
        // The first line of each.
        let hops: Vec<_> = routes
            .filter_map(|route| Some((next_hop(route)?, route.place)))
            .filter(|&(next_hop, _)| known.insert(next_hop))
            .collect();
        let points = Spans::new(hops.iter().map(|&(addr, _)| (addr, addr)));
        for (pool, range) in ranges(self.config) {
            if let Some(at) = points.first_touching(range.start, range.end) {
                let (next_hop, place) = hops[at];
                let text = format!("pool {:?} contains {next_hop}, the next hop of {place}", pool.name);
                self.warn(range.place, text);
            }
        }
    }

    fn check_pool_types(&mut self) {
        let nat = &self.config.nat;
        let kinds: HashMap<&str, PoolKind> =
            nat.pools.iter().map(|pool| (pool.name.as_str(), pool.kind)).collect();
        let is_rotary = |name: &str| kinds.get(name).map(|&kind| kind == PoolKind::Rotary);
        let inside = nat.dynamic_rules.iter().filter_map(|rule| match &rule.target {
            DynamicTarget::Pool(pool) => Some((rule.place, pool)),
            DynamicTarget::Interface(_) => None,
        });
        let outside = nat.outside_dynamic_rules.iter().map(|rule| (rule.place, &rule.pool));
        for (place, pool) in inside.chain(outside).filter(|(_, pool)| is_rotary(pool) == Some(true)) {
            let text = format!("pool {pool:?} is rotary, which is for \"ip nat inside destination\"");
            self.warn(place, text);
        }
        for rule in &nat.destination_rules {
            if is_rotary(&rule.pool) == Some(false) {
                let text =
                    format!("pool {:?} is not of \"type rotary\": the rule translates nothing", rule.pool);
                self.warn(rule.place, text);
            }
        }
    }
}

/// Spans of addresses, to be found by what they touch.
struct Spans {
    /// By their starts: start and end, the furthest end so far, and the position in the order they were given in.
    sorted: Vec<(Ipv4Addr, Ipv4Addr, Ipv4Addr, usize)>,
}

impl Spans {
    fn new(spans: impl Iterator<Item = (Ipv4Addr, Ipv4Addr)>) -> Spans {
        let mut sorted: Vec<_> = spans.enumerate().map(|(at, (start, end))| (start, end, end, at)).collect();
        sorted.sort_unstable();
        let mut furthest = Ipv4Addr::UNSPECIFIED;
        for (_, end, reached, _) in &mut sorted {
            furthest = furthest.max(*end);
            *reached = furthest;
        }
        Spans { sorted }
    }

    /// The positions of those that touch what lies from one address to another, in the order they were given in.
    fn touching(&self, first: Ipv4Addr, last: Ipv4Addr) -> Vec<usize> {
        let before = self.sorted.partition_point(|&(start, ..)| start <= last);
        let reaching = self.sorted[..before].iter().rev().take_while(|(_, _, reached, _)| *reached >= first);
        let mut found: Vec<usize> =
            reaching.filter(|(_, end, ..)| *end >= first).map(|&(.., at)| at).collect();
        found.sort_unstable();
        found
    }

    fn first_touching(&self, first: Ipv4Addr, last: Ipv4Addr) -> Option<usize> {
        self.touching(first, last).first().copied()
    }
}

/// The ranges of all pools.
fn ranges(config: &Config) -> impl Iterator<Item = (&Pool, &AddressRange)> {
    config.nat.pools.iter().flat_map(|pool| pool.ranges.iter().map(move |range| (pool, range)))
}

impl Compiler<'_> {
    /// A pool by its name; none when it is not there, which lint warns of.
    pub(super) fn pool(&self, name: &str) -> Option<policy::Pool> {
        let pool = self.positions.pools.get(name).and_then(|&at| self.config.nat.pools.get(at))?;
        let kind = match pool.kind {
            PoolKind::Generic => policy::PoolKind::Generic,
            PoolKind::MatchHost => policy::PoolKind::MatchHost(pool.prefix_length),
            PoolKind::Rotary => policy::PoolKind::Rotary,
        };
        Some(policy::Pool {
            name: pool.name.clone(),
            kind,
            ranges: pool.usable_ranges(),
            prefix_len: pool.prefix_length,
        })
    }

    pub(super) fn pool_index(&mut self, pool: policy::Pool) -> u16 {
        if let Some(&number) = self.pool_numbers.get(&pool) {
            return number;
        }
        let pools = &mut self.out.policy.pools;
        let Ok(number) = u16::try_from(pools.len()) else {
            let place = self.config.nat.pools.last().map(|last| last.place).unwrap_or_default();
            self.refuse_once(place, "pools", usize::from(u16::MAX) + 1);
            return 0;
        };
        pools.push(pool.clone());
        self.pool_numbers.insert(pool, number);
        number
    }
}

impl Compiler<'_> {
    /// Refuses the largest pool that a rule gives addresses of, since nothing else asks for so much memory.
    pub(crate) fn refuse_for(&mut self, shortage: Shortage, worker_count: u8) {
        let nat = &self.config.nat;
        let inside = nat.dynamic_rules.iter().filter_map(|rule| match &rule.target {
            DynamicTarget::Pool(pool) => Some(pool),
            DynamicTarget::Interface(_) => None,
        });
        let used: HashSet<&String> =
            inside.chain(nat.outside_dynamic_rules.iter().map(|rule| &rule.pool)).collect();
        let of_rules = nat.pools.iter().filter(|pool| used.contains(&pool.name));
        let largest = of_rules.max_by_key(|pool| pool.address_count());
        let what = largest.map_or(String::new(), |pool| {
            format!("pool {:?} has {} addresses: ", pool.name, pool.address_count())
        });
        let text = format!(
            "{what}ports of global addresses with {worker_count} worker(s) may take {shortage}; make the pool smaller, or \
             lower 'max-sessions' under 'platform dpdk'"
        );
        self.error(largest.map(|pool| pool.place).unwrap_or_default(), text);
    }
}
