//! The host: its name, logs and metrics, and lines of other systems that are passed over.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::super::builder::{Apply, Builder, Fault, Statement};
use super::super::grammar::Row;
use super::super::model::Logging;
use super::{command, remove, statement};

#[rustfmt::skip]
pub(super) const GLOBAL: &[Row<Apply>] = &[
    statement("hostname / <name:word>", "Name this host", hostname),
    statement("logging host <address>", "Send log messages to a syslog server", logging_host),
    statement("logging trap / <severity>", "Send log messages as severe as this", logging_trap),
    statement("logging { buffered | console } <text>", "Accepted, without effect", pass_over),
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

fn prometheus_exporter(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    builder.config.prometheus_exporter =
        statement.sets().then(|| SocketAddrV4::new(args.required("address"), args.required("port")));
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
