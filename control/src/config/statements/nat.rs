//! `ip nat`: pools, rules and timeouts.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::args::Args;
use super::super::builder::{Apply, Builder, Fault, Statement};
use super::super::grammar::Row;
use super::super::model::{
    AddressRange, DynamicRule, DynamicTarget, GlobalAddress, Pool, PoolKind, PortProtocol, PortTimeout,
    StaticMapping, StaticRule, TIMEOUTS, Timeout,
};
use super::{Mode, network, remove, statement};

#[rustfmt::skip]
pub(super) const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat pool <name:word> / <start:address> <end:address> (pool-mask) (pool-type)",
              "Define a pool of one range of global addresses", pool),
    statement("ip nat pool <name:word> (pool-mask) (pool-type)",
              "Define a pool of several ranges of global addresses", pool_of_ranges),
    statement("ip nat inside source list (acl) / pool <pool:word> [ overload ]",
              "Translate local addresses to those of a pool", dynamic_rule),
    statement("ip nat inside source list (acl) interface <interface> [ overload ]",
              "Translate local addresses to an interface's", dynamic_rule),
    statement("ip nat inside source static <local:address> <global:address> (static-options)",
              "Translate one address to another", static_address),
    statement("ip nat inside source static <local:address> interface <interface> (static-options)",
              "Translate one address to an interface's", static_address),
    statement("ip nat inside source static { tcp | udp } <local:address> <local-port:1-65535> \
               { <global:address> | interface <interface> } <global-port:1-65535> (static-options)",
              "Translate one port to another", static_port),
    statement("ip nat inside source static network <local:address> <global:address> <mask> (static-options)",
              "Translate a network to another, address by address", static_network),
    statement("ip nat translation { timeout | tcp-timeout | pptp-timeout | udp-timeout | finrst-timeout | syn-timeout \
               | dns-timeout | icmp-timeout | routemap-entry-timeout | arp-ping-timeout } / (timeout)",
              "Set how long an idle translation lives, in seconds", timeout),
    statement("ip nat translation port-timeout { tcp | udp } <port:1-65535> / (timeout)",
              "Set how long an idle translation of a local port lives, in seconds", port_timeout),
];

#[rustfmt::skip]
pub(super) const POOL: &[Row<Apply>] = &[
    statement("{ address | range } <start:address> <end:address>", "Add a range of addresses", pool_range),
];

fn pool(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let name: String = statement.args.required("name");
    if !statement.sets() {
        let removed = remove(&mut builder.config.nat.pools, |pool| pool.name == name);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
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
    builder.mode = Mode::Pool(index);
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

fn dynamic_rule(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let access_list: String = args.required("acl");
    let target = match (args.optional("pool"), args.optional("interface")) {
        (Some(pool), _) => Some(DynamicTarget::Pool(pool)),
        (None, interface) => interface.map(DynamicTarget::Interface),
    };
    let rules = &mut builder.config.nat.dynamic_rules;
    let Some(target) = target.clone().filter(|_| statement.sets()) else {
        let fits = |rule: &DynamicRule| target.as_ref().is_none_or(|target| rule.target == *target);
        let removed = remove(rules, |rule| rule.access_list == access_list && fits(rule));
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let overload = args.has("overload") || matches!(target, DynamicTarget::Interface(_));
    let rule = DynamicRule { place: statement.place, access_list, target, overload };
    if let Some(known) = rules.iter_mut().find(|known| known.access_list == rule.access_list) {
        let text =
            format!("the rule for list {:?} replaces the one of line {}", rule.access_list, known.place.line);
        *known = rule;
        builder.warn(statement.place.column as usize, text);
    } else {
        rules.push(rule);
    }
    Ok(())
}

fn static_address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let local = statement.args.required("local");
    edit_static(builder, statement, StaticMapping::Address { local, global: global(&statement.args) })
}

fn static_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let mapping = StaticMapping::Port {
        protocol: protocol(args),
        local: args.required("local"),
        local_port: args.required("local-port"),
        global: global(args),
        global_port: args.required("global-port"),
    };
    edit_static(builder, statement, mapping)
}

fn static_network(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (local, global) = (network(statement, "local")?, network(statement, "global")?);
    let prefix_length = local.prefix_len();
    if prefix_length == 0 {
        return Err(statement.fault("mask", "the mask leaves nothing to tell two networks apart"));
    }
    let mapping = StaticMapping::Network { local: local.addr(), global: global.addr(), prefix_length };
    edit_static(builder, statement, mapping)
}

fn edit_static(builder: &mut Builder, statement: &Statement, mapping: StaticMapping) -> Result<(), Fault> {
    let rules = &mut builder.config.nat.static_rules;
    if !statement.sets() {
        let removed = remove(rules, |rule| rule.mapping == mapping);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let args = &statement.args;
    let several = matches!(mapping, StaticMapping::Port { global: GlobalAddress::Address(_), .. });
    let rule = StaticRule {
        place: statement.place,
        mapping,
        extendable: several || args.has("extendable"),
        no_alias: args.has("no-alias"),
        no_payload: args.has("no-payload"),
    };
    if let Some(known) = rules.iter_mut().find(|known| known.mapping == rule.mapping) {
        let text = format!("this repeats line {}", known.place.line);
        *known = rule;
        builder.warn(statement.place.column as usize, text);
    } else {
        rules.push(rule);
    }
    Ok(())
}

fn global(args: &Args) -> GlobalAddress {
    match args.optional("interface") {
        Some(interface) => GlobalAddress::Interface(interface),
        None => GlobalAddress::Address(args.required("global")),
    }
}

fn protocol(args: &Args) -> PortProtocol {
    if args.has("tcp") { PortProtocol::Tcp } else { PortProtocol::Udp }
}

fn timeout(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let new = timeout_value(builder, statement);
    let timeouts = &mut builder.config.nat.timeouts;
    for row in TIMEOUTS.iter().filter(|row| statement.args.has(row.keyword)) {
        match new.filter(|new| *new != row.kind.default()) {
            Some(new) => timeouts.insert(row.kind, new),
            None => timeouts.remove(&row.kind),
        };
    }
    Ok(())
}

fn port_timeout(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (protocol, port): (PortProtocol, u16) = (protocol(&statement.args), statement.args.required("port"));
    let new = timeout_value(builder, statement);
    let timeouts = &mut builder.config.nat.port_timeouts;
    let removed = remove(timeouts, |known| known.protocol == protocol && known.port == port);
    match new {
        Some(timeout) => timeouts.push(PortTimeout { protocol, port, timeout }),
        None => builder.expect_removed(removed, statement),
    }
    Ok(())
}

/// The timeout that a statement sets, if it sets one.
fn timeout_value(builder: &mut Builder, statement: &Statement) -> Option<Timeout> {
    let seconds = statement.args.optional("seconds").filter(|_| statement.sets());
    if let Some(0..60) = seconds {
        builder.warn(
            statement.args.column("seconds"),
            "timeouts below 60 seconds cut sessions that are still in use",
        );
    }
    match seconds {
        Some(seconds) => Some(Timeout::Seconds(seconds)),
        None => statement.sets().then_some(Timeout::Never),
    }
}
