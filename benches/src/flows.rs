//! Flows by number: which hosts and ports a flow is between follows from its number alone, so that neither sending
//! nor recognising one needs a table.

use std::net::Ipv4Addr;

/// An IPv4 address and a port, or an ICMP identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address as a number.
    pub address: u32,
    /// The port.
    pub port: u16,
}

/// The first inside port.
const INSIDE_PORT_MIN: u32 = 1024;
/// Inside ports that flows use, one generation after the other.
const INSIDE_PORT_COUNT: u32 = 64_000;
/// How far apart hosts' first ports are.
const HOST_STRIDE: u32 = 257;
/// The port of every peer. No ALG watches it.
const PEER_PORT: u16 = 9000;

/// All flows of a run. A flow's number also says its generation: what churn replaces has the same place in the
/// table of translations, and other ports.
#[derive(Clone, Debug)]
pub struct Flows {
    /// Inside hosts.
    pub subscribers: u32,
    /// Flows of each at a time.
    pub per_subscriber: u32,
    /// Peers of each inside endpoint: so many flows share an inside port.
    pub peers: u32,
    /// The first inside host.
    pub inside: Ipv4Addr,
    /// The first peer.
    pub peer: Ipv4Addr,
}

impl Flows {
    /// Flows that exist at a time.
    pub fn window(&self) -> u32 {
        self.subscribers * self.per_subscriber
    }

    /// Where in the table a flow is.
    #[inline]
    pub fn slot(&self, flow: u32) -> u32 {
        let window = self.window();
        if flow < window { flow } else { flow % window }
    }

    /// The inside endpoint and the peer of a flow.
    #[inline]
    pub fn tuple(&self, flow: u32) -> (Endpoint, Endpoint) {
        let slot = self.slot(flow);
        let (host, within) = (slot / self.per_subscriber, slot % self.per_subscriber);
        let (mut port, mut peer) = (within, 0);
        if self.peers > 1 {
            (port, peer) = (within / self.peers, within % self.peers);
        }
        if flow != slot {
            let ports = self.per_subscriber.div_ceil(self.peers);
            port += flow / self.window() * ports;
        }
        // Hosts do not all use the same ports, or all would compete for them in the pool.
        let port = INSIDE_PORT_MIN + (port + host * HOST_STRIDE) % INSIDE_PORT_COUNT;
        let inside = Endpoint { address: self.inside.to_bits() + host, port: port as u16 };
        (inside, Endpoint { address: self.peer.to_bits() + peer, port: PEER_PORT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn flows(peers: u32) -> Flows {
        Flows {
            subscribers: 3,
            per_subscriber: 8,
            peers,
            inside: Ipv4Addr::new(100, 64, 1, 0),
            peer: Ipv4Addr::new(198, 51, 100, 7),
        }
    }

    #[test]
    fn flows_differ() {
        for peers in [1, 3] {
            let flows = flows(peers);
            let tuples: HashSet<_> = (0..5 * flows.window()).map(|flow| flows.tuple(flow)).collect();
            assert_eq!(tuples.len() as u32, 5 * flows.window(), "with {peers} peers");
        }
    }

    #[test]
    fn an_inside_endpoint_has_so_many_peers() {
        let flows = flows(4);
        let endpoints: HashSet<_> = (0..flows.window()).map(|flow| flows.tuple(flow).0).collect();
        assert_eq!(endpoints.len(), 6);
    }
}
