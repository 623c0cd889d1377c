//! `ip nat settings`: modes and choices that hold for all rules.

use super::super::args::Args;
use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::{Form, Row};
use super::super::model::{
    BlockAllocation, Deterministic, Filtering, HoldDown, NatMode, Pairing, PortChoice, PortParity, PortRange,
    UnsolicitedSyn, Watermark,
};
use super::edit::{protocol, remove, statement};
use super::row::{Family, Section, Stage};
use super::system::pass_over;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[(Section::NatSettings, |config| config.nat.settings.lines())],
    lint: |lint| lint.check_settings(),
    compile: &[(Stage::Settings, |compiler| compiler.behaviour())],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat settings mode / { default | cgn }", "Keep sessions for each peer, or mappings that know no peer", mode),
    statement("ip nat settings support mapping outside", "Let rules for the outside translate", mapping_outside),
    statement("ip nat settings pap [ pool | limit <limit:30,60,120,250,500,1000> | soft ]* \
               [ bpa [ set-size <set-size:64,128,256,512,1024> | step-size <step-size:1,2,4,8,16> | single-set ]* ]",
              "Keep an inside address on one global address, with ports in sets", pairing),
    statement("ip nat settings gatekeeper-size / <size:512-1048576>",
              "Remember so many addresses that need no translation", gatekeeper_size),
    statement("ip nat settings nonpatdrop", "Drop protocols without ports where ports are shared", non_pat_drop),
    statement("ip nat settings pool watermark / high <high:1-100> [ low <low:1-100> ]",
              "Raise an alarm when a pool is so many percent full", watermark),
    statement("ip nat settings interface-overload port range / start <start:1024-65535> end <end:1024-65535>",
              "Limit the ports that rules use on an interface's own address", interface_ports),
    statement("ip nat settings interface-overload block port { tcp | udp } <port:1024-65535>",
              "Never use a port on an interface's own address", interface_blocked_port),
    statement("ip nat settings log-destination", "Name the peer in the records of CGN mode", log_destination),
    statement("ip nat settings filtering / { endpoint-independent | address-dependent | address-and-port-dependent }",
              "Choose which packets from outside reach a mapping", filtering),
    statement("ip nat settings port parity / { preserve | ignore }", "Keep even ports even and odd ports odd", port_parity),
    statement("ip nat settings port choice / { preserve | random }", "Keep the original port where it is free", port_choice),
    statement("ip nat settings hold-down / <seconds:0-3600> [ max <max:1-4294967295> ]",
              "Leave ports unused for so many seconds", hold_down),
    statement("ip nat settings deterministic pool <pool:word> / list (acl) ports-per-host <ports-per-host:1-65535> \
               [ dynamic-ports <dynamic-ports:0-65535> | max-ports <max-ports:1-65535> | reserved <reserved:ports> ]*",
              "Compute the address and ports of each host", deterministic),
    statement("ip nat settings icmp admin-prohibited", "Answer refused packets with administratively prohibited",
              icmp_admin_prohibited),
    statement("ip nat settings tcp unsolicited-syn / { hold | silent }",
              "Answer a SYN that no mapping lets in after six seconds, or never", unsolicited_syn),
    statement("ip nat settings { nonpatlog-disable | high-performance | reserve-ports | preserve-sdwan-ports | central-policy \
               | fbd | scale bind | cfg-check static-map-removal | trans-err-limit per-ip-pool <limit:1-10080> }",
              "Accepted, without effect", pass_over),
    statement("ip nat create flow-entries", "Accepted, without effect", pass_over),
    statement("ip nat switchover replication http [ port <port:1-65535> ]", "Accepted, without effect", pass_over),
];

fn mode(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let settings = &mut builder.config.nat.settings;
    let cgn = statement.sets() && statement.args.has("cgn");
    settings.mode = if cgn { NatMode::Cgn } else { NatMode::Default };
    settings.mode_place = statement.place;
    Ok(())
}

fn mapping_outside(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.inside_only = statement.form == Form::No;
    Ok(())
}

fn pairing(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    if args.has("pool") && args.has("bpa") {
        return Err(statement.fault("bpa", "sets of ports are for all pools; leave out \"pool\""));
    }
    builder.config.nat.settings.pairing = statement.sets().then(|| Pairing {
        place: statement.place,
        marked_only: args.has("pool"),
        limit: args.optional("limit").unwrap_or(Pairing::LIMIT_DEFAULT),
        soft: args.has("soft"),
        blocks: args.has("bpa").then(|| blocks(args)),
    });
    Ok(())
}

