//! Which translations a command means: from its words to what the workers are told.

use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, Protocol, TCP, UDP, Vrf};
use dataplane::policy::{RuleId, StaticRule};
use dataplane::state::mapping::ANY_PROTOCOL;
use dataplane::state::wanted::{Column, Columns, Condition, Span, Wanted};

use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Phrase;
use crate::config::model::DynamicTarget;

/// Pieces of syntax that say which translations are meant.
#[rustfmt::skip]
pub const PHRASES: &[Phrase] = &[
    Phrase {
        name: "address-range",
        syntax: "{ inside | outside } { local | global } <first:address> <last:address>",
    },
    Phrase {
        name: "translation",
        syntax: "{ inside <inside-global:address> <inside-local:address> \
                   [ outside <outside-local:address> <outside-global:address> ] \
                 | outside <outside-local:address> <outside-global:address> \
                 | { tcp | udp } inside <inside-global:address> <inside-global-port:0-65535> \
                                        <inside-local:address> <inside-local-port:0-65535> \
                   [ outside <outside-local:address> <outside-local-port:0-65535> \
                             <outside-global:address> <outside-global-port:0-65535> ] }",
    },
];

const INSIDE: &[Column] = &[Column::InsideGlobal, Column::InsideLocal];
const OUTSIDE: &[Column] = &[Column::OutsideLocal, Column::OutsideGlobal];

/// The parameters of the phrase `translation`, with the columns that they are of.
const ENDS: [(&str, &str, &[Column]); 4] = [
    ("inside-global", "inside-global-port", &[Column::InsideGlobal]),
    ("inside-local", "inside-local-port", &[Column::InsideLocal]),
    ("outside-local", "outside-local-port", &[Column::OutsideLocal]),
    ("outside-global", "outside-global-port", &[Column::OutsideGlobal]),
];

/// The keywords for protocols, with their numbers.
const PROTOCOLS: [(&str, Protocol); 5] = [("icmp", 1), ("tcp", TCP), ("udp", UDP), ("esp", 50), ("gre", 47)];

/// What `show ip nat translations` asks for.
pub(super) fn shown(appliance: &Appliance, args: &Args) -> Result<Wanted, String> {
    let keyword = PROTOCOLS.iter().find(|(word, _)| args.has(word)).map(|&(_, protocol)| protocol);
    let of_side = |name, columns| {
        let addr: Option<Ipv4Addr> = args.optional(name);
        addr.map(|addr| Condition::address(columns, addr))
    };
    let sides = [of_side("inside", INSIDE), of_side("outside", OUTSIDE), range(&args.within("range"))?];
    Ok(Wanted {
        protocol: keyword.or(args.optional("protocol")),
        vrf: vrf(appliance, args)?,
        rules: None,
        conditions: sides.into_iter().flatten().collect(),
    })
}

/// `filter range {inside|outside} {local|global} FIRST LAST`
fn range(args: &Args) -> Result<Option<Condition>, String> {
    let (Some(first), Some(last)) = (args.optional("first"), args.optional("last")) else { return Ok(None) };
    let columns: &[Column] = match (args.has("inside"), args.has("global")) {
        (true, true) => &[Column::InsideGlobal],
        (true, false) => &[Column::InsideLocal],
        (false, false) => &[Column::OutsideLocal],
        (false, true) => &[Column::OutsideGlobal],
    };
    if last < first {
        return Err(format!("% The range ends at {last}, which is before {first}"));
    }
    Ok(Some(Condition { columns, first, last, port: None }))
}

