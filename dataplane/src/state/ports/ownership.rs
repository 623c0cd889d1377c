//! Which worker owns which global ports.
//!
//! One byte for each group of 64 ports of a global address, claimed by the worker that first takes a port of the group,
//! and given back when none of them is in use. Shared by all workers; claimed rarely, read per packet.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::flow::{Endpoint, WorkerIndex};
use crate::state::ports::layout::Layout;

/// Ports that change owner together.
pub const PORTS_PER_GROUP: usize = 64;
const GROUPS: usize = 65_536 / PORTS_PER_GROUP;
/// Nobody's; workers are counted from 1, so that memory of zeros is nobody's.
const UNOWNED: u8 = 0;

/// Who owns which ports of the global addresses. Shared by all workers; claimed rarely, read per packet.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    layout: Arc<Layout>,
    /// By the number of the first address.
    ranges: Vec<Arc<RangeOwners>>,
}

/// The owners of addresses whose numbers follow each other.
#[derive(Debug)]
struct RangeOwners {
    first: u32,
    /// The owners of whole addresses.
    wholes: Box<[AtomicU8]>,
    /// Subscribers of all workers that are paired with each address.
    subscribers: Box<[AtomicU32]>,
    /// The owners of each address's groups of ports; nobody's of a worker that is alone.
    groups: Box<[AtomicU8]>,
}

impl RangeOwners {
    /// Of so many addresses, for so many workers. None without memory.
    fn new(first: u32, count: usize, worker_count: u8) -> Option<RangeOwners> {
        let groups = if worker_count > 1 { count.checked_mul(GROUPS)? } else { 0 };
        Some(RangeOwners {
            first,
            wholes: mem::zeroed(count)?,
            subscribers: mem::zeroed(count)?,
            groups: mem::zeroed(groups)?,
        })
    }
}

/// The owners of one address.
#[derive(Clone, Copy)]
struct Owners<'a> {
    whole: &'a AtomicU8,
    subscribers: &'a AtomicU32,
    groups: &'a [AtomicU8],
}

/// What the owners of an address take, in bytes, for so many workers.
pub fn bytes_per_address(worker_count: u8) -> u64 {
    let groups = if worker_count > 1 { GROUPS } else { 0 };
    (size_of::<AtomicU8>() + size_of::<AtomicU32>() + groups) as u64
}

fn place_of(worker: WorkerIndex) -> u8 {
    worker + 1
}

impl Ownership {
    /// A table for a layout that has the addresses of `previous` and others. What that knows stays true, also of claims
    /// still to come. None where there is no memory for it.
    pub fn new(layout: Layout, previous: &Ownership, worker_count: u8) -> Option<Ownership> {
        let first = previous.layout.count();
        if layout.count() == first {
            return Some(previous.clone());
        }
        let range = RangeOwners::new(first, (layout.count() - first) as usize, worker_count)?;
        let mut ranges = previous.ranges.clone();
        ranges.push(Arc::new(range));
        Some(Ownership { layout: Arc::new(layout), ranges })
    }

