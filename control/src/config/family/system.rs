//! The host: its name, logs and metrics, and lines of other systems that are passed over.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::{Form, Row};
use super::super::model::{ConsoleLogging, Exporter, Logging};
use super::edit::{command, remove, statement};
use super::row::{Family, Section};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[
        (Section::Host, |config| config.hostname.iter().map(|name| format!("hostname {name}")).collect()),
        (Section::Logging, |config| config.host_lines()),
    ],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("hostname / <name:word>", "Name this host", hostname),
    statement("logging host <address>", "Send log messages to a syslog server", logging_host),
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

pub(super) fn pass_over(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.warn(statement.place.column as usize, "this line has no effect here");
    Ok(())
}
