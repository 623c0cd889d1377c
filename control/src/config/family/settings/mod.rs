//! `ip nat settings`: modes and choices that hold for all rules.

mod deterministic;
mod pairing;

use std::fmt::{self, Display};

use dataplane::policy;

use super::edit::{Ignored, pass_over_as, protocol, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::{Form, Row};
use crate::config::lint::findings::Lint;
use crate::config::model::{Overload, Place, PortProtocol, PortRange};
use crate::config::text::write_some;
use deterministic::deterministic;
use pairing::pairing;

pub use deterministic::Deterministic;
pub use pairing::{BlockAllocation, Pairing};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[(Section::NatSettings, |config| config.nat.settings.lines())],
    lint: |lint| lint.check_settings(),
    compile: &[(Stage::Settings, |compiler| compiler.behaviour())],
    ..Family::NONE
};

/// `ip nat settings ...`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `mode {default | cgn}`
    pub mode: NatMode,
    /// Where the mode is set.
    pub mode_place: Place,
    /// `no support mapping outside`: rules for the outside translate nothing.
    pub inside_only: bool,
    /// `pap ...`
    pub pairing: Option<Pairing>,
    /// `gatekeeper-size N`: addresses that are remembered as needing no translation.
    pub gatekeeper_size: Option<u32>,
    /// `nonpatdrop`: packets of protocols without ports are dropped where ports are shared.
    pub non_pat_drop: bool,
    /// `inside-local drop`: packets from outside to inside hosts' own addresses are dropped.
    pub inside_local_drop: bool,
    /// `interface-overload port range start S end E`: the ports that rules use on an interface's own address.
    pub interface_ports: Option<PortRange>,
    /// `interface-overload block port ...`: ports that rules never use there.
    pub interface_blocked_ports: Vec<(PortProtocol, u16)>,
    /// `pool watermark ...`
    pub watermark: Option<Watermark>,
    /// `log-destination`: records of CGN mode name the peer.
    pub log_destination: bool,
    /// `record-sessions`: there is a record of every session, besides those of bindings and port sets.
    pub record_sessions: bool,
    /// `filtering ...`, of the default mode.
    pub filtering: Option<Filtering>,
    /// `port parity ...`
    pub port_parity: Option<PortParity>,
    /// `port choice ...`
    pub port_choice: Option<PortChoice>,
    /// `hold-down ...`
    pub hold_down: Option<HoldDown>,
    /// `deterministic ...`, one for a pool at most.
    pub deterministic: Vec<Deterministic>,
    /// `icmp admin-prohibited`: refused packets are answered with that code rather than host unreachable.
    pub icmp_admin_prohibited: bool,
    /// `tcp unsolicited-syn ...`
    pub unsolicited_syn: Option<UnsolicitedSyn>,
}

impl Settings {
    /// Whether rules for the outside translate.
    pub fn maps_outside(&self) -> bool {
        self.mode == NatMode::Default && !self.inside_only
    }

    /// The filtering in force.
    pub fn filtering_in_force(&self) -> Filtering {
        match self.mode {
            NatMode::Default => self.filtering.unwrap_or(Filtering::AddressAndPortDependent),
            NatMode::Cgn => Filtering::EndpointIndependent,
        }
    }

    /// What becomes of unsolicited SYNs: dropped in the default mode, as IOS does, and held in CGN mode, unless
    /// configured.
    pub fn unsolicited_syn_in_force(&self) -> UnsolicitedSyn {
        self.unsolicited_syn.unwrap_or(match self.mode {
            NatMode::Default => UnsolicitedSyn::Silent,
            NatMode::Cgn => UnsolicitedSyn::Hold,
        })
    }

    /// The parity in force: kept in the default mode, ignored in CGN mode, unless configured.
    pub fn port_parity_in_force(&self) -> PortParity {
        self.port_parity.unwrap_or(match self.mode {
            NatMode::Default => PortParity::Preserve,
            NatMode::Cgn => PortParity::Ignore,
        })
    }

    /// The choice in force: the original port in the default mode, a random one in CGN mode, unless configured.
    pub fn port_choice_in_force(&self) -> PortChoice {
        self.port_choice.unwrap_or(match self.mode {
            NatMode::Default => PortChoice::Preserve,
            NatMode::Cgn => PortChoice::Random,
        })
    }
}