fn blocks(args: &Args) -> BlockAllocation {
    let default = BlockAllocation::default();
    BlockAllocation {
        set_size: args.optional("set-size").unwrap_or(default.set_size),
        step_size: args.optional("step-size").unwrap_or(default.step_size),
        single_set: args.has("single-set"),
    }
}

fn gatekeeper_size(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let size = statement.args.optional("size").filter(|_| statement.sets());
    builder.config.nat.settings.gatekeeper_size = size;
    Ok(())
}

fn non_pat_drop(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.non_pat_drop = statement.sets();
    Ok(())
}

fn watermark(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let low_percent = args.optional("low");
    let new = args.optional("high").filter(|_| statement.sets());
    let new = new.map(|high_percent| Watermark { high_percent, low_percent });
    if new.is_some_and(|new| new.low_percent.is_some_and(|low| low >= new.high_percent)) {
        return Err(statement.fault("low", "the alarm ends below where it is raised"));
    }
    builder.config.nat.settings.watermark = new;
    Ok(())
}

fn interface_ports(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let new = args.optional("start").filter(|_| statement.sets());
    let new = new.map(|start| PortRange { start, end: args.required("end") });
    if let Some(PortRange { start, end }) = new.filter(|range| range.start > range.end) {
        return Err(statement.fault("start", format!("the range starts at {start}, after its end {end}")));
    }
    builder.config.nat.settings.interface_ports = new;
    Ok(())
}

fn interface_blocked_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let port = (protocol(&statement.args), statement.args.required("port"));
    let ports = &mut builder.config.nat.settings.interface_blocked_ports;
    if !statement.sets() {
        let removed = remove(ports, |known| *known == port);
        builder.expect_removed(removed, statement);
    } else if !ports.contains(&port) {
        ports.push(port);
    }
    Ok(())
}

fn log_destination(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.log_destination = statement.sets();
    Ok(())
}

fn filtering(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let new = match () {
        () if args.has("endpoint-independent") => Filtering::EndpointIndependent,
        () if args.has("address-dependent") => Filtering::AddressDependent,
        () => Filtering::AddressAndPortDependent,
    };
    builder.config.nat.settings.filtering = statement.sets().then_some(new);
    Ok(())
}

fn port_parity(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let keeps = statement.args.has("preserve");
    let new = if keeps { PortParity::Preserve } else { PortParity::Ignore };
    builder.config.nat.settings.port_parity = statement.sets().then_some(new);
    Ok(())
}

fn port_choice(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let keeps = statement.args.has("preserve");
    let new = if keeps { PortChoice::Preserve } else { PortChoice::Random };
    builder.config.nat.settings.port_choice = statement.sets().then_some(new);
    Ok(())
}

fn hold_down(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let seconds = args.optional("seconds").filter(|_| statement.sets());
    builder.config.nat.settings.hold_down =
        seconds.map(|seconds| HoldDown { seconds, max: args.optional("max") });
    Ok(())
}

fn deterministic(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let pool: String = args.required("pool");
    let known = &mut builder.config.nat.settings.deterministic;
    if !statement.sets() {
        let removed = remove(known, |known| known.pool == pool);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let new = Deterministic {
        place: statement.place,
        pool,
        access_list: args.required("acl"),
        ports_per_host: args.required("ports-per-host"),
        dynamic_ports: args.optional("dynamic-ports").unwrap_or(0),
        max_ports: args.optional("max-ports"),
        reserved: args.optional("reserved").unwrap_or(Deterministic::RESERVED_DEFAULT.to_vec()),
    };
    if new.hosts_per_address() == 0 {
        return Err(statement.fault("ports-per-host", "an address has not so many ports"));
    }
    if new.max_ports.is_some_and(|max| max < new.ports_per_host) {
        return Err(statement.fault("max-ports", "a host has more ports than this of its own"));
    }
    match known.iter_mut().find(|known| known.pool == new.pool) {
        Some(known) => *known = new,
        None => known.push(new),
    }
    Ok(())
}

fn icmp_admin_prohibited(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.icmp_admin_prohibited = statement.sets();
    Ok(())
}

fn unsolicited_syn(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let silent = statement.args.has("silent");
    let answer = if silent { UnsolicitedSyn::Silent } else { UnsolicitedSyn::Hold };
    builder.config.nat.settings.unsolicited_syn = statement.sets().then_some(answer);
    Ok(())
}
