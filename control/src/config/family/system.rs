//! The host: its name, logs and metrics, and lines of other systems that are passed over.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::edit::{command, pass_over, remove, statement, warn_ignored};
use super::row::{Family, Section};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::{Form, Row};
use crate::config::model::{Config, Place};
use crate::config::names;
use crate::config::text::named;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[
        (Section::Host, |config| config.hostname.iter().map(|name| format!("hostname {name}")).collect()),
        (Section::Logging, |config| config.host_lines()),
    ],
    ..Family::NONE
};

/// `prometheus exporter ADDRESS PORT`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// Where it stands.
    pub place: Place,
    /// Where metrics are served.
    pub socket: SocketAddrV4,
}

/// `logging ...`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `logging host A`
    pub hosts: Vec<Ipv4Addr>,
    /// `logging trap SEVERITY`: the least severe messages sent to the hosts, as a syslog number from 0 to 7.
    pub trap: Option<u8>,
    /// `logging console [SEVERITY]` or `no logging console`
    pub console: Option<ConsoleLogging>,
}

/// Which messages go to the standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleLogging {
    /// None.
    Off,
    /// Those as severe as this, a syslog number from 0 to 7.
    Severity(u8),
}

impl Logging {
    /// The severity that `logging trap` has without being configured: informational.
    pub const TRAP_DEFAULT: u8 = 6;
    /// What `logging console` has without being configured: informational.
    pub const CONSOLE_DEFAULT: ConsoleLogging = ConsoleLogging::Severity(6);
    /// What `logging console` has without a severity: debugging.
    pub const CONSOLE_ALL: ConsoleLogging = ConsoleLogging::Severity(7);
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("hostname / <name:word>", "Name this host", hostname),
    statement("logging host <address> [ vrf <vrf:word> ]", "Send log messages to a syslog server", logging_host),
    statement("logging trap / <severity>", "Send log messages as severe as this", logging_trap),
    statement("logging console / [ <severity> ]", "Write log messages as severe as this to the standard error",
              logging_console),
    statement("logging buffered <text>", "Accepted, without effect", pass_over),
    statement("prometheus exporter / <address> <port:1-65535>", "Serve metrics on this address", prometheus_exporter),
    command("exit", "Leave the mode", leave),
    command("end", "Leave every mode", leave),
    command("do <command:text>", "Accepted, without effect", pass_over),
    statement("version <text>", "Accepted, without effect", pass_over),
    statement("service <text>", "Accepted, without effect", pass_over),
];

fn hostname(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.hostname = statement.sets().then(|| statement.args.required("name"));
    Ok(())
}

fn logging_host(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let host: Ipv4Addr = statement.args.required("address");
    let hosts = &mut builder.config.logging.hosts;
    if !statement.sets() {
        let removed = remove(hosts, |known| *known == host);
        builder.expect_removed(removed, statement);
    } else if !hosts.contains(&host) {
        hosts.push(host);
    }
    warn_ignored(builder, statement, &[("vrf", "the system's own routes lead to syslog servers")]);
    Ok(())
}

fn logging_trap(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let severity: Option<u8> = statement.args.optional("severity");
    builder.config.logging.trap =
        severity.filter(|severity| statement.sets() && *severity != Logging::TRAP_DEFAULT);
    Ok(())
}

fn logging_console(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let severity = statement.args.optional("severity").map(ConsoleLogging::Severity);
    let console = match statement.form {
        Form::Set => severity.unwrap_or(Logging::CONSOLE_ALL),
        Form::No => ConsoleLogging::Off,
        Form::Default => Logging::CONSOLE_DEFAULT,
    };
    builder.config.logging.console = Some(console).filter(|console| *console != Logging::CONSOLE_DEFAULT);
    Ok(())
}

fn prometheus_exporter(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    builder.config.prometheus_exporter = statement.sets().then(|| Exporter {
        place: statement.place,
        socket: SocketAddrV4::new(args.required("address"), args.required("port")),
    });
    Ok(())
}

/// Lines that belong to the global mode leave any other as they are read, so nothing remains to be done.
fn leave(_: &mut Builder, _: &Statement) -> Result<(), Fault> {
    Ok(())
}

impl Config {
    fn host_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.logging.hosts.iter().map(|host| format!("logging host {host}")).collect();
        lines
            .extend(self.logging.trap.map(|trap| format!("logging trap {}", named(names::SEVERITIES, trap))));
        lines.extend(self.logging.console.map(|console| match console {
            ConsoleLogging::Off => "no logging console".to_string(),
            ConsoleLogging::Severity(severity) => {
                format!("logging console {}", named(names::SEVERITIES, severity))
            }
        }));
        lines.extend(
            self.prometheus_exporter.map(|Exporter { socket, .. }| {
                format!("prometheus exporter {} {}", socket.ip(), socket.port())
            }),
        );
        lines
    }
}
