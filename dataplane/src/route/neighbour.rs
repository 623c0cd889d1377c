//! Neighbours: next hops whose MAC address is known. The control thread resolves them and tells the worker.

use std::net::Ipv4Addr;

use hashbrown::HashMap;

use crate::flow::InterfaceIndex;
use crate::route::fib::NextHop;
use crate::wire::ethernet;

/// A next hop with the Ethernet header that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The next hop.
    pub next_hop: NextHop,
    /// The port its frames leave through.
    pub port: u16,
    header: [u8; ethernet::LEN_MAX],
    header_len: u8,
}

impl Neighbour {
    /// A neighbour with this MAC address, seen from an interface with `source` and `vlan`.
    pub fn new(next_hop: NextHop, port: u16, mac: [u8; 6], source: [u8; 6], vlan: Option<u16>) -> Neighbour {
        let mut header = [0; ethernet::LEN_MAX];
        header[..6].copy_from_slice(&mac);
        header[6..12].copy_from_slice(&source);
        let mut at = 12;
        if let Some(vlan) = vlan {
            header[at..at + 2].copy_from_slice(&ethernet::VLAN.to_be_bytes());
            header[at + 2..at + 4].copy_from_slice(&vlan.to_be_bytes());
            at += 4;
        }
        header[at..at + 2].copy_from_slice(&ethernet::IPV4.to_be_bytes());
        Neighbour { next_hop, port, header, header_len: at as u8 + 2 }
    }

    /// The same header where it has no tag.
    #[inline(always)]
    pub fn untagged_header(&self) -> Option<&[u8; ethernet::LEN]> {
        if usize::from(self.header_len) == ethernet::LEN { self.header.first_chunk() } else { None }
    }

    /// The Ethernet header of an IPv4 frame to it.
    #[inline]
    pub fn link_header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }
}

/// A cached next hop: a neighbour, valid while the forwarding table is the one it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedHop {
    /// Index into the neighbour table.
    pub neighbour: u16,
    /// That of the worker's forwarding table then.
    pub generation: u16,
}

impl CachedHop {
    /// Not resolved yet.
    pub const UNKNOWN: CachedHop = CachedHop { neighbour: u16::MAX, generation: 0 };
}

/// The neighbours that are resolved, as the control thread numbered them. There is room for all numbers from the start: a
/// table that grows would be written anew between two bursts.
pub struct Neighbours {
    table: Vec<Option<Neighbour>>,
    by_hop: HashMap<NextHop, u16>,
}

/// Numbers of neighbours.
const NUMBERS: usize = 1 << 16;

impl Default for Neighbours {
    fn default() -> Neighbours {
        Neighbours { table: Vec::with_capacity(NUMBERS), by_hop: HashMap::with_capacity(NUMBERS) }
    }
}

impl Neighbours {
    /// The neighbour with a number.
    #[inline]
    pub fn at(&self, number: u16) -> Option<&Neighbour> {
        self.table.get(usize::from(number))?.as_ref()
    }

    /// The number of a next hop's neighbour.
    pub fn find(&self, interface: InterfaceIndex, addr: Ipv4Addr) -> Option<u16> {
        self.by_hop.get(&NextHop { interface, addr }).copied()
    }

    /// Takes over what the control thread says about a number: a neighbour, or that it is gone.
    pub fn set(&mut self, number: u16, neighbour: Option<Neighbour>) {
        let slot = usize::from(number);
        if self.table.len() <= slot {
            self.table.resize(slot + 1, None);
        }
        if let Some(old) = std::mem::replace(&mut self.table[slot], neighbour) {
            self.by_hop.remove(&old.next_hop);
        }
        if let Some(neighbour) = neighbour {
            self.by_hop.insert(neighbour.next_hop, number);
        }
    }
}
