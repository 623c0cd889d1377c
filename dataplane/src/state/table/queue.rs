//! Queues of a table's records: the oldest is found at once, and any is taken out at once.

use crate::state::table::slots::NONE;

/// A queue of records that are linked by a [`Links`].
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { first: NONE, last: NONE, len: 0 }
    }
}

impl Queue {
    /// The record that has been in it for longest.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The links of a table's records, each of which is in one queue at most.
pub struct Links(Box<[Link]>);

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    behind: u32,
}

const ALONE: Link = Link { before: NONE, behind: NONE };

impl Links {
    /// Links for records numbered from 0 to before `capacity`.
    pub fn new(capacity: usize) -> Links {
        Links(vec![ALONE; capacity].into_boxed_slice())
    }

    /// Puts a record that is in no queue at the end of one.
    pub fn push(&mut self, queue: &mut Queue, number: u32) {
        let Some(link) = self.0.get_mut(number as usize) else { return };
        *link = Link { before: queue.last, behind: NONE };
        match self.0.get_mut(queue.last as usize) {
            Some(last) => last.behind = number,
            None => queue.first = number,
        }
        queue.last = number;
        queue.len += 1;
    }

    /// Takes a record out of the queue that it is in.
    pub fn take(&mut self, queue: &mut Queue, number: u32) {
        let Some(link) = self.0.get_mut(number as usize) else { return };
        let Link { before, behind } = std::mem::replace(link, ALONE);
        match self.0.get_mut(before as usize) {
            Some(link) => link.behind = behind,
            None => queue.first = behind,
        }
        match self.0.get_mut(behind as usize) {
            Some(link) => link.before = before,
            None => queue.last = before,
        }
        queue.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(links: &mut Links, queue: &mut Queue) -> Vec<u32> {
        std::iter::from_fn(|| queue.first().inspect(|&first| links.take(queue, first))).collect()
    }

    #[test]
    fn the_oldest_come_first_and_any_is_taken_out() {
        let (mut links, mut one, mut other) = (Links::new(8), Queue::default(), Queue::default());
        for number in 0..8 {
            links.push(if number % 2 == 0 { &mut one } else { &mut other }, number);
        }
        links.take(&mut one, 0);
        links.take(&mut one, 4);
        links.take(&mut other, 7);
        assert_eq!((one.len(), other.len()), (2, 3));
        links.push(&mut one, 0);
        assert_eq!(drained(&mut links, &mut one), [2, 6, 0]);
        assert_eq!(drained(&mut links, &mut other), [1, 3, 5]);
        assert!(one.is_empty() && one.first().is_none());
    }
}
