//! `ip nat service` and `alg`: switches of the ALGs and of what else looks into packets.

use alg::registry::ROWS;
use dataplane::policy::DOORS_PER_HOST_DEFAULT;

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::{Form, Row};
use super::super::model::{AlgDefaults, SERVICES, Service, ServiceKey, ServiceSwitch, ThirdParties};
use super::edit::{protocol, remove, statement};
use super::row::{Family, Section, Stage};
use super::system::pass_over;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    finish: |config| config.nat.forget_default_services(),
    render: &[(Section::NatServices, |config| config.nat.service_lines())],
    lint: |lint| {
        lint.check_service_references();
        lint.check_services();
    },
    compile: &[(Stage::Settings, |compiler| compiler.gateways())],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat service all-algs", "Switch every ALG", all_algs),
    statement("ip nat service { ftp | H225 | ras | ldap | netbios-dgm | netbios-ssn | pptp | rcmd | tftp }",
              "Switch an ALG", service),
    statement("ip nat service { dns | sunrpc | netbios-ns | rtsp } [ tcp | udp ]", "Switch an ALG over one transport, or both", service),
    statement("ip nat service alg { tcp | udp } dns", "Switch the ALG of DNS over one transport", service),
    statement("ip nat service msrpc [ tcp ]", "Switch the ALG of Microsoft's RPC", service),
    statement("ip nat service sip { tcp | udp } port <port:1-65535>", "Switch the ALG of SIP on a port", service),
    statement("ip nat service skinny tcp port <port:1-65535>", "Switch the ALG of SCCP on a port", service),
    statement("ip nat service <service> { tcp | udp } port <port:1-65535>", "Switch an ALG on a port", service_port),
    statement("ip nat service list (acl) <service> { tcp | udp } port <port:1-65535>",
              "Switch an ALG on a port of the servers that a list permits, and off on all other ports of theirs", service_port),
    statement("ip nat service list (acl) ESP { spi-match | spimatch }",
              "Expect the security parameter indexes that ESP of these hosts will have", service),
    statement("ip nat service list (acl) IKE preserve-port", "Keep port 500 of these hosts", service),
    statement("ip nat service fullrange { tcp | udp } port <port:1-511>",
              "Let a low local port have any global port above 1023", service),
    statement("ip nat service { gatekeeper | dns-reset-ttl | multi-wan-link | allow-h323-even-rtp-ports | allow-h323-keepalive \
               | allow-sip-even-rtp-ports | allow-skinny-even-rtp-ports | allow-multipart | append-ldap-search-res \
               | enable-mib | enable-sym-port | mgcp | nbar | port-randomization }", "Switch an option of the ALGs", service),
    statement("ip nat service ipsec-esp enable", "Translate ESP without ports", service),
    statement("ip nat service modify-in-progress drop", "Drop packets while rules change", service),
    statement("ip nat service dns-v6 [ list (acl) ]", "Accepted, without effect: IPv6 is not translated", pass_over),
    statement("alg defaults / { cisco | ietf }", "Choose which ALGs are on: all, or only that of FTP", alg_defaults),
    statement("alg third-party / (acl)", "Let inside hosts announce the endpoints of these inside hosts", third_parties),
    statement("alg doors per-host / <doors:1-65535>", "Let one inside host have so many doors open at once, in place of 128",
              doors_per_host),
];

fn service(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let row =
        SERVICES.iter().find(|row| args.has(row.keyword)).expect("every line has a keyword of the table");
    let (port, access_list) = (args.optional("port"), args.optional("acl"));
    if !row.service.has_effect() {
        builder.warn(args.column(row.keyword), format!("{:?} has no effect yet", row.keyword));
    }
    let named = (args.has("tcp") || args.has("udp")).then(|| protocol(args));
    // A line that names no transport is for all of the service's.
    let protocols = match named {
        None if !row.protocols.is_empty() => row.protocols.iter().copied().map(Some).collect(),
        _ => vec![named],
    };
    for protocol in protocols {
        let key = ServiceKey { service: row.service, protocol, port, access_list: access_list.clone() };
        apply(builder, statement, key);
    }
    Ok(())
}

/// A port of a gateway that there is.
fn service_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let gateway: u32 = args.required("service");
    let gateway = &ROWS[gateway as usize];
    let protocol = protocol(args);
    let service = Service::of(gateway).expect("a test finds every gateway in the table");
    if service.gateway_over(protocol).is_none() {
        let text = format!("{} does not run over {protocol}", gateway.label);
        return Err(statement.fault(&protocol.to_string(), text));
    }
    let (port, access_list) = (args.optional("port"), args.optional("acl"));
    apply(builder, statement, ServiceKey { service, protocol: Some(protocol), port, access_list });
    Ok(())
}

fn apply(builder: &mut Builder, statement: &Statement, key: ServiceKey) {
    match statement.form {
        Form::Default => drop(remove(&mut builder.config.nat.services, |switch| switch.key == key)),
        form => switch(builder, statement, key, form == Form::Set),
    }
}

/// As IOS has it, the line acts on each ALG, so that later lines may switch single ones.
fn all_algs(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let services = &mut builder.config.nat.services;
    if statement.form == Form::Default {
        remove(services, |switch| switch.key.service.row().is_alg);
        return Ok(());
    }
    let on = statement.sets();
    // What is on besides the defaults, a port or a list, goes off too.
    remove(services, |switch| switch.key.service.row().is_alg && switch.on != on);
    for row in SERVICES.iter().filter(|row| row.is_alg) {
        let protocols = row.protocols.iter().map(|protocol| Some(*protocol));
        let none = row.protocols.is_empty().then_some(None);
        for protocol in protocols.chain(none) {
            let key = ServiceKey { port: row.port, ..ServiceKey::new(row.service, protocol) };
            switch(builder, statement, key, on);
        }
    }
    Ok(())
}

/// Notes a switch, whether or not it differs from what holds without it: that is known when all lines are.
fn switch(builder: &mut Builder, statement: &Statement, key: ServiceKey, on: bool) {
    let switches = &mut builder.config.nat.services;
    let new = ServiceSwitch { place: statement.place, key, on };
    match switches.iter_mut().find(|switch| switch.key == new.key) {
        Some(known) => *known = new,
        None => switches.push(new),
    }
}

fn alg_defaults(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let ietf = statement.sets() && statement.args.has("ietf");
    builder.config.nat.alg_defaults = if ietf { AlgDefaults::Ietf } else { AlgDefaults::Cisco };
    Ok(())
}

fn third_parties(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let list = statement.args.optional("acl").filter(|_| statement.sets());
    builder.config.nat.third_parties =
        list.map(|access_list| ThirdParties { place: statement.place, access_list });
    Ok(())
}

fn doors_per_host(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let max = statement.args.optional("doors").filter(|_| statement.sets());
    builder.config.nat.doors_per_host = max.filter(|max| *max != DOORS_PER_HOST_DEFAULT);
    Ok(())
}
