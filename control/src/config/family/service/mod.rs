//! `ip nat service` and `alg`: which gateways read which sessions, and what they may do.

mod table;

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use alg::Transport;
use alg::registry::ROWS;
use dataplane::policy::{AclIndex, Attachment, DOORS_PER_HOST_DEFAULT, GatewayIndex};

use super::edit::{pass_over_as, protocol, remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::{Form, Row};
use crate::config::lint::findings::Lint;
use crate::config::model::{Place, PortProtocol};
use crate::config::text::{write_if, write_some};

pub use table::*;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    finish: |config| config.nat.algs.forget_default_services(),
    render: &[(Section::NatServices, |config| config.nat.algs.lines())],
    lint: |lint| {
        lint.check_service_references();
        lint.check_services();
    },
    compile: &[(Stage::Settings, |compiler| compiler.gateways())],
};

/// What `ip nat service` and `alg` say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Algs {
    /// `ip nat service ...`, only what differs from the default.
    pub services: Vec<ServiceSwitch>,
    /// `alg defaults ...`
    pub defaults: AlgDefaults,
    /// `alg third-party ACL`
    pub third_parties: Option<ThirdParties>,
    /// `alg doors per-host`, only a value other than the default.
    pub doors_per_host: Option<u32>,
}

/// `alg defaults ...`: which gateways are on unless `ip nat service` says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlgDefaults {
    /// All of them, as in IOS.
    #[default]
    Cisco,
    /// Those that RFC 4787 and RFC 5382 want on.
    Ietf,
}

/// `alg third-party ACL`: inside hosts that other inside hosts may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThirdParties {
    /// Where it stands.
    pub place: Place,
    /// The list's name or number.
    pub access_list: String,
}

/// `ip nat service ...` or `no ip nat service ...`, where it differs from the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSwitch {
    /// Where it stands.
    pub place: Place,
    /// What is switched; no two switches have the same.
    pub key: ServiceKey,
    /// Whether it is on.
    pub on: bool,
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat service all-algs", "Switch every ALG", all_algs),
    statement("ip nat service { ftp | H225 | ras | ldap | netbios-dgm | netbios-ssn | pptp | rcmd | tftp }",
              "Switch an ALG", service),
    statement("ip nat service { dns | sunrpc | netbios-ns | rtsp } [ tcp | udp ]", "Switch an ALG over one transport, or both", service),
    statement("ip nat service alg { tcp | udp } dns", "Switch the ALG of DNS over one transport", service),
    statement("ip nat service msrpc [ tcp ]", "Switch the ALG of Microsoft's RPC", service),
    statement("ip nat service sip (transport-port)", "Switch the ALG of SIP on a port", service),
    statement("ip nat service skinny tcp port <port:nat-tcp-port>", "Switch the ALG of SCCP on a port", service),
    statement("ip nat service <service> (transport-port)", "Switch an ALG on a port", service_port),
    statement("ip nat service list (acl) <service> (transport-port)",
              "Switch an ALG on for one port of the servers that a list permits, and off for their other ports", service_port),
    statement("ip nat service list (acl) ESP { spi-match | spimatch }",
              "Expect the security parameter indexes that ESP of these hosts will have", service),
    statement("ip nat service list (acl) IKE preserve-port", "Keep port 500 of these hosts", service),
    statement("ip nat service fullrange (transport-port)",
              "Let a low local port have any global port above 1023", service),
    statement("ip nat service { gatekeeper | dns-reset-ttl | multi-wan-link | allow-h323-even-rtp-ports | allow-h323-keepalive \
               | allow-sip-even-rtp-ports | allow-skinny-even-rtp-ports | allow-multipart | append-ldap-search-res \
               | enable-mib | enable-sym-port | mgcp | nbar | port-randomization }", "Switch an option of the ALGs", service),
    statement("ip nat service ipsec-esp enable", "Translate ESP without ports", service),
    statement("ip nat service modify-in-progress drop", "Drop packets while rules change", service),
    statement("ip nat service dns-v6 [ list (acl) ]", "Accepted, without effect: IPv6 is not translated",
              |builder, statement| pass_over_as(builder, statement, "IPv6 is not translated")),
    statement("alg sip { blacklist | processor | timer } <text>", "Accepted, without effect",
              |builder, statement| pass_over_as(builder, statement, "calls have shares by host instead")),
    statement("alg defaults / { cisco | ietf }", "Choose which ALGs are on: all, or only that of FTP", alg_defaults),
    statement("alg third-party / (acl)", "Let inside hosts announce the endpoints of these inside hosts", third_parties),
    statement("alg doors per-host / <doors:1-65535>", "Let one inside host have so many doors open at once, in place of 128",
              doors_per_host),
];

