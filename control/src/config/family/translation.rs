//! `ip nat translation`: how long translations live, and how many there may be.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::policy::{self, IdleClass, Timeouts};

use super::edit::{Ignored, REDUNDANCY, protocol, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::args::Args;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Nat, NatMode, Place, PortProtocol};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    finish: |config| config.nat.forget_default_timeouts(),
    render: &[(Section::NatTranslations, |config| config.nat.translations.lines())],
    lint: |lint| lint.check_limits(),
    compile: &[(Stage::Settings, |compiler| {
        compiler.timeouts();
        compiler.limits();
    })],
};

/// `ip nat translation ...`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translations {
    /// `ip nat translation KIND ...`, only values other than the default.
    pub timeouts: BTreeMap<TimeoutKind, Timeout>,
    /// `ip nat translation port-timeout ...`
    pub port_timeouts: Vec<PortTimeout>,
    /// `ip nat translation max-entries ...`: translations at a time.
    pub max_entries: Vec<Limit>,
    /// `ip nat translation max-rate ...`: new translations per second.
    pub max_rates: Vec<Limit>,
}

/// The kinds of `ip nat translation KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeoutKind {
    /// Address-only translations, and whatever has no timer of its own.
    Simple,
    /// Established TCP.
    Tcp,
    /// PPTP.
    Pptp,
    /// UDP.
    Udp,
    /// TCP after a FIN from both ways, or a RST.
    FinRst,
    /// TCP after a SYN only.
    Syn,
    /// Port 53.
    Dns,
    /// ICMP queries.
    Icmp,
    /// Half entries made by a route-map.
    RouteMapEntry,
    /// ARP ping.
    ArpPing,
}

/// Keywords of the timeouts that nothing reads yet.
const UNREAD: &[Ignored] = &[
    ("pptp-timeout", "the ALG of PPTP is not built yet"),
    ("routemap-entry-timeout", "route-maps make no entries without a session"),
    ("arp-ping-timeout", "hosts are not asked whether they are still there"),
];

/// A row of [`TIMEOUTS`].
pub struct TimeoutRow {
    /// The kind.
    pub kind: TimeoutKind,
    /// Its keyword.
    pub keyword: &'static str,
    /// What holds unless configured, in seconds.
    pub default_s: u32,
}

/// Keywords and defaults of the timeouts, in the order of [`TimeoutKind`].
#[rustfmt::skip]
pub const TIMEOUTS: [TimeoutRow; 10] = [
    TimeoutRow { kind: TimeoutKind::Simple, keyword: "timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Tcp, keyword: "tcp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Pptp, keyword: "pptp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Udp, keyword: "udp-timeout", default_s: 300 },
    TimeoutRow { kind: TimeoutKind::FinRst, keyword: "finrst-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Syn, keyword: "syn-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Dns, keyword: "dns-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Icmp, keyword: "icmp-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::RouteMapEntry, keyword: "routemap-entry-timeout", default_s: 3600 },
    TimeoutRow { kind: TimeoutKind::ArpPing, keyword: "arp-ping-timeout", default_s: 60 },
];

impl TimeoutKind {
    /// What holds unless configured.
    pub fn default(self) -> Timeout {
        Timeout::Seconds(self.row().default_s)
    }

    /// The keyword after `ip nat translation`.
    pub fn keyword(self) -> &'static str {
        self.row().keyword
    }

    fn row(self) -> &'static TimeoutRow {
        &TIMEOUTS[self as usize]
    }
}

/// How long an idle translation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds.
    Seconds(u32),
    /// Until it is cleared.
    Never,
}

/// `ip nat translation port-timeout {tcp|udp} PORT {SECONDS|never}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortTimeout {
    /// The protocol.
    pub protocol: PortProtocol,
    /// The inside local port.
    pub port: u16,
    /// The timeout of its translations.
    pub timeout: Timeout,
}

/// `ip nat translation max-entries ...` or `ip nat translation max-rate ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Where it stands.
    pub place: Place,
    /// Whose translations count; no two limits of one kind have the same.
    pub scope: LimitScope,
    /// At most so many translations, or so many new ones per second; not 0.
    pub max: u32,
}

