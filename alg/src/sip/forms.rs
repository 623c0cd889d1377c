//! How an inside host writes its own endpoints: it is to read them again as it wrote them, since it compares them (RFC 3261
//! sections 18.1.2 and 19.1.4).

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

use super::places::Place;
use crate::Transport;

/// Contacts of one message that are remembered.
pub const CONTACTS_MAX: usize = 4;

/// By place, whether the inside host writes its endpoint without the port, where that has a number outside; and whether it writes
/// its global endpoint, as it learned that by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forms {
    bare: u8,
    global: u8,
    /// Transactions whose `Via` has no port, by hashes, the latest last; 0 in the rest of the places. One dialog's need not be
    /// alike.
    bare_vias: [u32; 4],
}

/// The bit of a place. What goes to a contact names it as a contact does, and a route a proxy.
fn bit(place: Place) -> u8 {
    match place {
        Place::Via => 1,
        Place::Contact | Place::Target => 2,
        Place::Proxy | Place::Route => 4,
        Place::Name | Place::Warning => 8,
    }
}

fn set(bits: &mut u8, bit: u8, is_set: bool) {
    *bits = if is_set { *bits | bit } else { *bits & !bit };
}

impl Forms {
    /// It writes its global endpoint everywhere.
    pub const GLOBAL: Forms = Forms { bare: 0, global: u8::MAX, bare_vias: [0; 4] };

    /// Whether it wrote no port there.
    pub fn set_bare(&mut self, place: Place, is_bare: bool) {
        set(&mut self.bare, bit(place), is_bare);
    }

    /// Whether it wrote its global endpoint there.
    pub fn set_global(&mut self, place: Place, is_global: bool) {
        set(&mut self.global, bit(place), is_global);
    }

    /// Whether it wrote no port into the `Via` of a transaction.
    pub fn set_via_bare(&mut self, transaction: u32, is_bare: bool) {
        if is_bare == self.is_via_bare(transaction) {
            return;
        }
        if is_bare {
            self.bare_vias.rotate_left(1);
            self.bare_vias[3] = transaction;
        } else {
            self.bare_vias.iter_mut().filter(|known| **known == transaction).for_each(|known| *known = 0);
        }
    }

    /// It wrote no port into the `Via` of a transaction.
    pub fn is_via_bare(self, transaction: u32) -> bool {
        transaction != 0 && self.bare_vias.contains(&transaction)
    }

    /// It writes no port there.
    pub fn is_bare(self, place: Place) -> bool {
        self.bare & bit(place) != 0
    }

    /// It writes its global endpoint there. It names itself by the address that it writes elsewhere.
    pub fn is_global(self, place: Place) -> bool {
        let places = match place {
            Place::Name | Place::Warning => bit(Place::Via) | bit(Place::Contact),
            place => bit(place),
        };
        self.global & places != 0
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(self) -> bool {
        self == Forms::default()
    }
}

/// An endpoint that the inside host says it is reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Over what.
    pub is_tcp: bool,
    /// The endpoint, as the inside sees it.
    pub local: SocketAddrV4,
    /// The registrar is to forget it.
    pub is_removed: bool,
    /// For how many seconds, if that is said beside it.
    pub expires_s: Option<u32>,
}

impl Contact {
    /// Over what.
    pub fn transport(&self) -> Transport {
        if self.is_tcp { Transport::Tcp } else { Transport::Udp }
    }
}