/// The highest local port that `fullrange` frees from ports of its kind.
const FULLRANGE_PORT_MAX: u16 = 511;

impl Algs {
    /// Whether a service is on.
    pub fn is_on(&self, key: &ServiceKey) -> bool {
        let switch = self.services.iter().find(|switch| switch.key == *key);
        switch.map_or_else(|| self.default_on(key), |switch| switch.on)
    }

    /// Whether a service is on without a switch of its own.
    pub fn default_on(&self, key: &ServiceKey) -> bool {
        let row = key.service.row();
        if key.access_list.is_some() {
            return false;
        }
        if let Some(general) = key.general() {
            return key.service.listens_to(key.protocol, key.port) && self.is_on(&general);
        }
        let by_preset = self.defaults == AlgDefaults::Cisco || !row.is_alg || key.service.is_ietf();
        row.default_on && by_preset && key.port == row.port
    }

    /// Drops switches that say what holds anyway, now that all lines are known.
    fn forget_default_services(&mut self) {
        let differs = |switch: &&ServiceSwitch| switch.on != self.default_on(&switch.key);
        self.services = self.services.iter().filter(differs).cloned().collect();
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.defaults == AlgDefaults::Ietf {
            lines.push("alg defaults ietf".to_string());
        }
        lines.extend(self.third_parties.iter().map(|list| format!("alg third-party {}", list.access_list)));
        lines.extend(self.doors_per_host.iter().map(|max| format!("alg doors per-host {max}")));
        lines.extend(self.services.iter().map(ServiceSwitch::to_string));
        lines
    }
}

fn service(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let row =
        SERVICES.iter().find(|row| args.has(row.keyword)).expect("every line has a keyword of the table");
    let (port, access_list): (Option<u16>, _) = (args.optional("port"), args.optional("acl"));
    if row.service == Service::Fullrange && port.is_some_and(|port| port > FULLRANGE_PORT_MAX) {
        return Err(statement.fault("port", format!("\"fullrange\" is for ports 1 to {FULLRANGE_PORT_MAX}")));
    }
    if let Some(why) = row.service.without_effect() {
        builder.warn(args.column(row.keyword), format!("{:?} has no effect: {why}", row.keyword));
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
        Form::Default => drop(remove(&mut builder.config.nat.algs.services, |switch| switch.key == key)),
        form => switch(builder, statement, key, form == Form::Set),
    }
}

/// As IOS has it, the line acts on each ALG, so that later lines may switch single ones.
fn all_algs(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let services = &mut builder.config.nat.algs.services;
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
    let switches = &mut builder.config.nat.algs.services;
    let new = ServiceSwitch { place: statement.place, key, on };
    match switches.iter_mut().find(|switch| switch.key == new.key) {
        Some(known) => *known = new,
        None => switches.push(new),
    }
}

fn alg_defaults(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let ietf = statement.sets() && statement.args.has("ietf");
    builder.config.nat.algs.defaults = if ietf { AlgDefaults::Ietf } else { AlgDefaults::Cisco };
    Ok(())
}

fn third_parties(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let list = statement.args.optional("acl").filter(|_| statement.sets());
    builder.config.nat.algs.third_parties =
        list.map(|access_list| ThirdParties { place: statement.place, access_list });
    Ok(())
}

fn doors_per_host(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let max = statement.args.optional("doors").filter(|_| statement.sets());
    builder.config.nat.algs.doors_per_host = max.filter(|max| *max != DOORS_PER_HOST_DEFAULT);
    Ok(())
}

/// The switch's line.
impl Display for ServiceSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_if(f, !self.on, "no ")?;
        f.write_str("ip nat service")?;
        write_some(f, "list", self.key.access_list.as_ref())?;
        let row = self.key.service.row();
        write!(f, " {}", row.keyword)?;
        if let Some(protocol) = self.key.protocol {
            write!(f, " {protocol}")?;
        }
        write_some(f, "port", self.key.port)?;
        f.write_str(row.suffix)
    }
}