/// Whose translations a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// All of them together.
    All,
    /// `all-host`: those of each inside local address.
    EachHost,
    /// `all-vrf`: those of each VRF.
    EachVrf,
    /// `host A`: those of this inside local address, in place of what `all-host` says.
    Host(Ipv4Addr),
    /// `list ACL`: those of the inside local addresses that this list permits, together.
    List(String),
    /// `vrf V`: those of this VRF, in place of what `all-vrf` says.
    Vrf(String),
}

impl Nat {
    /// The timeout of a kind, configured or default.
    pub fn timeout(&self, kind: TimeoutKind) -> Timeout {
        self.translations.timeouts.get(&kind).copied().unwrap_or(self.timeout_default(kind))
    }

    /// The timeout of a kind unless configured: IOS's, or in CGN mode what RFC 5382 REQ-5 asks for.
    pub fn timeout_default(&self, kind: TimeoutKind) -> Timeout {
        match (self.settings.mode, kind) {
            (NatMode::Cgn, TimeoutKind::Tcp) => Timeout::Seconds(7440),
            (NatMode::Cgn, TimeoutKind::Syn | TimeoutKind::FinRst) => Timeout::Seconds(240),
            _ => kind.default(),
        }
    }

    /// Drops timeouts that say what holds anyway, now that the mode is known.
    fn forget_default_timeouts(&mut self) {
        let mut timeouts = std::mem::take(&mut self.translations.timeouts);
        timeouts.retain(|&kind, timeout| *timeout != self.timeout_default(kind));
        self.translations.timeouts = timeouts;
    }
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat translation { timeout | tcp-timeout | pptp-timeout | udp-timeout | finrst-timeout | syn-timeout \
               | dns-timeout | icmp-timeout | routemap-entry-timeout | arp-ping-timeout } / (timeout)",
              "Set how long an idle translation lives, in seconds", timeout),
    statement("ip nat translation port-timeout { tcp <port:nat-tcp-port> | udp <port:nat-udp-port> } / (timeout)",
              "Set how long an idle translation of a local port lives, in seconds", port_timeout),
    statement("ip nat translation max-entries / <max:1-2147483647>",
              "Limit the number of translations", max_entries),
    statement("ip nat translation max-entries { all-host | all-vrf | host <host:address> | list (acl) | vrf <vrf:word> \
               | redundancy <group:1-2> } / <max:1-2147483647>",
              "Limit the number of translations of hosts or VRFs", max_entries),
    statement("ip nat translation max-rate { all-host | host <host:address> } / <max:1-2147483647>",
              "Limit the new translations of a host per second", max_rate),
];

fn timeout(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    warn_ignored(builder, statement, UNREAD);
    let new = timeout_value(builder, statement);
    let timeouts = &mut builder.config.nat.translations.timeouts;
    for row in TIMEOUTS.iter().filter(|row| statement.args.has(row.keyword)) {
        match new {
            Some(new) => timeouts.insert(row.kind, new),
            None => timeouts.remove(&row.kind),
        };
    }
    Ok(())
}

fn port_timeout(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (protocol, port): (PortProtocol, u16) = (protocol(&statement.args), statement.args.required("port"));
    let new = timeout_value(builder, statement);
    let timeouts = &mut builder.config.nat.translations.port_timeouts;
    let removed = remove(timeouts, |known| known.protocol == protocol && known.port == port);
    match new {
        Some(timeout) => timeouts.push(PortTimeout { protocol, port, timeout }),
        None => builder.expect_removed(removed, statement),
    }
    Ok(())
}

/// The timeout that a statement sets, if it sets one.
fn timeout_value(builder: &mut Builder, statement: &Statement) -> Option<Timeout> {
    let seconds = statement.args.optional("seconds").filter(|_| statement.sets());
    if let Some(0..60) = seconds {
        builder.warn(
            statement.args.column("seconds"),
            "timeouts below 60 seconds cut sessions that are still in use",
        );
    }
    match seconds {
        Some(seconds) => Some(Timeout::Seconds(seconds)),
        None => statement.sets().then_some(Timeout::Never),
    }
}

