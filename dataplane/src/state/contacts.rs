//! Who outside may send to a mapping under address-dependent filtering: the addresses it has sessions with.

use std::net::Ipv4Addr;

use crate::state::mapping::MappingKey;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};

/// The outside addresses of mappings, and how many sessions each has.
pub struct Contacts(Keyed<Contact>);

struct Contact {
    mapping: MappingKey,
    peer: Ipv4Addr,
    session_count: u32,
}

fn key(mapping: MappingKey, peer: Ipv4Addr) -> Key {
    [mapping[0], mapping[1] ^ u64::from(peer.to_bits()) << 32]
}

impl Contacts {
    /// Room for as many contacts, at most one for each session.
    pub fn new(capacity: usize, hasher: Hasher) -> Contacts {
        Contacts(Keyed::new(capacity, hasher))
    }

    fn find(&self, mapping: MappingKey, peer: Ipv4Addr) -> Option<u32> {
        self.0.find(key(mapping, peer), |contact| contact.mapping == mapping && contact.peer == peer)
    }

    /// Whether a mapping has a session with an outside address.
    pub fn has(&self, mapping: MappingKey, peer: Ipv4Addr) -> bool {
        self.find(mapping, peer).is_some()
    }

    /// Counts a session that begins.
    pub fn count_in(&mut self, mapping: MappingKey, peer: Ipv4Addr) {
        match self.find(mapping, peer).and_then(|number| self.0.at_mut(number)) {
            Some(contact) => contact.session_count += 1,
            None => _ = self.0.insert(key(mapping, peer), Contact { mapping, peer, session_count: 1 }),
        }
    }

    /// Counts a session that ends.
    pub fn count_out(&mut self, mapping: MappingKey, peer: Ipv4Addr) {
        let Some(number) = self.find(mapping, peer) else { return };
        let Some(contact) = self.0.at_mut(number) else { return };
        contact.session_count -= 1;
        if contact.session_count == 0 {
            self.0.remove(key(mapping, peer), number);
        }
    }
}
