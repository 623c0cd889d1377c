//! What is in use of an address's ports, for who asks how full a pool is.

use std::net::Ipv4Addr;

use crate::flow::{TCP, UDP};
use crate::state::ports::bitmaps::{ADDR, LOW_PORTS, PORT_WORDS, SHEETS_PER_MAP, USED, map_number};
use crate::state::ports::sheets::Sheets;

/// What is in use of an address's ports, held-down ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressUse {
    /// The address.
    pub addr: Ipv4Addr,
    /// Ports of TCP.
    pub tcp: PortUse,
    /// Ports of UDP.
    pub udp: PortUse,
}

/// Ports in use of one address and protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUse {
    /// Those below 1024.
    pub low: u32,
    /// All others.
    pub high: u32,
}

/// What is in use of the address that has this sheet.
pub fn use_of(sheets: &Sheets<PORT_WORDS>, sheet: &[u64; PORT_WORDS]) -> AddressUse {
    let ports = |protocol| {
        let map = map_number(protocol)?;
        let first = sheets.at(sheet[map * SHEETS_PER_MAP] as u32);
        let low = first.and_then(|first| first.get(..LOW_PORTS / 64));
        let low = low.map_or(0, |words| words.iter().map(|word| word.count_ones()).sum());
        Some(PortUse { low, high: (sheet[USED + map] as u32).saturating_sub(low) })
    };
    let [tcp, udp] = [TCP, UDP].map(|protocol| ports(protocol).unwrap_or_default());
    AddressUse { addr: Ipv4Addr::from_bits(sheet[ADDR] as u32), tcp, udp }
}
