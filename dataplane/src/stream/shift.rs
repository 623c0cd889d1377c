//! From the sender's sequence numbers to the receiver's and back.
//!
//! Where a message was changed, what follows is shifted. The retained chunks are the list of such places: each
//! stands for a range of the sender's numbers and has one of the receiver's. A chunk is kept until it is acknowledged;
//! its shift then becomes part of the flow's. Numbers older than all chunks belong to bytes that the receiver has: to
//! map them by the shift of today keeps them old, and that is all that counts.

use super::chunks::{Chunks, List};
use super::sequence::is_before;

/// The retained chunks of a flow, and the shift of what lies before them.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    pub chunks: &'a Chunks,
    pub retained: List,
    pub shift: u32,
}

impl Map<'_> {
    /// The receiver's number for a sender's. Inside a changed place it is the place's beginning.
    pub fn to_receiver(self, seq: u32) -> u32 {
        let mut shift = self.shift;
        for (_, chunk) in self.chunks.iter(self.retained) {
            if is_before(seq, chunk.source) {
                break;
            }
            // A part of a message that grew may stand for nothing, and yet comes first.
            if seq == chunk.source || is_before(seq, chunk.source_end()) {
                return chunk.seq;
            }
            shift = chunk.end().wrapping_sub(chunk.source_end());
        }
        seq.wrapping_add(shift)
    }

    /// The sender's number for a receiver's. Inside a changed place it is the place's beginning: no byte of it is
    /// known to have arrived before all have.
    pub fn to_sender(self, seq: u32) -> u32 {
        let mut shift = self.shift;
        for (_, chunk) in self.chunks.iter(self.retained) {
            if is_before(seq, chunk.seq) {
                break;
            }
            if is_before(seq, chunk.end()) {
                return chunk.source;
            }
            shift = chunk.end().wrapping_sub(chunk.source_end());
        }
        seq.wrapping_sub(shift)
    }

    /// The same, but inside a changed place it is its end: where a SACK block may begin.
    pub fn to_sender_end(self, seq: u32) -> u32 {
        let inside = self
            .chunks
            .iter(self.retained)
            .find(|(_, chunk)| is_before(chunk.seq, seq) && is_before(seq, chunk.end()));
        match inside {
            Some((_, chunk)) => chunk.source_end(),
            None => self.to_sender(seq),
        }
    }

    /// A SACK block in the sender's numbers; none where no whole byte above `acked` is left of it.
    pub fn block_to_sender(self, (left, right): (u32, u32), acked: u32) -> Option<(u32, u32)> {
        let block = (self.to_sender_end(left), self.to_sender(right));
        let is_above = is_before(acked, block.0) && is_before(block.0, block.1);
        is_above.then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::chunks::Chunk;
    use proptest::prelude::*;

    /// Chunks as (source, length at the source, length now), with the shift before them.
    fn with_map<T>(shift: u32, places: &[(u32, u32, u16)], test: impl FnOnce(Map) -> T) -> T {
        let (mut chunks, mut retained) = (Chunks::new(places.len(), 100), List::EMPTY);
        let mut after = shift;
        for &(source, source_len, len) in places {
            let mut chunk = Chunk::new(None, 0, len, source.wrapping_add(after));
            (chunk.source, chunk.source_len) = (source, source_len);
            after = after.wrapping_add(u32::from(len)).wrapping_sub(source_len);
            chunks.push(&mut retained, chunk).ok().unwrap();
        }
        test(Map { chunks: &chunks, retained, shift })
    }

    #[test]
    fn edges_of_changed_places() {
        // Ten bytes at 100 become 14, five at 200 vanish.
        with_map(3, &[(100, 10, 14), (200, 5, 0)], |map| {
            for (sender, receiver) in [(99, 102), (100, 103), (105, 103), (110, 117), (199, 206), (205, 207)]
            {
                assert_eq!(map.to_receiver(sender), receiver, "{sender}");
            }
            for (receiver, sender, end) in [
                (102, 99, 99),
                (103, 100, 100),
                (110, 100, 110),
                (116, 100, 110),
                (117, 110, 110),
                (206, 199, 199),
                (207, 205, 205),
            ] {
                assert_eq!(
                    (map.to_sender(receiver), map.to_sender_end(receiver)),
                    (sender, end),
                    "{receiver}"
                );
            }
            assert_eq!(map.block_to_sender((105, 206), 50), Some((110, 199)));
            assert_eq!(map.block_to_sender((104, 116), 50), None, "no whole place");
            assert_eq!(map.block_to_sender((117, 120), 110), None, "a duplicate's report");
        });
    }

    proptest! {
        #[test]
        fn there_and_back(
            start in any::<u32>(), shift in -500i32..500,
            places in prop::collection::vec((1u32..50, 0u32..40, 0u16..60), 0..6), at in 0u32..500,
        ) {
            let mut next = start;
            let places: Vec<_> = places.into_iter().map(|(gap, source_len, len)| {
                let source = next.wrapping_add(gap);
                next = source.wrapping_add(source_len);
                (source, source_len, len)
            }).collect();
            with_map(shift as u32, &places, |map| {
                let seq = start.wrapping_add(at);
                let inside = places.iter().find(|(source, len, _)| seq.wrapping_sub(*source) < *len);
                match inside {
                    None => prop_assert_eq!(map.to_sender(map.to_receiver(seq)), seq),
                    // What was deleted is acknowledged with what came before it.
                    Some((source, len, 0)) => prop_assert_eq!(map.to_sender(map.to_receiver(*source)), source.wrapping_add(*len)),
                    Some((source, _, _)) => prop_assert_eq!(map.to_sender(map.to_receiver(seq)), *source),
                }
                // An acknowledgement never covers more than has arrived, and never goes back.
                let out = map.to_receiver(start).wrapping_add(at);
                prop_assert!(!is_before(map.to_sender(out.wrapping_add(1)), map.to_sender(out)));
                prop_assert!(!is_before(out, map.to_receiver(map.to_sender(out))));
                Ok(())
            })?;
        }
    }
}
