//! `ip nat translation`: how long translations live, and how many there may be.

use super::super::args::Args;
use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::lint::findings::Lint;
use super::super::model::{Limit, LimitScope, PortProtocol, PortTimeout, TIMEOUTS, Timeout};
use super::edit::{protocol, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    finish: |config| config.nat.forget_default_timeouts(),
    render: &[(Section::NatTranslations, |config| config.nat.translation_lines())],
    lint: |lint| lint.check_limits(),
    compile: &[(Stage::Settings, |compiler| {
        compiler.timeouts();
        compiler.limits();
    })],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat translation { timeout | tcp-timeout | pptp-timeout | udp-timeout | finrst-timeout | syn-timeout \
               | dns-timeout | icmp-timeout | routemap-entry-timeout | arp-ping-timeout } / (timeout)",
              "Set how long an idle translation lives, in seconds", timeout),
    statement("ip nat translation port-timeout { tcp | udp } <port:1-65535> / (timeout)",
              "Set how long an idle translation of a local port lives, in seconds", port_timeout),
    statement("ip nat translation max-entries / <max:1-2147483647>",
              "Limit the number of translations", max_entries),
    statement("ip nat translation max-entries { all-host | all-vrf | host <host:address> | list (acl) | vrf <vrf:word> \
               | redundancy <group:1-2> } / <max:1-2147483647>",
              "Limit the number of translations of hosts or VRFs", max_entries),
    statement("ip nat translation max-rate { all-host | host <host:address> } / <max:1-2147483647>",
              "Limit the new translations of a host per second", max_rate),
];

fn timeout(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let new = timeout_value(builder, statement);
    let timeouts = &mut builder.config.nat.timeouts;
    for row in TIMEOUTS.iter().filter(|row| statement.args.has(row.keyword)) {
        match new {
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

fn max_entries(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if statement.args.has("redundancy") {
        warn_ignored(builder, statement, &["redundancy"]);
        return Ok(());
    }
    let known = std::mem::take(&mut builder.config.nat.max_entries);
    builder.config.nat.max_entries = limited(builder, statement, known);
    Ok(())
}

fn max_rate(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let known = std::mem::take(&mut builder.config.nat.max_rates);
    builder.config.nat.max_rates = limited(builder, statement, known);
    Ok(())
}

/// Limits after a statement sets or removes one of them.
fn limited(builder: &mut Builder, statement: &Statement, mut limits: Vec<Limit>) -> Vec<Limit> {
    let scope = scope(&statement.args);
    let known = limits.iter().position(|limit| limit.scope == scope);
    let new = statement.args.optional("max").filter(|_| statement.sets());
    let limit = new.map(|max| Limit { place: statement.place, scope, max });
    match (known, limit) {
        (Some(index), Some(limit)) => limits[index] = limit,
        (None, Some(limit)) => limits.push(limit),
        (Some(index), None) => drop(limits.remove(index)),
        (None, None) => builder.expect_removed(false, statement),
    }
    limits
}

fn scope(args: &Args) -> LimitScope {
    match () {
        () if args.has("all-host") => LimitScope::EachHost,
        () if args.has("all-vrf") => LimitScope::EachVrf,
        () if args.has("host") => LimitScope::Host(args.required("host")),
        () if args.has("list") => LimitScope::List(args.required("acl")),
        () if args.has("vrf") => LimitScope::Vrf(args.required("vrf")),
        () => LimitScope::All,
    }
}

impl Lint<'_> {
    fn check_limits(&mut self) {
        for limit in &self.config.nat.max_entries {
            match &limit.scope {
                LimitScope::List(access_list) => self.check_access_list(limit.place, access_list),
                LimitScope::Vrf(vrf) => self.check_vrf(limit.place, Some(vrf)),
                _ => {}
            }
        }
    }
}