/// `ip nat settings mode ...`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatMode {
    /// A session for each peer.
    #[default]
    Default,
    /// Mappings that know no peer.
    Cgn,
}

/// `ip nat settings pool watermark high P [low P]`: how full a pool is when an alarm is raised, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The alarm is raised at so many percent, 1 to 100.
    pub high_percent: u8,
    /// It ends below so many, less than `high_percent`; `None` is the same as high.
    pub low_percent: Option<u8>,
}

/// `ip nat settings filtering ...`: which packets from outside reach a mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Those of every peer.
    EndpointIndependent,
    /// Those of addresses that the inside has sent to.
    AddressDependent,
    /// Those of endpoints that the inside has sent to.
    AddressAndPortDependent,
}

/// `ip nat settings port parity ...`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortParity {
    /// An even port gets an even one, an odd port an odd one.
    Preserve,
    /// Any port will do.
    Ignore,
}

/// `ip nat settings port choice ...`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// The original port where it is free.
    Preserve,
    /// A random port.
    Random,
}

/// `ip nat settings hold-down SECONDS [max N]`: how long a port that was given back stays unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldDown {
    /// So many seconds; 0 is not at all.
    pub seconds: u32,
    /// At most so many ports at a time; beyond it the oldest are used again.
    pub max: Option<u32>,
}

/// `ip nat settings tcp unsolicited-syn ...`: what becomes of a SYN from outside that has no mapping, or that the filtering
/// refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsolicitedSyn {
    /// It is held for six seconds. If no SYN from inside comes, it is answered with port unreachable (RFC 5382 REQ-4).
    Hold,
    /// It is dropped.
    Silent,
}

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
    statement("ip nat settings inside-local drop", "Drop packets from outside to inside hosts' own addresses", inside_local_drop),
    statement("ip nat settings pool watermark / high <high:1-100> [ low <low:1-100> ]",
              "Raise an alarm when a pool is so many percent full", watermark),
    statement("ip nat settings interface-overload port range / start <start:1024-65535> end <end:1024-65535>",
              "Limit the ports that rules use on an interface's own address", interface_ports),
    statement("ip nat settings interface-overload block port { tcp <port:nat-tcp-port> | udp <port:nat-udp-port> }",
              "Never use a port on an interface's own address", interface_blocked_port),
    statement("ip nat settings log-destination", "Name the peer in the records of CGN mode", log_destination),
    statement("ip nat settings record-sessions", "Record every session, besides bindings and sets of ports", record_sessions),
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
              "Answer an unsolicited SYN after six seconds, or not at all", unsolicited_syn),
    statement("ip nat settings { nonpatlog-disable | high-performance | reserve-ports | preserve-sdwan-ports | central-policy \
               | fbd | scale bind | cfg-check static-map-removal | trans-err-limit per-ip-pool <limit:1-10080> }",
              "Accepted, without effect", ignored),
    statement("ip nat create flow-entries", "Accepted, without effect",
              |builder, statement| pass_over_as(builder, statement, "every session has an entry")),
    statement("ip nat switchover replication http [ port <port:nat-tcp-port> ]", "Accepted, without effect",
              |builder, statement| pass_over_as(builder, statement, "there is no second router")),
    statement("ip nat dia track-enable <object:1-1000>", "Accepted, without effect",
              |builder, statement| pass_over_as(builder, statement, "there is no SD-WAN")),
    statement("ip nat log translations syslog [ bind-only ]", "Accepted, without effect", unlogged),
    statement("ip nat log translations flow-export v9 { global-on | udp { destination <collector:address> \
               | ipv6-destination <collector:word> } <port:1-65535> [ vrf <vrf:word> | source <interface> | bind-only ]* }",
              "Accepted, without effect", unlogged),
];

/// Settings that are accepted without effect.
const IGNORED: &[Ignored] = &[
    ("nonpatlog-disable", "protocols without ports are not logged"),
    ("high-performance", "forwarding has no other mode"),
    ("reserve-ports", "no port of an interface is the router's own"),
    ("preserve-sdwan-ports", "there is no SD-WAN"),
    ("central-policy", "there is no SD-WAN"),
    ("fbd", "it is for hardware that is not here"),
    ("scale", "tables are as large as \"max-sessions\" says"),
    ("cfg-check", "what a static line began always ends with it"),
    ("trans-err-limit", "what cannot be translated is counted and not logged"),
    ("gatekeeper-size", "there is no such cache"),
    ("watermark", "no alarm is raised yet"),
    ("log-destination", "records of translations are not sent yet"),
];

