//! Which worker owns which global ports.
//!
//! One byte for each group of 64 ports of a global address, claimed by the worker that first takes a port of the group,
//! and given back when none of them is in use. Shared by all workers; claimed rarely, read per packet.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;

use crate::flow::{Endpoint, WorkerIndex};

/// Ports that change owner together.
pub const PORTS_PER_GROUP: usize = 64;
const GROUPS: usize = 65_536 / PORTS_PER_GROUP;
const UNOWNED: u8 = u8::MAX;

/// Who owns which ports of the global addresses. Shared by all workers; claimed rarely, read per packet.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    addresses: HashMap<Ipv4Addr, Arc<Owners>>,
}

/// The owners of one address.
#[derive(Debug)]
struct Owners {
    /// The owner of the whole address.
    whole: AtomicU8,
    /// Subscribers of all workers that are paired with the address.
    subscribers: AtomicU32,
    /// The owners of its groups of ports, made when the first one is claimed.
    groups: OnceLock<Box<[AtomicU8; GROUPS]>>,
}

impl Ownership {
    /// A table for these addresses. What `previous` knows of them stays true, also of claims still to come.
    pub fn new(addresses: impl IntoIterator<Item = Ipv4Addr>, previous: &Ownership) -> Ownership {
        let unowned = || {
            let (whole, subscribers) = (AtomicU8::new(UNOWNED), AtomicU32::new(0));
            Arc::new(Owners { whole, subscribers, groups: OnceLock::new() })
        };
        let owners = |addr| previous.addresses.get(&addr).map_or_else(unowned, Arc::clone);
        Ownership { addresses: addresses.into_iter().map(|addr| (addr, owners(addr))).collect() }
    }

    /// Makes the groups of an address, which would be made when its first port is claimed.
    pub fn make_groups(&self, addr: Ipv4Addr) {
        if let Some(owners) = self.addresses.get(&addr) {
            Self::groups(owners);
        }
    }

    fn groups(owners: &Owners) -> &[AtomicU8; GROUPS] {
        owners.groups.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU8::new(UNOWNED))))
    }

    /// The owner of a global endpoint; none while nobody claimed it.
    pub fn owner(&self, end: Endpoint) -> Option<WorkerIndex> {
        let owners = self.addresses.get(&end.addr)?;
        let whole = owners.whole.load(Ordering::Relaxed);
        let owner = match owners.groups.get() {
            _ if whole != UNOWNED => whole,
            Some(groups) => groups[usize::from(end.port) / PORTS_PER_GROUP].load(Ordering::Relaxed),
            None => UNOWNED,
        };
        (owner != UNOWNED).then_some(owner)
    }

    /// An address's groups as one worker of so many sees them.
    pub fn claimant(&self, addr: Ipv4Addr, worker: WorkerIndex, worker_count: u8) -> Claimant<'_> {
        Claimant { owners: self.addresses.get(&addr).map(Arc::as_ref), worker, worker_count }
    }

    /// Claims the group of a port. Returns whether the worker owns it now.
    pub fn claim(&self, addr: Ipv4Addr, port: u16, worker: WorkerIndex) -> bool {
        self.addresses.get(&addr).is_some_and(|owners| Self::claim_of(owners, port, worker))
    }

    fn claim_of(owners: &Owners, port: u16, worker: WorkerIndex) -> bool {
        let group = &Self::groups(owners)[usize::from(port) / PORTS_PER_GROUP];
        // A group that is the worker's own has ports in use, and so nobody can have the whole address.
        match group.load(Ordering::SeqCst) {
            owner if owner == worker => return true,
            UNOWNED if take(group, worker) => {}
            _ => return false,
        }
        // Claimed first and then looked, as `claim_whole` does: of two at once, at least one sees the other.
        let is_free = owners.whole.load(Ordering::SeqCst) == UNOWNED;
        if !is_free {
            give_back(group, worker);
        }
        is_free
    }

    /// Gives a group back that has no port in use.
    pub fn release(&self, addr: Ipv4Addr, port: u16, worker: WorkerIndex) {
        if let Some(groups) = self.addresses.get(&addr).and_then(|owners| owners.groups.get()) {
            give_back(&groups[usize::from(port) / PORTS_PER_GROUP], worker);
        }
    }

    /// Claims a whole address, of which no group may be owned by another worker.
    pub fn claim_whole(&self, addr: Ipv4Addr, worker: WorkerIndex) -> bool {
        let Some(owners) = self.addresses.get(&addr) else { return false };
        if !take(&owners.whole, worker) {
            return false;
        }
        let is_foreign = |group: &AtomicU8| group.load(Ordering::SeqCst) != UNOWNED;
        if owners.groups.get().is_some_and(|groups| groups.iter().any(is_foreign)) {
            give_back(&owners.whole, worker);
            return false;
        }
        true
    }

    /// Pairs a subscriber with an address, where it has fewer than so many of all workers.
    pub fn claim_subscriber(&self, addr: Ipv4Addr, subscribers_max: u32) -> bool {
        let Some(owners) = self.addresses.get(&addr) else { return false };
        let more = |count| (count < subscribers_max).then_some(count + 1);
        owners.subscribers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok()
    }

    /// Ends a subscriber's pairing with an address.
    pub fn release_subscriber(&self, addr: Ipv4Addr) {
        if let Some(owners) = self.addresses.get(&addr) {
            let less = |count: u32| count.checked_sub(1);
            let _ = owners.subscribers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
        }
    }

    /// Gives a whole address back.
    pub fn release_whole(&self, addr: Ipv4Addr, worker: WorkerIndex) {
        if let Some(owners) = self.addresses.get(&addr) {
            give_back(&owners.whole, worker);
        }
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
    owners: Option<&'a Owners>,
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
        let Some(owners) = self.owners else { return Standing::Foreign };
        let owner = owners.groups.get().map_or(UNOWNED, |groups| groups[group].load(Ordering::Relaxed));
        match owner {
            owner if owner == self.worker => Standing::Own,
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
        self.worker_count <= 1
            || self.owners.is_some_and(|owners| Ownership::claim_of(owners, port, self.worker))
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
    match place.compare_exchange(UNOWNED, worker, Ordering::SeqCst, Ordering::Relaxed) {
        Ok(_) => true,
        Err(owner) => owner == worker,
    }
}

fn give_back(place: &AtomicU8, worker: WorkerIndex) {
    let _ = place.compare_exchange(worker, UNOWNED, Ordering::AcqRel, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn owner(table: &Ownership, port: u16) -> Option<WorkerIndex> {
        table.owner(Endpoint::new(ADDR, port))
    }

    #[test]
    fn a_group_has_one_owner_until_it_is_given_back() {
        let table = Ownership::new([ADDR], &Ownership::default());
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
        let table = Ownership::new([ADDR], &Ownership::default());
        assert!(table.claim(ADDR, 1000, 1));
        assert!(!table.claim_whole(ADDR, 1), "a port is in use");
        table.release(ADDR, 1000, 1);
        assert!(table.claim_whole(ADDR, 2) && !table.claim(ADDR, 1000, 2));
        assert_eq!(owner(&table, 7), Some(2));
    }

    #[test]
    fn a_new_table_shares_what_the_old_one_knew() {
        let old = Ownership::new([ADDR], &Ownership::default());
        let new = Ownership::new([ADDR, Ipv4Addr::new(192, 0, 2, 2)], &old);
        assert!(old.claim(ADDR, 5000, 3));
        assert_eq!(owner(&new, 5000), Some(3));
    }
}