    /// The addresses, those of policies before included.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    #[inline]
    fn owners(&self, addr: Ipv4Addr) -> Option<Owners<'_>> {
        let number = self.layout.number_of(addr)?;
        let range = self.ranges.partition_point(|range| range.first <= number).checked_sub(1)?;
        let range = self.ranges.get(range)?;
        let at = (number - range.first) as usize;
        Some(Owners {
            whole: range.wholes.get(at)?,
            subscribers: range.subscribers.get(at)?,
            groups: range.groups.get(at * GROUPS..(at + 1) * GROUPS).unwrap_or_default(),
        })
    }

    /// The owner of a global endpoint; none while nobody claimed it.
    pub fn owner(&self, end: Endpoint) -> Option<WorkerIndex> {
        let owners = self.owners(end.addr)?;
        let whole = owners.whole.load(Ordering::Relaxed);
        let owner = match owners.groups.get(usize::from(end.port) / PORTS_PER_GROUP) {
            _ if whole != UNOWNED => whole,
            Some(group) => group.load(Ordering::Relaxed),
            None => UNOWNED,
        };
        owner.checked_sub(1)
    }

    /// An address's groups as one worker of so many sees them.
    pub fn claimant(&self, addr: Ipv4Addr, worker: WorkerIndex, worker_count: u8) -> Claimant<'_> {
        let owners = if worker_count > 1 { self.owners(addr) } else { None };
        Claimant { owners, worker, worker_count }
    }

    /// Claims the group of a port. Returns whether the worker owns it now.
    pub fn claim(&self, addr: Ipv4Addr, port: u16, worker: WorkerIndex) -> bool {
        self.owners(addr).is_some_and(|owners| owners.claim(port, worker))
    }

    /// Gives a group back that has no port in use.
    pub fn release(&self, addr: Ipv4Addr, port: u16, worker: WorkerIndex) {
        let owners = self.owners(addr);
        if let Some(group) = owners.and_then(|it| it.groups.get(usize::from(port) / PORTS_PER_GROUP)) {
            give_back(group, worker);
        }
    }

    /// Claims a whole address, of which no group may be owned by another worker.
    pub fn claim_whole(&self, addr: Ipv4Addr, worker: WorkerIndex) -> bool {
        let Some(owners) = self.owners(addr) else { return false };
        if !take(owners.whole, worker) {
            return false;
        }
        let is_foreign = |group: &AtomicU8| group.load(Ordering::SeqCst) != UNOWNED;
        if owners.groups.iter().any(is_foreign) {
            give_back(owners.whole, worker);
            return false;
        }
        true
    }

    /// Pairs a subscriber with an address, where it has fewer than so many of all workers.
    pub fn claim_subscriber(&self, addr: Ipv4Addr, subscribers_max: u32) -> bool {
        let Some(owners) = self.owners(addr) else { return false };
        let more = |count| (count < subscribers_max).then_some(count + 1);
        owners.subscribers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok()
    }

    /// Ends a subscriber's pairing with an address.
    pub fn release_subscriber(&self, addr: Ipv4Addr) {
        if let Some(owners) = self.owners(addr) {
            let less = |count: u32| count.checked_sub(1);
            let _ = owners.subscribers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
        }
    }

    /// Gives a whole address back.
    pub fn release_whole(&self, addr: Ipv4Addr, worker: WorkerIndex) {
        if let Some(owners) = self.owners(addr) {
            give_back(owners.whole, worker);
        }
    }
}

impl Owners<'_> {
    fn claim(&self, port: u16, worker: WorkerIndex) -> bool {
        let Some(group) = self.groups.get(usize::from(port) / PORTS_PER_GROUP) else { return false };
        // A group that is the worker's own has ports in use, and so nobody can have the whole address.
        match group.load(Ordering::SeqCst) {
            owner if owner == place_of(worker) => return true,
            UNOWNED if take(group, worker) => {}
            _ => return false,
        }
        // Claimed first and then looked, as `claim_whole` does: of two at once, at least one sees the other.
        let is_free = self.whole.load(Ordering::SeqCst) == UNOWNED;
        if !is_free {
            give_back(group, worker);
        }
        is_free
    }
}

/// Where a worker stands with a group of ports, in the order in which it takes from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It owns the group.
    Own,
    /// Nobody does, and the group is of its share.
    Share,
    /// Nobody does, and the group is of another worker's share.
    Spare,
    /// Another worker owns it.
    Foreign,
}

/// A worker that looks for a port of an address. The groups are shared out by their number, so that every worker has
/// its part whatever the others' subscribers do: it takes of another's share when its own is full.
#[derive(Clone, Copy)]
pub struct Claimant<'a> {
    owners: Option<Owners<'a>>,
    worker: WorkerIndex,
    worker_count: u8,
}

