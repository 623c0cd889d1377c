//! `show running-config`, `show version`, `show logging`, `test crash`

use std::fmt::Write;

use super::command::{Command, command, duration};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{ConsoleLogging, Logging};
use crate::config::names::{SEVERITIES, name_of};
use crate::log::{BUFFER_LINES, SYSLOG_PORT, State};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show running-config", "The configuration in force", running_config),
    command("show version", "Version, uptime and size", version),
    command("show logging", "Where log messages go, and the last ones", logging),
    command("test crash", "Panic in the control thread, to show that commands and forwarding go on", crash),
];

fn crash(_: &mut Appliance, _: &Args) -> Result<String, String> {
    panic!("'test crash' asks for it");
}

fn running_config(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    Ok(format!("{}end\n", appliance.config))
}

fn version(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let name = appliance.config.hostname.as_deref().unwrap_or("portico");
    Ok(format!(
        "Portico, Version {}\n\n{name} uptime is {}\n{} worker(s), {} interface(s), room for {} sessions\n",
        env!("CARGO_PKG_VERSION"),
        duration(appliance.operation.now_ms),
        appliance.worker_count(),
        appliance.config.interfaces.len(),
        appliance.config.platform.sessions(),
    ))
}

fn logging(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let log = appliance.operation.log.as_ref().ok_or("% There is no log in a replay")?;
    Ok(describe(&log.state()))
}

fn level(severity: u8) -> String {
    name_of(SEVERITIES, u32::from(severity)).map_or_else(|| severity.to_string(), str::to_string)
}

fn describe(state: &State) -> String {
    let console = match state.logging.console.unwrap_or(Logging::CONSOLE_DEFAULT) {
        ConsoleLogging::Off => "disabled".to_string(),
        ConsoleLogging::Severity(severity) => format!("level {}", level(severity)),
    };
    let mut out = format!("Syslog logging: enabled ({} messages dropped)\n\n", state.lost);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "    Console logging: {console}, {} messages logged, {} failed",
        state.console_count, state.console_failed
    );
    let _ = writeln!(out, "    Buffer logging:  level debugging, {} messages logged", state.buffered_count);
    let trap = level(state.logging.trap.unwrap_or(Logging::TRAP_DEFAULT));
    let sent: u64 = state.host_counts.iter().map(|(_, sent, _)| sent).sum();
    let _ = writeln!(out, "    Trap logging: level {trap}, {sent} message lines logged");
    for (host, sent, failed) in &state.host_counts {
        let _ = writeln!(
            out,
            "        Logging to {host}  (udp port {SYSLOG_PORT}), {sent} message lines logged, {failed} failed"
        );
    }
    let _ = writeln!(out, "\nLog Buffer ({} of {BUFFER_LINES} lines):\n", state.lines.len());
    for line in &state.lines {
        let _ = writeln!(out, "{line}");
    }
    out
}