fn max_entries(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if statement.args.has("redundancy") {
        warn_ignored(builder, statement, &[REDUNDANCY]);
        return Ok(());
    }
    let known = std::mem::take(&mut builder.config.nat.translations.max_entries);
    builder.config.nat.translations.max_entries = limited(builder, statement, List::MaxEntries, known);
    Ok(())
}

fn max_rate(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let known = std::mem::take(&mut builder.config.nat.translations.max_rates);
    builder.config.nat.translations.max_rates = limited(builder, statement, List::MaxRates, known);
    Ok(())
}

/// Limits after a statement sets or removes one of them.
fn limited(builder: &mut Builder, statement: &Statement, list: List, mut limits: Vec<Limit>) -> Vec<Limit> {
    let scope = scope(&statement.args);
    let identity = |limit: &Limit| format!("{:?}", limit.scope);
    let known = builder.known.position(list, &limits, identity, &format!("{scope:?}"));
    let new = statement.args.optional("max").filter(|_| statement.sets());
    let limit = new.map(|max| Limit { place: statement.place, scope, max });
    match (known, limit) {
        (Some(index), Some(limit)) => limits[index] = limit,
        (None, Some(limit)) => limits.push(limit),
        (Some(index), None) => drop(limits.remove(index)),
        (None, None) => builder.expect_removed(false, statement),
    }
    limits
}

fn scope(args: &Args) -> LimitScope {
    match () {
        () if args.has("all-host") => LimitScope::EachHost,
        () if args.has("all-vrf") => LimitScope::EachVrf,
        () if args.has("host") => LimitScope::Host(args.required("host")),
        () if args.has("list") => LimitScope::List(args.required("acl")),
        () if args.has("vrf") => LimitScope::Vrf(args.required("vrf")),
        () => LimitScope::All,
    }
}

impl Lint<'_> {
    fn check_limits(&mut self) {
        let sessions = self.config.platform.sessions();
        for limit in &self.config.nat.translations.max_entries {
            match &limit.scope {
                LimitScope::List(access_list) => self.check_access_list(limit.place, access_list),
                LimitScope::Vrf(vrf) => self.check_vrf(limit.place, Some(vrf)),
                LimitScope::EachHost | LimitScope::Host(_) if limit.max > sessions / 2 => {
                    let half = sessions / 2;
                    self.warn(
                        limit.place,
                        format!(
                            "one host may have {} of {sessions} sessions; without this line its share is at most {half}",
                            limit.max
                        ),
                    );
                }
                _ => {}
            }
        }
    }
}

impl Translations {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, timeout) in &self.timeouts {
            lines.push(format!("ip nat translation {} {timeout}", kind.keyword()));
        }
        for PortTimeout { protocol, port, timeout } in &self.port_timeouts {
            lines.push(format!("ip nat translation port-timeout {protocol} {port} {timeout}"));
        }
        for (keyword, limits) in [("max-entries", &self.max_entries), ("max-rate", &self.max_rates)] {
            let line = |limit: &Limit| format!("ip nat translation {keyword}{} {}", limit.scope, limit.max);
            lines.extend(limits.iter().map(line));
        }
        lines
    }
}

/// What follows the keyword of the limit, each word after a space.
impl Display for LimitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitScope::All => Ok(()),
            LimitScope::EachHost => f.write_str(" all-host"),
            LimitScope::EachVrf => f.write_str(" all-vrf"),
            LimitScope::Host(address) => write!(f, " host {address}"),
            LimitScope::List(access_list) => write!(f, " list {access_list}"),
            LimitScope::Vrf(vrf) => write!(f, " vrf {vrf}"),
        }
    }
}

impl Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Timeout::Seconds(seconds) => write!(f, "{seconds}"),
            Timeout::Never => f.write_str("never"),
        }
    }
}

/// The most limits on groups; a session notes in a bit each which it counts towards.
const GROUPS_MAX: usize = 16;