fn ignored(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    warn_ignored(builder, statement, IGNORED);
    Ok(())
}

fn unlogged(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    pass_over_as(builder, statement, "records of translations are not sent yet")
}

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

fn gatekeeper_size(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    warn_ignored(builder, statement, IGNORED);
    let size = statement.args.optional("size").filter(|_| statement.sets());
    builder.config.nat.settings.gatekeeper_size = size;
    Ok(())
}

fn non_pat_drop(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.non_pat_drop = statement.sets();
    Ok(())
}

fn inside_local_drop(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.inside_local_drop = statement.sets();
    Ok(())
}

fn watermark(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let low_percent = args.optional("low");
    let new = args.optional("high").filter(|_| statement.sets());
    let new = new.map(|high_percent| Watermark { high_percent, low_percent });
    if new.is_some_and(|new| new.low_percent.is_some_and(|low| low >= new.high_percent)) {
        return Err(statement.fault("low", "\"low\" must be below \"high\""));
    }
    warn_ignored(builder, statement, IGNORED);
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

/// The lowest port that can be kept from an interface's address.
const BLOCKED_PORT_MIN: u16 = 1024;

fn interface_blocked_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let number: u16 = statement.args.required("port");
    if number < BLOCKED_PORT_MIN {
        return Err(statement.fault("port", format!("only ports from {BLOCKED_PORT_MIN} on can be blocked")));
    }
    let port = (protocol(&statement.args), number);
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
    warn_ignored(builder, statement, IGNORED);
    builder.config.nat.settings.log_destination = statement.sets();
    Ok(())
}

fn record_sessions(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.nat.settings.record_sessions = statement.sets();
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

impl Settings {
    /// The lines of what differs from the defaults.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.mode == NatMode::Cgn {
            lines.push("ip nat settings mode cgn".to_string());
        }
        if self.inside_only {
            lines.push("no ip nat settings support mapping outside".to_string());
        }
        let values = [
            self.pairing.map(|pairing| pairing.to_string()),
            self.gatekeeper_size.map(|size| format!("gatekeeper-size {size}")),
            self.non_pat_drop.then(|| "nonpatdrop".to_string()),
            self.inside_local_drop.then(|| "inside-local drop".to_string()),
            self.interface_ports.map(|range| {
                format!("interface-overload port range start {} end {}", range.start, range.end)
            }),
            self.watermark.map(|watermark| watermark.to_string()),
            self.log_destination.then(|| "log-destination".to_string()),
            self.record_sessions.then(|| "record-sessions".to_string()),
            self.filtering.map(|filtering| format!("filtering {filtering}")),
            self.port_parity.map(|parity| format!("port parity {parity}")),
            self.port_choice.map(|choice| format!("port choice {choice}")),
            self.hold_down.map(|hold_down| hold_down.to_string()),
            self.icmp_admin_prohibited.then(|| "icmp admin-prohibited".to_string()),
            self.unsolicited_syn.map(|answer| match answer {
                UnsolicitedSyn::Hold => "tcp unsolicited-syn hold".to_string(),
                UnsolicitedSyn::Silent => "tcp unsolicited-syn silent".to_string(),
            }),
        ];
        let blocked = self.interface_blocked_ports.iter();
        let blocked =
            blocked.map(|(protocol, port)| format!("interface-overload block port {protocol} {port}"));
        let deterministic = self.deterministic.iter().map(Deterministic::to_string);
        let settings = values.into_iter().flatten().chain(blocked).chain(deterministic);
        lines.extend(settings.map(|setting| format!("ip nat settings {setting}")));
        lines
    }
}

impl Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool watermark high {}", self.high_percent)?;
        write_some(f, "low", self.low_percent)
    }
}

impl Display for HoldDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold-down {}", self.seconds)?;
        write_some(f, "max", self.max)
    }
}

impl Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Filtering::EndpointIndependent => "endpoint-independent",
            Filtering::AddressDependent => "address-dependent",
            Filtering::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl Display for PortParity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortParity::Preserve => "preserve",
            PortParity::Ignore => "ignore",
        })
    }
}

impl Display for PortChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortChoice::Preserve => "preserve",
            PortChoice::Random => "random",
        })
    }
}

