//! `show logging`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{ConsoleLogging, Logging};
use crate::config::names::{SEVERITIES, name_of};
use crate::log::{BUFFER_LINES, SYSLOG_PORT, State, TEXT_MAX};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show logging", "Where log messages go, and the last ones", logging),
];

fn logging(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let log = appliance.operation.log.as_ref().ok_or("% There is no log in a replay")?;
    Ok(describe(&log.state()))
}

fn level(severity: u8) -> String {
    name_of(SEVERITIES, u32::from(severity)).map_or_else(|| severity.to_string(), str::to_string)
}

/// As IOS XE has it. There is no XML, no filter, no rate limit and no file here.
fn describe(state: &State) -> String {
    let mut out = format!(
        "Syslog logging: enabled ({} messages dropped, 0 messages rate-limited, 0 flushes, 0 overruns, xml disabled, \
         filtering disabled)\n\nNo Active Message Discriminator.\n\n\nNo Inactive Message Discriminator.\n\n\n",
        state.lost
    );
    // Writing to a string cannot fail.
    let _ = match state.logging.console.unwrap_or(Logging::CONSOLE_DEFAULT) {
        ConsoleLogging::Off => writeln!(out, "    Console logging: disabled"),
        ConsoleLogging::Severity(severity) => {
            let (level, count) = (level(severity), state.console_count);
            writeln!(out, "    Console logging: level {level}, {count} messages logged, xml disabled,")
        }
    };
    let _ = writeln!(out, "                     filtering disabled");
    if state.console_failed > 0 {
        let _ = writeln!(out, "                     {} messages failed", state.console_failed);
    }
    let _ = writeln!(out, "    Monitor logging: disabled");
    let count = state.buffered_count;
    let _ = writeln!(out, "    Buffer logging:  level debugging, {count} messages logged, xml disabled,");
    let _ = writeln!(out, "                    filtering disabled");
    let _ = writeln!(
        out,
        "    Exception Logging: Disabled\n    Count and timestamp logging messages: disabled\n    \
         File logging: disabled\n    Persistent logging: disabled\n\nNo active filter modules.\n"
    );
    let trap = level(state.logging.trap.unwrap_or(Logging::TRAP_DEFAULT));
    let sent: u64 = state.host_counts.iter().map(|(_, sent, _)| sent).sum();
    let _ = writeln!(out, "    Trap logging: level {trap}, {sent} message lines logged");
    for (host, sent, failed) in &state.host_counts {
        let link = if *sent == 0 && *failed > 0 { "down" } else { "up" };
        let _ = writeln!(
            out,
            "        Logging to {host}  (udp port {SYSLOG_PORT}, audit disabled,\n              link {link}),\n              \
             {sent} message lines logged,\n              0 message lines rate-limited,\n              \
             {failed} message lines dropped-by-MD,\n              xml disabled, sequence number disabled\n              \
             filtering disabled"
        );
    }
    // So many bytes at most, in so many lines.
    let _ = writeln!(out, "\nLog Buffer ({} bytes):\n", BUFFER_LINES * TEXT_MAX);
    for line in &state.lines {
        let _ = writeln!(out, "{line}");
    }
    out
}
