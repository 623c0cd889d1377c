//! `show ip nat deterministic`

use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, protocol_name};
use dataplane::message::{Holder, WorkerMessage};
use dataplane::policy::{Deterministic, DeterministicRange, Policy};

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
];

fn forward(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let inside: Ipv4Addr = args.required("inside");
    let (deterministic, host, global) = computed(&appliance.compiled.policy, inside)
        .ok_or_else(|| format!("% No ports are computed for {inside}"))?;
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

/// The ports that are computed for an inside host, and their address.
pub(super) fn computed(
    policy: &Policy,
    inside: Ipv4Addr,
) -> Option<(&Deterministic, DeterministicRange, Ipv4Addr)> {
    policy.behaviour.deterministic.iter().find_map(|deterministic| {
        let host = deterministic.forward(inside)?;
        let pool = policy.pools.get(usize::from(deterministic.pool))?;
        Some((deterministic, host, pool.address_at(host.position)?))
    })
}

/// What is alive goes before what would be computed: a session may be older than the settings, or of no computation.
fn reverse(appliance: &mut Appliance, args: &Args) -> Started {
    let global = Endpoint::new(args.required("global"), args.required("port"));
    let ask = |reply| WorkerMessage::Holders(global, reply);
    Ok(Box::new(Asked::new(appliance, ask, move |appliance, answers| {
        let holders = answers.concat();
        let mut out = format!("Inside global {global}\n");
        for Holder { protocol, inside_local, vrf } in &holders {
            let vrf = match vrf {
                0 => String::new(),
                &vrf => format!(" of VRF {}", appliance.compiled.vrf_name(vrf)),
            };
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
