//! `clear ...` of counters and neighbours. Silent when it succeeds, as in IOS.

use super::command::{Command, command};
use super::statistics::{INBOUND_DROPS, OUTBOUND_DROPS};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("clear ip nat statistics", "Clear the hits, misses and drops of the NAT", clear_statistics),
    command("clear ip access-list counters [ <name:word> ]", "Clear the match counters of access lists", clear_access_lists),
    command("clear access-list counters [ <name:word> ]", "Clear the match counters of access lists", clear_access_lists),
    command("clear counters", "Clear the counters of interfaces and drops", clear_counters),
    command("clear arp-cache", "Forget the neighbours that were learnt", clear_neighbours),
    command("clear ip arp", "Forget the neighbours that were learnt", clear_neighbours),
];

fn clear_statistics(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let drops = [OUTBOUND_DROPS, INBOUND_DROPS].concat();
    appliance.operation.baselines.clear_nat(&appliance.counters, &drops);
    Ok(String::new())
}

fn clear_access_lists(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let lists = &appliance.config.access_lists;
    if let Some(wanted) = wanted.as_ref().filter(|wanted| !lists.iter().any(|list| list.name == **wanted)) {
        return Err(format!("% There is no access list {wanted}"));
    }
    let of_lists = appliance.compiled.acl_counters.iter();
    let chosen = of_lists.filter(|((list, _), _)| wanted.as_ref().is_none_or(|wanted| list == wanted));
    let counters = chosen.map(|(_, &counter)| counter);
    appliance.operation.baselines.clear_acls(&appliance.counters, counters);
    Ok(String::new())
}

fn clear_counters(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let (count, now_ms) = (appliance.compiled.policy.interfaces.len(), appliance.operation.now_ms);
    appliance.operation.baselines.clear_interfaces(&appliance.counters, count, now_ms);
    Ok(String::new())
}

fn clear_neighbours(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    appliance.clear_neighbours();
    Ok(String::new())
}