/// What `clear ip nat translation` names by addresses. Without a VRF it is of the global table, as in IOS.
pub(super) fn named(appliance: &Appliance, args: &Args) -> Result<Wanted, String> {
    let condition = |&(name, port, columns): &(&'static str, &'static str, &'static [Column])| {
        let addr: Ipv4Addr = args.optional(name)?;
        Some(Condition { port: args.optional(port), ..Condition::address(columns, addr) })
    };
    let conditions: Vec<Condition> = ENDS.iter().filter_map(condition).collect();
    let protocol = PROTOCOLS.iter().find(|(word, _)| args.has(word)).map(|&(_, protocol)| protocol);
    let global = if conditions.is_empty() { None } else { Some(0) };
    Ok(Wanted { protocol, vrf: vrf(appliance, args)?.or(global), rules: None, conditions })
}

/// What has its addresses of a pool, named by the parameter `pool`.
pub(super) fn of_pool(appliance: &Appliance, args: &Args) -> Result<Wanted, String> {
    let name: String = args.required("pool");
    let nat = &appliance.config.nat;
    if nat.pool(&name).is_none() {
        return Err(format!("% There is no pool {name}"));
    }
    let of_pool = |target: &DynamicTarget| matches!(target, DynamicTarget::Pool(pool) if *pool == name);
    let inside = nat.dynamic_rules.iter().filter(|rule| of_pool(&rule.target)).map(ToString::to_string);
    let outside = nat.outside_dynamic_rules.iter().filter(|rule| rule.pool == name).map(ToString::to_string);
    let servers = nat.destination_rules.iter().filter(|rule| rule.pool == name).map(ToString::to_string);
    let id = |line: String| appliance.compiled.rule_lines.get(&line).copied();
    let rules: Vec<RuleId> = inside.chain(outside).chain(servers).filter_map(id).collect();
    Ok(Wanted { rules: Some(rules), ..Wanted::default() })
}

/// The VRF that the parameter `vrf` names.
pub(super) fn vrf(appliance: &Appliance, args: &Args) -> Result<Option<Vrf>, String> {
    let Some(name) = args.optional::<String>("vrf") else { return Ok(None) };
    if appliance.config.vrf(&name).is_none() {
        return Err(format!("% VRF {name} does not exist"));
    }
    let number = appliance.compiled.vrf_names.iter().position(|known| *known == name);
    // One that nothing names has no number, and no translations.
    Ok(Some(number.map_or(Vrf::MAX, |number| number as Vrf + 1)))
}

/// The name of a VRF; none of the global table.
pub(super) fn vrf_name(appliance: &Appliance, vrf: Vrf) -> Option<&str> {
    appliance.compiled.vrf_names.get(usize::from(vrf).checked_sub(1)?).map(String::as_str)
}

/// The statics that are meant, and whether each is of the outside.
pub(super) fn statics<'a>(
    appliance: &'a Appliance,
    wanted: &'a Wanted,
) -> impl Iterator<Item = (&'a StaticRule, bool)> {
    let policy = &appliance.compiled.policy;
    let inside = policy.statics.rules().iter().map(|rule| (rule, false));
    let outside = policy.outside_statics.rules().iter().map(|rule| (rule, true));
    inside.chain(outside).filter(|&(rule, is_of_outside)| has_static(wanted, rule, is_of_outside))
}

/// Whether a static is meant: one of the inside has the inside's columns, one of the outside the others.
fn has_static(wanted: &Wanted, rule: &StaticRule, is_of_outside: bool) -> bool {
    let span = |end: Endpoint| {
        let bits = u32::MAX.checked_shl(32 - u32::from(rule.prefix_len)).unwrap_or(0);
        let (first, last) = (end.addr.to_bits() & bits, end.addr.to_bits() | !bits);
        Span { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(last), port: end.port }
    };
    let nothing = Span::from(Endpoint::new(Ipv4Addr::UNSPECIFIED, 0));
    let (local, global) = (span(rule.local), span(rule.global));
    let columns: Columns =
        if is_of_outside { [nothing, nothing, local, global] } else { [global, local, nothing, nothing] };
    wanted.has(rule.protocol.unwrap_or(ANY_PROTOCOL), rule.inside_vrf, &columns)
}
