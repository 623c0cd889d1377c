//! `show running-config`, `show version`

use super::{Command, Context, command, duration};
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show running-config", "The configuration in force", running_config),
    command("show version", "Version, uptime and size", version),
];

fn running_config(context: &mut Context, _: &Args) -> Result<String, String> {
    Ok(format!("{}end\n", context.appliance.config))
}

fn version(context: &mut Context, _: &Args) -> Result<String, String> {
    let appliance = &*context.appliance;
    let name = appliance.config.hostname.as_deref().unwrap_or("portico");
    Ok(format!(
        "Portico, Version {}\n\n{name} uptime is {}\n{} worker(s), {} interface(s), room for {} sessions\n",
        env!("CARGO_PKG_VERSION"),
        duration(context.now_ms),
        appliance.worker_count(),
        appliance.config.interfaces.len(),
        appliance.config.platform.max_sessions.unwrap_or(crate::appliance::SESSION_COUNT_DEFAULT),
    ))
}