impl Lint<'_> {
    fn check_service_references(&mut self) {
        let algs = &self.config.nat.algs;
        for switch in &algs.services {
            if let Some(access_list) = &switch.key.access_list {
                self.check_access_list(switch.place, access_list);
            }
        }
        if let Some(list) = &algs.third_parties {
            self.check_access_list(list.place, &list.access_list);
        }
    }

    fn check_services(&mut self) {
        self.check_ports();
        self.check_third_parties();
        let algs = &self.config.nat.algs;
        let is_on = |protocol| algs.is_on(&ServiceKey::new(Service::Dns, Some(protocol)));
        let has_dns = is_on(PortProtocol::Tcp) || is_on(PortProtocol::Udp);
        let has_port = algs.services.iter().any(|switch| switch.on && switch.key.service == Service::Dns);
        let reset = algs.services.iter().find(|switch| switch.key.service == Service::DnsResetTtl);
        if let Some(reset) = reset.filter(|_| !has_dns && !has_port) {
            self.warn(reset.place, "\"dns-reset-ttl\" needs the ALG of DNS, which is off".to_string());
        }
    }

    /// Of two gateways on one port, the first line's reads.
    fn check_ports(&mut self) {
        let on = || {
            self.config.nat.algs.services.iter().filter(|switch| switch.on && switch.key.service.row().is_alg)
        };
        let is_same = |one: &ServiceKey, other: &ServiceKey| {
            one.port.is_some()
                && (one.port, one.protocol, &one.access_list)
                    == (other.port, other.protocol, &other.access_list)
        };
        let mut repeated = Vec::new();
        for (position, switch) in on().enumerate() {
            if let Some(before) = on().take(position).find(|before| is_same(&before.key, &switch.key)) {
                repeated.push((switch.place, before.key.service.row().keyword));
            }
        }
        for (place, keyword) in repeated {
            self.warn(place, format!("the ALG of {keyword:?} has this port already"));
        }
    }

    /// Who is announced by others must be seen by their worker, which takes the list's prefixes.
    fn check_third_parties(&mut self) {
        let Some(parties) = &self.config.nat.algs.third_parties else { return };
        let list = self.config.access_list(&parties.access_list);
        if list.is_some_and(|list| list.prefixes().is_none()) {
            let text = format!(
                "access list {:?} must only permit prefixes, so that one worker can have all its hosts",
                parties.access_list
            );
            self.warn(parties.place, text);
        }
    }
}

