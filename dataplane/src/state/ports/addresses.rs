//! The global addresses of a shard, and what is in use of each.
//!
//! An address of which something is in use has a sheet; for all others there is one number that says that there is none.
//! Memory comes with the policy that needs it, made by the control side and touched by nobody: the worker only takes it,
//! however many addresses there are.

use std::net::Ipv4Addr;

use crate::state::ports::address_use::{AddressUse, use_of};
use crate::state::ports::bitmaps::{ADDR, AddressPorts, NEXT, PORT_WORDS, Used, is_whole, used_of};
use crate::state::ports::layout::Layout;
use crate::state::ports::sheets::Sheets;

/// What is in use of the addresses that policies named so far.
pub struct Addresses {
    /// The number of each address's sheet, in ranges: the address number of the first of each, and their sheets.
    homes: Vec<(u32, Box<[u32]>)>,
    /// Of addresses and of ports.
    sheets: Sheets<PORT_WORDS>,
    /// The sheet of the address that was last to be in use. Those of the others follow.
    first: u32,
}

impl Addresses {
    /// None yet.
    pub fn new() -> Addresses {
        Addresses { homes: Vec::new(), sheets: Sheets::new(), first: 0 }
    }

    /// Makes room of memory that was made for this: for the numbers of addresses behind those known, and for sheets.
    pub fn extend(&mut self, homes: Vec<(u32, Box<[u32]>)>, sheets: Vec<Box<[u64]>>) {
        self.homes.extend(homes);
        self.sheets.extend(sheets);
    }

    fn place(&self, number: u32) -> Option<(usize, usize)> {
        let range = self.homes.partition_point(|&(first, _)| first <= number).checked_sub(1)?;
        Some((range, (number - self.homes.get(range)?.0) as usize))
    }

    fn sheet_of(&self, number: u32) -> Option<u32> {
        let (range, at) = self.place(number)?;
        self.homes.get(range)?.1.get(at).copied()
    }

    /// How much of an address is in use; none for one that no policy ever named.
    pub fn used(&self, layout: &Layout, addr: Ipv4Addr) -> Option<Used> {
        let sheet = self.sheet_of(layout.number_of(addr)?)?;
        Some(self.sheets.at(sheet).map(used_of).unwrap_or_default())
    }

    /// Whether somebody has the whole of an address.
    pub fn is_whole(&self, layout: &Layout, addr: Ipv4Addr) -> bool {
        self.used(layout, addr).is_some_and(|used| is_whole(&used))
    }

    /// Takes a whole address, where nothing of it is in use.
    pub fn take_whole(&mut self, layout: &Layout, addr: Ipv4Addr) -> bool {
        self.ports_mut(layout, addr).is_some_and(|mut ports| ports.take_whole())
    }

    /// Gives a whole address back.
    pub fn release_whole(&mut self, layout: &Layout, addr: Ipv4Addr) {
        if let Some(mut ports) = self.ports_mut(layout, addr) {
            ports.release_whole();
        }
    }

    /// The ports of an address; none of one that no policy ever named.
    pub fn ports_mut(&mut self, layout: &Layout, addr: Ipv4Addr) -> Option<AddressPorts<'_>> {
        let (range, at) = self.place(layout.number_of(addr)?)?;
        let home = self.homes.get_mut(range)?.1.get_mut(at)?;
        Some(AddressPorts::new(&mut self.sheets, home, &mut self.first, addr))
    }

    /// Numbers of addresses that there is room for.
    pub fn position_count(&self) -> u32 {
        self.homes.last().map_or(0, |(first, homes)| first + homes.len() as u32)
    }

    /// The addresses in use whose numbers lie from one to before another, and what is of each.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, AddressUse)> {
        (start..end).filter_map(|number| {
            let sheet = self.sheets.at(self.sheet_of(number)?)?;
            Some((number, use_of(&self.sheets, sheet)))
        })
    }

    /// Addresses in use, and how much of each.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, Used)> {
        let first = self.sheets.at(self.first);
        let sheets = std::iter::successors(first, |sheet| self.sheets.at(sheet[NEXT] as u32));
        sheets.map(|sheet| (Ipv4Addr::from_bits(sheet[ADDR] as u32), used_of(sheet)))
    }
}