impl Compiler<'_> {
    fn timeouts(&mut self) {
        const CLASSES: [(TimeoutKind, IdleClass); 7] = [
            (TimeoutKind::Simple, IdleClass::Other),
            (TimeoutKind::Udp, IdleClass::Udp),
            (TimeoutKind::Dns, IdleClass::Dns),
            (TimeoutKind::Icmp, IdleClass::Icmp),
            (TimeoutKind::Syn, IdleClass::TcpSyn),
            (TimeoutKind::Tcp, IdleClass::TcpEstablished),
            (TimeoutKind::FinRst, IdleClass::TcpClosing),
        ];
        for (kind, class) in CLASSES {
            let idle_ms = idle_ms(self.config.nat.timeout(kind));
            self.out.policy.timeouts.set(class, idle_ms);
        }
        for of_port in &self.config.nat.translations.port_timeouts {
            let idle_ms = idle_ms(of_port.timeout);
            self.out.policy.port_timeouts.push((of_port.protocol.number(), of_port.port, idle_ms));
        }
    }

    fn limits(&mut self) {
        let config = self.config;
        let own_vrfs: Vec<&str> =
            config.nat.translations.max_entries.iter().filter_map(|limit| vrf_of(&limit.scope)).collect();
        for limit in &config.nat.translations.max_entries {
            let sessions_max = limit.max;
            match &limit.scope {
                LimitScope::EachHost => {
                    let counter = self.limit_counter(&limit.scope);
                    self.out.policy.limits.per_host = Some(policy::HostLimit { sessions_max, counter });
                }
                LimitScope::Host(host) => {
                    let counter = self.limit_counter(&limit.scope);
                    self.out.policy.limits.hosts.push((*host, policy::HostLimit { sessions_max, counter }));
                }
                LimitScope::All => self.limit_group(&limit.scope, policy::LimitScope::All, sessions_max),
                LimitScope::List(name) => {
                    if let Some(acl) = self.acl_index(name) {
                        self.limit_group(&limit.scope, policy::LimitScope::List(acl), sessions_max);
                    }
                }
                LimitScope::Vrf(name) => self.limit_vrf(name, sessions_max),
                LimitScope::EachVrf => {
                    for vrf in config.vrfs.iter().filter(|vrf| !own_vrfs.contains(&vrf.name.as_str())) {
                        self.limit_vrf(&vrf.name, sessions_max);
                    }
                }
            }
        }
        if self.out.policy.limits.groups.len() > GROUPS_MAX {
            let place =
                config.nat.translations.max_entries.last().map(|limit| limit.place).unwrap_or_default();
            self.error(place, format!("at most {GROUPS_MAX} limits on lists, VRFs and all together"));
        }
        for rate in &config.nat.translations.max_rates {
            match rate.scope {
                LimitScope::Host(host) => self.out.policy.limits.host_rates.push((host, rate.max)),
                _ => self.out.policy.limits.rate_per_host = Some(rate.max),
            }
        }
    }

    fn limit_vrf(&mut self, name: &str, sessions_max: u32) {
        let vrf = self.vrf(Some(name));
        self.limit_group(&LimitScope::Vrf(name.to_string()), policy::LimitScope::Vrf(vrf), sessions_max);
    }

    fn limit_group(&mut self, configured: &LimitScope, scope: policy::LimitScope, sessions_max: u32) {
        let counter = self.limit_counter(configured);
        self.out.policy.limits.groups.push(policy::Limit { scope, sessions_max, counter });
    }

    /// The number of the counter of a limit's refusals: the one it had before, or else a new one.
    fn limit_counter(&mut self, scope: &LimitScope) -> u32 {
        let next = self.out.limit_counters.len() as u32;
        *self.out.limit_counters.entry(scope.to_string()).or_insert(next)
    }
}

fn idle_ms(timeout: Timeout) -> u32 {
    match timeout {
        Timeout::Seconds(seconds) => seconds.saturating_mul(1000),
        Timeout::Never => Timeouts::NEVER,
    }
}

fn vrf_of(scope: &LimitScope) -> Option<&str> {
    match scope {
        LimitScope::Vrf(name) => Some(name),
        _ => None,
    }
}
