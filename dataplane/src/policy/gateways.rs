//! Which gateways read which control sessions.

use alg::Transport;
use alg::registry::{Port, ROWS, Row};

use super::numbers::{AclIndex, GatewayIndex, RuleId};

/// The gateways that are on, and where.
#[derive(Clone, Debug)]
pub struct Gateways {
    /// In the order they are tried.
    pub attachments: Vec<Attachment>,
    /// Gateways that are off: no door leads to them either.
    pub off: Vec<GatewayIndex>,
    /// Ports whose datagrams a gateway reads, at their outside end.
    pub outside_ports: PortBits,
    /// The same at their inside end, where it is a server's: as it knows them, and as static lines do.
    pub inside_ports: PortBits,
    /// Whole addresses have counterparts that a message can name: gateways attach that have a word on those alone.
    pub maps_addresses: bool,
    /// `ip nat service dns-reset-ttl`.
    pub resets_ttl: bool,
    /// Rules with `no-payload`: gateways leave what their sessions carry alone.
    pub payload_kept: Vec<RuleId>,
    /// Inside hosts that other inside hosts may announce (`alg third-party ACL`).
    pub third_parties: Option<AclIndex>,
    /// The most doors of one inside host (`alg doors per-host`).
    pub doors_per_host_max: u32,
}

/// The most doors of one inside host, unless configured otherwise.
pub const DOORS_PER_HOST_DEFAULT: u32 = 128;

impl Default for Gateways {
    fn default() -> Gateways {
        Gateways {
            attachments: Vec::new(),
            off: Vec::new(),
            outside_ports: PortBits::default(),
            inside_ports: PortBits::default(),
            maps_addresses: false,
            resets_ttl: false,
            payload_kept: Vec::new(),
            third_parties: None,
            doors_per_host_max: DOORS_PER_HOST_DEFAULT,
        }
    }
}

/// A port that a gateway listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The gateway; none if sessions to these servers are not to be read, whatever comes after.
    pub gateway: Option<GatewayIndex>,
    /// What carries the control session.
    pub transport: Transport,
    /// The control session's destination port.
    pub port: u16,
    /// The servers this holds for; all of them if none.
    pub servers: Option<AclIndex>,
}

impl Gateways {
    /// Every gateway on its own ports.
    pub fn all() -> Gateways {
        let of = |(gateway, row): (usize, &Row)| {
            let gateway = Some(gateway as GatewayIndex);
            let at = |port: &Port| Attachment {
                gateway,
                transport: port.transport,
                port: port.port,
                servers: None,
            };
            row.ports().iter().map(at).collect::<Vec<_>>()
        };
        Gateways { attachments: ROWS.iter().enumerate().flat_map(of).collect(), ..Gateways::default() }
    }
}

/// A set of ports; no memory while it is empty.
#[derive(Clone, Debug, Default)]
pub struct PortBits(Vec<u64>);

impl PortBits {
    pub(super) fn of(ports: &[u16]) -> PortBits {
        let mut words = if ports.is_empty() { Vec::new() } else { vec![0; 65_536 / 64] };
        for &port in ports {
            words[usize::from(port) / 64] |= 1 << (port % 64);
        }
        PortBits(words)
    }

    /// Whether a port is in it.
    #[inline]
    pub fn holds(&self, port: u16) -> bool {
        self.0.get(usize::from(port) / 64).is_some_and(|word| word & 1 << (port % 64) != 0)
    }
}

/// The position of a gateway by its row's name.
pub fn gateway_named(name: &str) -> Option<GatewayIndex> {
    ROWS.iter().position(|row| row.name == name).map(|index| index as GatewayIndex)
}