impl Claimant<'_> {
    /// One that owns every group.
    pub const ALONE: Claimant<'static> = Claimant { owners: None, worker: 0, worker_count: 1 };

    /// The kinds of groups to look in, one after the other.
    pub fn standings(&self) -> &'static [Standing] {
        if self.worker_count <= 1 {
            &[Standing::Own]
        } else {
            &[Standing::Own, Standing::Share, Standing::Spare]
        }
    }

    /// Where the worker stands with a group.
    pub fn standing(&self, group: usize) -> Standing {
        if self.worker_count <= 1 {
            return Standing::Own;
        }
        let Some(owners) = &self.owners else { return Standing::Foreign };
        let owner = owners.groups.get(group).map_or(UNOWNED, |group| group.load(Ordering::Relaxed));
        match owner {
            owner if owner == place_of(self.worker) => Standing::Own,
            UNOWNED if self.is_of_share(group) => Standing::Share,
            UNOWNED => Standing::Spare,
            _ => Standing::Foreign,
        }
    }

    fn is_of_share(&self, group: usize) -> bool {
        group % usize::from(self.worker_count) == usize::from(self.worker)
    }

    /// Claims the group of a port. Returns whether the worker owns it now.
    pub fn claim(&self, port: u16) -> bool {
        self.worker_count <= 1 || self.owners.is_some_and(|owners| owners.claim(port, self.worker))
    }

    /// Whether an inside port may be kept, of a range of ports: in a group of another's share only as long as all workers
    /// together can borrow no more than half of that.
    pub fn may_keep(&self, port: u16, range: (u16, u16)) -> bool {
        match self.standing(usize::from(port) / PORTS_PER_GROUP) {
            Standing::Own | Standing::Share => true,
            Standing::Foreign => false,
            Standing::Spare => {
                let groups = usize::from(range.0) / PORTS_PER_GROUP..=usize::from(range.1) / PORTS_PER_GROUP;
                let count = usize::from(self.worker_count);
                let borrowed_max = groups.clone().count() / count / (2 * (count - 1));
                let is_borrowed =
                    |&group: &usize| !self.is_of_share(group) && self.standing(group) == Standing::Own;
                groups.filter(is_borrowed).count() < borrowed_max
            }
        }
    }

    /// The port at the same place of the nearest group below that is of the worker's share; for the lowest, above.
    pub fn in_share(&self, port: u16) -> u16 {
        if self.worker_count <= 1 {
            return port;
        }
        let (count, group) = (usize::from(self.worker_count), usize::from(port) / PORTS_PER_GROUP);
        let group = group - group % count + usize::from(self.worker);
        (group.min(GROUPS - 1) * PORTS_PER_GROUP) as u16 + port % PORTS_PER_GROUP as u16
    }
}

fn take(place: &AtomicU8, worker: WorkerIndex) -> bool {
    match place.compare_exchange(UNOWNED, place_of(worker), Ordering::SeqCst, Ordering::Relaxed) {
        Ok(_) => true,
        Err(owner) => owner == place_of(worker),
    }
}

fn give_back(place: &AtomicU8, worker: WorkerIndex) {
    let _ = place.compare_exchange(place_of(worker), UNOWNED, Ordering::AcqRel, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn table(addrs: &[Ipv4Addr], previous: &Ownership) -> Ownership {
        let ranges = addrs.iter().map(|addr| (addr.to_bits(), addr.to_bits()));
        Ownership::new(previous.layout.with(ranges), previous, 4).unwrap()
    }

    fn owner(table: &Ownership, port: u16) -> Option<WorkerIndex> {
        table.owner(Endpoint::new(ADDR, port))
    }

    #[test]
    fn a_group_has_one_owner_until_it_is_given_back() {
        let table = table(&[ADDR], &Ownership::default());
        assert_eq!(owner(&table, 1000), None);
        assert!(table.claim(ADDR, 1000, 1));
        assert!(table.claim(ADDR, 1000, 1));
        assert!(!table.claim(ADDR, 960, 2), "960 and 1000 are of one group");
        assert!(table.claim(ADDR, 1024, 2));
        table.release(ADDR, 1000, 2);
        assert_eq!(owner(&table, 1000), Some(1));
        table.release(ADDR, 1000, 1);
        assert_eq!(owner(&table, 1000), None);
    }

    #[test]
    fn a_whole_address_excludes_its_ports() {
        let table = table(&[ADDR], &Ownership::default());
        assert!(table.claim(ADDR, 1000, 1));
        assert!(!table.claim_whole(ADDR, 1), "a port is in use");
        table.release(ADDR, 1000, 1);
        assert!(table.claim_whole(ADDR, 2) && !table.claim(ADDR, 1000, 2));
        assert_eq!(owner(&table, 7), Some(2));
    }

    #[test]
    fn a_new_table_shares_what_the_old_one_knew() {
        let old = table(&[ADDR], &Ownership::default());
        let other = Ipv4Addr::new(192, 0, 2, 2);
        let new = table(&[other], &old);
        assert!(old.claim(ADDR, 5000, 3) && new.claim(other, 5000, 0) && !old.claim(other, 5000, 0));
        assert_eq!((owner(&new, 5000), new.owner(Endpoint::new(other, 5000))), (Some(3), Some(0)));
    }
}
