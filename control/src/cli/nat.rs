//! `show ip nat deterministic`, `show vrf`

use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, protocol_name};
use dataplane::message::{Holder, WorkerMessage};

use super::answer::Asked;
use super::command::{Command, Started, command, long_command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip nat deterministic inside <inside:address>", "The deterministic address and ports of an inside host", forward),
    long_command("show ip nat deterministic global <global:address> port <port:0-65535>",
                 "The inside hosts that use a global port now, and the one that it belongs to by computation", reverse),
    command("show vrf", "VRFs with their interfaces", vrfs),
];

fn forward(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let inside: Ipv4Addr = args.required("inside");
    let policy = &appliance.compiled.policy;
    let found = policy.behaviour.deterministic.iter().find_map(|deterministic| {
        let host = deterministic.forward(inside)?;
        let pool = policy.pools.get(usize::from(deterministic.pool))?;
        Some((deterministic, host, pool.address_at(host.position)?))
    });
    let (deterministic, host, global) =
        found.ok_or_else(|| format!("% No ports are computed for {inside}"))?;
    let reserved: Vec<String> =
        deterministic.reserved.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    Ok(format!(
        "Inside local {inside}\n  Inside global {global}, ports {} to {} ({}), at most {} in all\n  Reserved ports {}\n",
        host.first_port,
        host.last_port,
        deterministic.ports_per_host,
        deterministic.ports_max,
        reserved.join(","),
    ))
}

/// What is alive goes before what would be computed: a session may be older than the settings, or of no computation.
fn reverse(appliance: &mut Appliance, args: &Args) -> Started {
    let global = Endpoint::new(args.required("global"), args.required("port"));
    let ask = |reply| WorkerMessage::Holders(global, reply);
    Ok(Box::new(Asked::new(appliance, ask, move |appliance, answers| {
        let holders = answers.concat();
        let mut out = format!("Inside global {global}\n");
        for Holder { protocol, inside_local, vrf } in &holders {
            let name = usize::from(*vrf).checked_sub(1).and_then(|n| appliance.compiled.vrf_names.get(n));
            let vrf = name.map(|name| format!(" of VRF {name}")).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  Inside local {inside_local}{vrf} by {} now", protocol_name(*protocol));
        }
        match appliance.compiled.policy.deterministic_host(global) {
            Some(inside) => _ = writeln!(out, "  By computation {inside}"),
            None if holders.is_empty() => {
                return Err(format!("% No host has {global}, now or by computation"));
            }
            None => {}
        }
        Ok(out)
    })?))
}

fn vrfs(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let mut out = format!("  {:<33}{:<22}{:<12}{}\n", "Name", "Default RD", "Protocols", "Interfaces");
    for vrf in &appliance.config.vrfs {
        let mut interfaces = appliance
            .config
            .interfaces
            .iter()
            .filter(|interface| interface.vrf_name() == Some(&vrf.name))
            .map(|interface| interface.name.as_str());
        let rd = vrf.route_distinguisher.as_deref().unwrap_or("<not set>");
        let first = interfaces.next().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {:<33}{rd:<22}{:<12}{first}", vrf.name, "ipv4");
        for interface in interfaces {
            let _ = writeln!(out, "{:69}{interface}", "");
        }
    }
    Ok(out)
}
