//! What the appliance was seen to make of each flow.

use mem::prefetch;

use crate::flows::{Endpoint, Flows};

/// A flow's translation: an entry of eight bytes, as there may be millions.
#[derive(Clone, Copy, Default)]
struct Entry {
    address: u32,
    port: u16,
    generation: u8,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unseen,
    /// Its first packet was seen outside.
    Seen,
    /// It may carry data.
    Established,
}

/// The translations of all flows.
pub struct Translations {
    flows: Flows,
    entries: Vec<Entry>,
    established: u32,
}

impl Translations {
    /// A table without translations.
    pub fn new(flows: &Flows) -> Translations {
        // Written once, so that the memory is there before anything is measured.
        let mut entries = vec![Entry { port: 1, ..Entry::default() }; flows.window() as usize];
        entries.fill(Entry::default());
        Translations { flows: flows.clone(), entries, established: 0 }
    }

    /// Flows that may carry data.
    pub fn established(&self) -> u32 {
        self.established
    }

    fn place(&self, flow: u32) -> (usize, u8) {
        let window = self.flows.window();
        let generation = if flow < window { 0 } else { (flow / window) as u8 };
        (self.flows.slot(flow) as usize, generation)
    }

    /// Asks the CPU for a flow's entry.
    #[inline]
    pub fn prefetch(&self, flow: u32) {
        prefetch(&self.entries[self.flows.slot(flow) as usize]);
    }

    /// The global endpoint of a flow whose first packet was seen outside.
    pub fn seen(&self, flow: u32) -> Option<Endpoint> {
        let (slot, generation) = self.place(flow);
        let entry = &self.entries[slot];
        (entry.state != State::Unseen && entry.generation == generation)
            .then_some(Endpoint { address: entry.address, port: entry.port })
    }

    /// The global endpoint of a flow that may carry data.
    #[inline]
    pub fn find(&self, flow: u32) -> Option<Endpoint> {
        let (slot, generation) = self.place(flow);
        let entry = &self.entries[slot];
        (entry.state == State::Established && entry.generation == generation)
            .then_some(Endpoint { address: entry.address, port: entry.port })
    }

    /// Notes the global endpoint a packet of the flow came from; false when it was another one before.
    pub fn see(&mut self, flow: u32, global: Endpoint) -> bool {
        let (slot, generation) = self.place(flow);
        let entry = &mut self.entries[slot];
        let is_newer = generation.wrapping_sub(entry.generation).cast_signed() > 0;
        if entry.state == State::Unseen || is_newer {
            self.established -= u32::from(entry.state == State::Established);
            *entry = Entry { address: global.address, port: global.port, generation, state: State::Seen };
            return true;
        }
        // A packet that churn has overtaken says nothing.
        entry.generation != generation || (entry.address, entry.port) == (global.address, global.port)
    }

    /// The flow may carry data from now on.
    pub fn establish(&mut self, flow: u32) {
        let (slot, generation) = self.place(flow);
        let entry = &mut self.entries[slot];
        if entry.state == State::Seen && entry.generation == generation {
            entry.state = State::Established;
            self.established += 1;
        }
    }

    /// The flows of the first generation that may not carry data yet.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| entry.state != State::Established).map(|(slot, _)| slot as u32)
    }

    /// How many pairs of different inside endpoints share a global endpoint, and how many flows have another global
    /// endpoint than the first flow of their inside endpoint.
    pub fn conflicts(&self) -> (usize, usize) {
        let (host, peers) = (self.flows.per_subscriber as usize, self.flows.peers as usize);
        let mut globals = Vec::with_capacity(self.entries.len() / peers);
        let mut unstable = 0;
        for endpoint in self.entries.chunks(host).flat_map(|host| host.chunks(peers)) {
            // Churn may have replaced some of them, and then they are of two inside endpoints.
            for (at, entry) in endpoint.iter().enumerate().filter(|(_, entry)| entry.state != State::Unseen) {
                let mut earlier = endpoint[..at].iter().filter(|other| other.state != State::Unseen);
                match earlier.find(|other| other.generation == entry.generation) {
                    None => globals.push((entry.address, entry.port)),
                    Some(first) => {
                        unstable += usize::from((first.address, first.port) != (entry.address, entry.port));
                    }
                }
            }
        }
        globals.sort_unstable();
        (globals.windows(2).filter(|pair| pair[0] == pair[1]).count(), unstable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows() -> Flows {
        Flows {
            subscribers: 2,
            per_subscriber: 4,
            peers: 2,
            inside: [100, 64, 1, 0].into(),
            peer: [198, 51, 100, 7].into(),
        }
    }

    #[test]
    fn a_changed_translation_is_noticed_and_churn_replaces_one() {
        let mut table = Translations::new(&flows());
        let global = |port| Endpoint { address: 1, port };
        assert!(table.see(5, global(10)) && table.find(5).is_none());
        table.establish(5);
        assert_eq!((table.find(5), table.established()), (Some(global(10)), 1));
        assert!(!table.see(5, global(11)), "a second global endpoint");
        assert!(table.see(13, global(12)), "the next generation");
        assert!(table.see(5, global(10)), "an old packet");
        assert_eq!((table.find(5), table.find(13), table.established()), (None, None, 0));
    }

    #[test]
    fn conflicts_are_counted() {
        let mut table = Translations::new(&flows());
        for (flow, port) in [(0, 10), (1, 10), (2, 11), (3, 12), (4, 10)] {
            assert!(table.see(flow, Endpoint { address: 1, port }));
        }
        assert_eq!(table.conflicts(), (1, 1));
    }
}
