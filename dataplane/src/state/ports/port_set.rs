//! Sets of ports that subscribers have for themselves (`ip nat settings pap bpa`).

use std::ops::Range;

use crate::flow::Vrf;
use crate::policy::RuleId;
use crate::state::table::share::reserve_of;

/// Sets of ports of one address at most: the smallest have 64 ports.
pub const SETS_MAX: usize = 64_512 / 64;

/// How many sets of this size and step an address has.
pub fn sets_of_address(size: u16, step: u16) -> u16 {
    let chunk = u32::from(size) * u32::from(step);
    (64_512 / chunk.max(1) * u32::from(step)).min(SETS_MAX as u32) as u16
}

/// A set of ports that one subscriber has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Its number on its address.
    pub number: u16,
    /// First port.
    pub first: u16,
    /// Distance between ports.
    pub step: u16,
    /// How many ports.
    pub size: u16,
    /// Ports in use, of all protocols.
    pub used: u16,
    /// The rule it was taken for, and the VRF of the outside there.
    pub rule: RuleId,
    /// See `rule`.
    pub outside_vrf: Vrf,
    /// The journal tells of it, since a port of it found an owner.
    pub is_told: bool,
}

impl PortSet {
    /// The set with this number. Sets of one chunk interleave; chunks follow each other from port 1024 on.
    pub fn numbered(number: u16, size: u16, step: u16) -> PortSet {
        let (chunk, phase) = (u32::from(number / step), u32::from(number % step));
        let first = 1024 + chunk * u32::from(size) * u32::from(step) + phase;
        PortSet { number, first: first as u16, step, size, used: 0, rule: 0, outside_vrf: 0, is_told: false }
    }

    /// One of its ports.
    pub fn port(&self, k: u16) -> u16 {
        self.first + k * self.step
    }

    /// The numbers of its ports, and of those that are its reserve, for destinations to which its subscriber has few flows.
    pub fn parts(&self) -> [Range<u16>; 2] {
        let reserved_from = self.size - reserve_of(self.size.into()) as u16;
        [0..reserved_from, reserved_from..self.size]
    }

    /// Whether a port is of this set.
    pub fn holds(&self, port: u16) -> bool {
        port.checked_sub(self.first)
            .is_some_and(|distance| distance % self.step == 0 && distance / self.step < self.size)
    }
}
