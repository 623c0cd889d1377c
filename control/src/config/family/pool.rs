//! `ip nat pool`.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::model::{AddressRange, Pool, PoolKind};
use super::edit::{remove, statement, warn_ignored};
use super::row::{Family, Section};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Pool, POOL)],
    render: &[(Section::NatPools, |config| config.nat.pools.iter().flat_map(Pool::lines).collect())],
    lint: |lint| lint.check_pools(),
    ..Family::NONE
};

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
const IGNORED: &[&str] = &["accounting", "add-route", "arp-ping"];

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
    if let Some(known) = builder.config.nat.pools.iter_mut().find(|known| known.name == pool.name) {
        let text = format!("pool {:?} replaces the one of line {}", pool.name, known.place.line);
        *known = pool;
        builder.warn(statement.args.column("name"), text);
    } else {
        builder.config.nat.pools.push(pool);
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
    let index = match pools.iter().position(|known| known.name == new.name) {
        Some(index) if pools[index].prefix_length != new.prefix_length && !pools[index].ranges.is_empty() => {
            let known = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, pools[index].prefix_length).netmask();
            let text = format!("pool {:?} has addresses of the mask {known}; remove it first", new.name);
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
    let ranges = &mut builder.pool().ranges;
    if !statement.sets() {
        let removed = remove(ranges, |known| *known == range);
        builder.expect_removed(removed, statement);
    } else if let Some(known) =
        ranges.iter().find(|known| known.start <= range.end && range.start <= known.end)
    {
        let text = format!("the range overlaps the one of line {}", known.place.line);
        return Err(statement.fault("start", text));
    } else {
        ranges.push(range);
    }
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
