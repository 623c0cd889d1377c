//! What `ip nat settings` says.

use ipnet::Ipv4Net;

use super::{Place, PortProtocol};

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
    /// `interface-overload port range start S end E`: the ports that rules use on an interface's own address.
    pub interface_ports: Option<PortRange>,
    /// `interface-overload block port ...`: ports that rules never use there.
    pub interface_blocked_ports: Vec<(PortProtocol, u16)>,
    /// `pool watermark ...`
    pub watermark: Option<Watermark>,
    /// `log-destination`: records of CGN mode name the peer.
    pub log_destination: bool,
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

/// `ip nat settings pap [pool] [limit N] [soft] [bpa ...]`: paired address pooling: an inside address keeps one global
/// address while it has sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Where it stands.
    pub place: Place,
    /// Whether only rules with `overload pap` pair, rather than all that share addresses of pools.
    pub marked_only: bool,
    /// `limit N`: inside addresses for each global one.
    pub limit: u16,
    /// `soft`: an inside address whose paired one has no port left takes another.
    pub soft: bool,
    /// `bpa ...`
    pub blocks: Option<BlockAllocation>,
}

impl Pairing {
    /// The limit unless given.
    pub const LIMIT_DEFAULT: u16 = 120;

    /// Pairing for every rule, without options.
    pub fn new(place: Place) -> Pairing {
        Pairing { place, marked_only: false, limit: Pairing::LIMIT_DEFAULT, soft: false, blocks: None }
    }
}

/// `bpa [set-size N] [step-size K] [single-set]`: an inside address takes ports by sets: a start and every Kth port
/// after it, N in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockAllocation {
    /// Ports of a set.
    pub set_size: u16,
    /// The distance between a set's ports.
    pub step_size: u16,
    /// `single-set`: an inside address has one set at most.
    pub single_set: bool,
}

impl Default for BlockAllocation {
    fn default() -> BlockAllocation {
        BlockAllocation { set_size: 512, step_size: 8, single_set: false }
    }
}

/// Ports from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub start: u16,
    /// The last port, not below the first.
    pub end: u16,
}

impl PortRange {
    /// How many ports there are, 1 to 65536.
    pub fn count(self) -> u32 {
        u32::from(self.end) - u32::from(self.start) + 1
    }
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

/// `ip nat settings deterministic pool POOL list ACL ports-per-host N [dynamic-ports N] [max-ports N] [reserved PORTS]`:
/// the global address and ports of every inside address are computed (RFC 7422). A rule still translates to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deterministic {
    /// Where it stands.
    pub place: Place,
    /// The global addresses, which RFC 7422 calls O.
    pub pool: String,
    /// The list whose prefixes are the inside addresses, I: see [`super::AccessList::prefixes`].
    pub access_list: String,
    /// The ports of each inside address, not 0. How many share a global address, C, follows.
    pub ports_per_host: u16,
    /// The ports of each global address for those that need more than their own; D, in ports.
    pub dynamic_ports: u16,
    /// The most that an inside address has with those, M; `None` is its own ports only.
    pub max_ports: Option<u16>,
    /// Ports that are not used, R, ascending and apart.
    pub reserved: Vec<PortRange>,
}

impl Deterministic {
    /// The ports that are reserved unless others are given: those of the system.
    pub const RESERVED_DEFAULT: [PortRange; 1] = [PortRange { start: 0, end: 1023 }];

    /// How many inside addresses of a prefix have ports: all but the network and broadcast address.
    pub fn host_count(prefix: Ipv4Net) -> u64 {
        let addresses = 1u64 << (32 - prefix.prefix_len());
        if prefix.prefix_len() < 31 { addresses - 2 } else { addresses }
    }

    /// How many inside addresses share a global one, C.
    pub fn hosts_per_address(&self) -> u32 {
        let reserved: u32 = self.reserved.iter().map(|range| range.count()).sum();
        let fixed = (65536 - reserved).saturating_sub(self.dynamic_ports.into());
        fixed / u32::from(self.ports_per_host)
    }
}

/// `ip nat settings tcp unsolicited-syn ...`: what becomes of a SYN from outside that no mapping lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsolicitedSyn {
    /// It waits six seconds for one from inside, and is then answered with port unreachable (RFC 5382 REQ-4).
    Hold,
    /// It is dropped.
    Silent,
}
