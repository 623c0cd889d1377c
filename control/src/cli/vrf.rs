//! `show vrf`, `show ip vrf`, and which VRFs other commands are asked about.

use std::fmt::Write;

use dataplane::flow::Vrf;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::compile::Compiled;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show vrf [ <vrf:word> ]", "VRFs with their interfaces", |appliance, args| vrfs(appliance, args, "ipv4")),
    command("show ip vrf [ <vrf:word> ]", "VRFs with their interfaces", |appliance, args| vrfs(appliance, args, "")),
];

/// The table of `show vrf`, and without a column of protocols that of `show ip vrf`.
fn vrfs(appliance: &mut Appliance, args: &Args, protocols: &str) -> Result<String, String> {
    let wanted: Option<String> = args.optional("vrf");
    let config = &appliance.config;
    if let Some(wanted) = wanted.as_ref().filter(|wanted| config.vrf(wanted).is_none()) {
        return Err(format!("% No VRF named {wanted}"));
    }
    let width = if protocols.is_empty() { 0 } else { 12 };
    let title = if protocols.is_empty() { "" } else { "Protocols" };
    let mut out = format!("  {:<33}{:<22}{title:<width$}Interfaces\n", "Name", "Default RD");
    for vrf in config.vrfs.iter().filter(|vrf| wanted.as_ref().is_none_or(|wanted| vrf.name == *wanted)) {
        let mut interfaces = config
            .interfaces
            .iter()
            .filter(|interface| interface.vrf_name() == Some(&vrf.name))
            .map(|interface| interface.name.as_str());
        let rd = vrf.route_distinguisher.as_deref().unwrap_or("<not set>");
        let first = interfaces.next().unwrap_or_default();
        let line = format!("  {:<33}{rd:<22}{protocols:<width$}{first}", vrf.name);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
        for interface in interfaces {
            let _ = writeln!(out, "{:1$}{interface}", "", 57 + width);
        }
    }
    Ok(out)
}

/// The VRFs that a command is asked about by `vrf V`: the global table without it, and all of them for `*`.
pub(super) fn asked_for(compiled: &Compiled, args: &Args) -> Result<Vec<Vrf>, String> {
    let all = 0..=compiled.vrf_names.len() as Vrf;
    match args.optional::<String>("vrf") {
        None => Ok(vec![0]),
        Some(name) if name == "*" => Ok(all.collect()),
        Some(name) => {
            let known = all.clone().find(|&vrf| vrf > 0 && compiled.vrf_name(vrf) == name);
            known.map(|vrf| vec![vrf]).ok_or_else(|| format!("% IP routing table {name} does not exist"))
        }
    }
}