impl Lint<'_> {
    fn check_settings(&mut self) {
        let settings = &self.config.nat.settings;
        if settings.mode == NatMode::Cgn {
            self.check_cgn();
        }
        if !settings.maps_outside() {
            self.check_outside_rules();
        }
        if let Some(pairing) = settings.pairing.filter(|pairing| pairing.blocks.is_some())
            && settings.mode == NatMode::Default
        {
            self.warn(pairing.place, "bulk port allocation needs \"ip nat settings mode cgn\"".to_string());
        }
        if settings.pairing.is_none() {
            let nat = &self.config.nat;
            for rule in nat.dynamic_rules.iter().filter(|rule| rule.overload == Some(Overload::Paired)) {
                self.warn(rule.place, "\"overload pap\" needs \"ip nat settings pap pool\"".to_string());
            }
        }
        for deterministic in &settings.deterministic {
            self.check_deterministic(deterministic);
        }
    }

    fn check_cgn(&mut self) {
        let nat = &self.config.nat;
        if nat.settings.filtering.is_some_and(|filtering| filtering != Filtering::EndpointIndependent) {
            let text = "cgn mode lets in packets of every peer; other filtering needs the default mode";
            self.warn(nat.settings.mode_place, text.to_string());
        }
        for (place, vrf) in nat.rule_vrfs() {
            if vrf.as_ref().is_some_and(|vrf| vrf.match_in_vrf) {
                self.warn(place, "\"match-in-vrf\" needs the default mode".to_string());
            }
        }
    }

    fn check_outside_rules(&mut self) {
        let nat = &self.config.nat;
        let reason = match nat.settings.mode {
            NatMode::Cgn => "in cgn mode",
            NatMode::Default => "without \"ip nat settings support mapping outside\"",
        };
        let dynamic = nat.outside_dynamic_rules.iter().map(|rule| rule.place);
        for place in dynamic.chain(nat.outside_static_rules.iter().map(|rule| rule.place)) {
            self.warn(place, format!("rules for the outside translate nothing {reason}"));
        }
    }
}

/// The most port sets of one subscriber.
const SETS_MAX: u8 = dataplane::state::subscriber::SETS_MAX as u8;

impl Compiler<'_> {
    fn behaviour(&mut self) {
        let settings = &self.config.nat.settings;
        let mode = match settings.mode {
            NatMode::Default => policy::Mode::Default,
            NatMode::Cgn => policy::Mode::Cgn,
        };
        let filtering = match settings.filtering_in_force() {
            Filtering::EndpointIndependent => policy::Filtering::EndpointIndependent,
            Filtering::AddressDependent => policy::Filtering::AddressDependent,
            Filtering::AddressAndPortDependent => policy::Filtering::AddressAndPortDependent,
        };
        let range = settings.interface_ports.map_or((1024, u16::MAX), |range| (range.start, range.end));
        let ports = policy::PortChoice {
            preserve: settings.port_choice_in_force() == PortChoice::Preserve,
            parity: settings.port_parity_in_force() == PortParity::Preserve,
            interface_range: range,
        };
        let pairing = settings
            .pairing
            .map(|pairing| policy::Pairing { subscribers_max: pairing.limit.into(), is_soft: pairing.soft });
        let blocks = settings.pairing.and_then(|pairing| pairing.blocks).map(|blocks| policy::Blocks {
            size: blocks.set_size,
            step: blocks.step_size,
            per_subscriber_max: if blocks.single_set { 1 } else { SETS_MAX },
        });
        let blocked =
            settings.interface_blocked_ports.iter().map(|&(protocol, port)| (protocol.number(), port));
        let hold_down = settings.hold_down;
        let behaviour = policy::Behaviour {
            mode,
            filtering,
            ports,
            interface_blocked: blocked.collect(),
            pairing,
            blocks,
            deterministic: Vec::new(),
            hold_down_ms: hold_down.map_or(0, |hold| hold.seconds * 1000),
            held_down_max: hold_down.and_then(|hold| hold.max).unwrap_or(u32::MAX),
            tells_prohibited: settings.icmp_admin_prohibited,
            answers_unsolicited_syn: settings.unsolicited_syn_in_force() == UnsolicitedSyn::Hold,
            maps_portless: !settings.non_pat_drop,
            drops_inside_local: settings.inside_local_drop,
            records_sessions: settings.record_sessions,
        };
        self.out.policy.behaviour = behaviour;
        self.out.policy.behaviour.deterministic = self.deterministic();
    }
}
