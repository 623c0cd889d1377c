//! An appliance without devices: its configuration, its flows, and workers over given ports.
use std::net::Ipv4Addr;

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use control::appliance::Appliance;
use control::compile::PortBinding;
use control::config;
use dataplane::port::Ports;
use dataplane::worker::Worker;

use crate::flows::Flows;
use crate::frames::{Frames, Protocol};
use crate::translations::Translations;
use crate::verify::Verifier;

/// A mode of the NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A session for each peer.
    Default,
    /// A session for each mapping.
    Cgn,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The NAT's mode.
    pub mode: Mode,
    /// What the packets are.
    pub protocol: Protocol,
    /// Flows, for which there is room.
    pub sessions: u32,
    /// Global addresses.
    pub addresses: u32,
    /// Lines of the configuration that limit hosts.
    pub limits: &'static str,
}

/// Flows of one host.
pub const FLOWS_PER_HOST: u32 = 256;
const POOL_FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 0, 1);

impl Load {
    /// The appliance's configuration: two ports, neighbours that are known, one pool.
    pub fn configuration(&self) -> String {
        let limits = self.limits;
        let mode = if self.mode == Mode::Cgn { "ip nat settings mode cgn\n" } else { "" };
        let last = Ipv4Addr::from_bits(POOL_FIRST.to_bits() + self.addresses - 1);
        format!(
            "platform dpdk\n max-sessions {}\ninterface GigabitEthernet0/0/0\n mac-address 0200.0000.0001\n \
             ip address 10.0.0.1 255.255.255.0\n ip nat inside\ninterface GigabitEthernet0/0/1\n \
             mac-address 0200.0000.0002\n ip address 192.0.2.1 255.255.255.0\n ip nat outside\n\
             ip nat pool P {POOL_FIRST} {last} prefix-length 16\nip nat inside source list 1 pool P overload\n\
             access-list 1 permit any\nip route 100.64.0.0 255.192.0.0 10.0.0.2\n\
             ip route 0.0.0.0 0.0.0.0 192.0.2.254\narp 10.0.0.2 0200.0000.000a arpa\n\
             arp 192.0.2.254 0200.0000.000b arpa\n{mode}{limits}",
            self.room()
        )
    }

    /// Sessions there is room for: so many that every host's flows are its share, all to one destination, and the reserve is left.
    pub fn room(&self) -> u32 {
        let needed = u64::from(self.sessions + 2 * FLOWS_PER_HOST) * 16 / 15 + u64::from(FLOWS_PER_HOST);
        needed.max(1024) as u32
    }

    /// Its flows, its frames of 64 bytes, and how they are judged.
    pub fn verifier(&self) -> Verifier {
        let flows = Flows {
            subscribers: (self.sessions / FLOWS_PER_HOST).max(1),
            per_subscriber: self.sessions.min(FLOWS_PER_HOST),
            peers: 1,
            inside: Ipv4Addr::new(100, 64, 1, 0),
            peer: Ipv4Addr::new(198, 51, 100, 7),
        };
        let links =
            [([2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 1]), ([2, 0, 0, 0, 0, 0x0b], [2, 0, 0, 0, 0, 2])];
        let frames = Frames::new(self.protocol, &[64], links);
        let first = POOL_FIRST.to_bits();
        let translations = Translations::new(&flows);
        Verifier { flows, frames, pool: Some(first..=first + self.addresses - 1), translations }
    }

    /// The appliance and a worker for each set of ports. They forward from their second round on.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn start(&self, queues: Vec<Ports>) -> Result<(Appliance, Vec<Worker>)> {
        start(&self.configuration(), queues)
    }
}

/// An appliance with this configuration of two interfaces, and a worker for each set of two ports.
///
/// # Errors
/// What is wrong with the configuration.
pub fn start(text: &str, queues: Vec<Ports>) -> Result<(Appliance, Vec<Worker>)> {
    let config = config::parse("bench", text).map_err(|found| anyhow!("{found:?}"))?.config;
    let binding = |name: &str| PortBinding {
        interface: name.parse().unwrap_or_else(|()| unreachable!("a name of ours")),
        mac: None,
        has_link: true,
    };
    let bindings = vec![binding("GigabitEthernet0/0/0"), binding("GigabitEthernet0/0/1")];
    let (appliance, setups) =
        Appliance::new(config, bindings, queues, [7, 11]).map_err(|errors| anyhow!("{errors:?}"))?;
    let mut workers: Vec<Worker> = setups.into_iter().map(|setup| Worker::new(setup, 0)).collect();
    workers.iter_mut().for_each(|worker| _ = worker.round(0));
    Ok((appliance, workers))
}