impl Compiler<'_> {
    /// The gateways, after the rules. Attachments are tried in their order: those for listed servers, ports that were
    /// added, the rows' own.
    fn gateways(&mut self) {
        let mut attachments = self.listed();
        attachments.extend(self.unlisted(&attachments));
        attachments.extend(self.switched(|switch| switch.key.access_list.is_none()));
        attachments.extend(self.at_home());
        let reset_ttl = ServiceKey::new(Service::DnsResetTtl, None);
        self.out.policy.gateways.resets_ttl = self.config.nat.algs.is_on(&reset_ttl);
        self.out.policy.gateways.off = self.off(&attachments);
        self.out.policy.gateways.attachments = attachments;
        self.out.policy.gateways.doors_per_host_max =
            self.config.nat.algs.doors_per_host.unwrap_or(DOORS_PER_HOST_DEFAULT);
        self.keep_payloads();
        self.third_parties();
    }

    /// `list ACL`: ports of some servers.
    fn listed(&self) -> Vec<Attachment> {
        self.switched(|switch| switch.key.access_list.is_some())
    }

    /// Whom a gateway's list names has to be listed at the gateway's own ports too, if it is to listen there.
    fn unlisted(&self, listed: &[Attachment]) -> Vec<Attachment> {
        let home = self.at_home();
        let silenced = |of_list: &Attachment| {
            let is_of_gateway = move |at: &&Attachment| at.gateway == of_list.gateway;
            home.iter()
                .filter(is_of_gateway)
                .map(|at| Attachment { gateway: None, servers: of_list.servers, ..*at })
                .collect::<Vec<_>>()
        };
        listed.iter().flat_map(silenced).collect()
    }

    /// What switches for a port say that are on. Lists that are not there are lint's to warn of.
    fn switched(&self, is_wanted: impl Fn(&ServiceSwitch) -> bool) -> Vec<Attachment> {
        let mut attachments = Vec::new();
        for switch in self.config.nat.algs.services.iter().filter(|switch| switch.on && is_wanted(switch)) {
            let ServiceKey { service, protocol, port, access_list } = &switch.key;
            let (Some(protocol), Some(port)) = (*protocol, *port) else { continue };
            let servers = match access_list {
                None => None,
                Some(name) => match self.acl_index(name) {
                    Some(acl) => Some(acl),
                    None => continue,
                },
            };
            let gateway = service.gateway_over(protocol);
            attachments.extend(gateway.map(|gateway| attachment(gateway, protocol.into(), port, servers)));
        }
        attachments
    }

    /// The rows' own ports that are on.
    fn at_home(&self) -> Vec<Attachment> {
        let mut attachments = Vec::new();
        for (gateway, row) in ROWS.iter().enumerate() {
            for at in row.ports() {
                let key = ServiceKey::of_port(row, at);
                let (protocol, port) = (Some(at.transport.into()), Some(at.port));
                let key = key.map(|key| ServiceKey { protocol, port, ..key });
                if key.is_some_and(|key| self.config.nat.algs.is_on(&key)) {
                    attachments.push(attachment(gateway, at.transport, at.port, None));
                }
            }
        }
        attachments
    }

    /// The gateways whose keyword is off: none of those that share it listens, and it is not on for those alone that doors
    /// lead to.
    fn off(&self, attachments: &[Attachment]) -> Vec<GatewayIndex> {
        let listens = |of: Service| {
            let mut listening = attachments.iter().filter_map(|at| at.gateway);
            listening.any(|gateway| Service::of(&ROWS[usize::from(gateway)]) == Some(of))
        };
        let is_on = |of: Service| {
            let protocols = of.row().protocols.iter().copied().map(Some);
            let by_door = of.gateways().all(|(_, row)| row.ports().is_empty());
            let mut keys = protocols.chain([None]).map(|protocol| ServiceKey::new(of, protocol));
            by_door && keys.any(|key| self.config.nat.algs.is_on(&key))
        };
        let is_off = |row: &alg::Row| Service::of(row).is_none_or(|of| !listens(of) && !is_on(of));
        let rows = ROWS.iter().enumerate().filter(|(_, row)| is_off(row));
        rows.map(|(gateway, _)| gateway as GatewayIndex).collect()
    }

    /// Rules with `no-payload`.
    fn keep_payloads(&mut self) {
        let nat = &self.config.nat;
        let dynamic = nat.dynamic_rules.iter().filter(|rule| rule.no_payload).map(ToString::to_string);
        let fixed = nat.static_rules.iter().filter(|rule| rule.no_payload).map(ToString::to_string);
        let outside = nat.outside_dynamic_rules.iter().filter(|rule| rule.no_payload);
        let outside = outside.map(ToString::to_string);
        let outside_fixed = nat.outside_static_rules.iter().filter(|rule| rule.no_payload);
        let lines = dynamic.chain(fixed).chain(outside).chain(outside_fixed.map(ToString::to_string));
        let ids = lines.filter_map(|line| self.out.rule_lines.get(&line).copied()).collect();
        self.out.policy.gateways.payload_kept = ids;
    }

    /// Third parties are seen together with those that announce them.
    fn third_parties(&mut self) {
        let Some(list) = &self.config.nat.algs.third_parties else { return };
        self.out.policy.gateways.third_parties = self.acl_index(&list.access_list);
        let prefixes = self.config.access_list(&list.access_list).and_then(|list| list.prefixes());
        let ranges = prefixes.iter().flatten().map(|net| (net.network(), net.broadcast()));
        self.pin(&ranges.collect::<Vec<(Ipv4Addr, Ipv4Addr)>>());
    }
}

fn attachment(gateway: usize, transport: Transport, port: u16, servers: Option<AclIndex>) -> Attachment {
    Attachment { gateway: Some(gateway as GatewayIndex), transport, port, servers }
}
