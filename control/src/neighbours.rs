//! Neighbours: ARP (RFC 826), for all workers. It answers for the box's addresses, resolves next hops, and
//! keeps what it learnt fresh. No clock and no sockets: events and time go in, orders come out.

use std::collections::{HashMap, VecDeque};

use dataplane::policy::InterfaceIndex;
use dataplane::route::fib::NextHop;
use dataplane::route::neighbour::Neighbour;
use dataplane::wire::arp;

use crate::arp::{Arp, BROADCAST, REPLY, REQUEST, arp_frame, own_address, subnet_address};
use crate::compile::{Compiled, is_alias};
use crate::config::model::MacAddress;

/// Requests for one next hop before it is given up, and the time between them in milliseconds.
const REQUESTS_MAX: u32 = 3;
const REQUEST_EVERY_MS: u64 = 1000;
/// How long an answer is believed before it is asked for again, in milliseconds.
pub const CONFIRM_AFTER_MS: u64 = 300_000;
/// How long a host with another MAC address has to answer for itself before the other one is believed, in milliseconds.
const DEFEND_WITHIN_MS: u64 = 500;
/// A host that two MAC addresses claim is told of no more often than this, in milliseconds.
const CLAIM_TOLD_EVERY_MS: u64 = 30_000;
/// What is due is looked for no more often than this, in milliseconds.
const TICK_EVERY_MS: u64 = 10;
/// The most neighbours. Each interface has its part of them: a host that scans a large connected subnet, or answers for all of
/// it, takes no other interface's.
const NEIGHBOURS_MAX: usize = 60_000;
/// Numbers given up before the forwarding table gets a new generation.
const NUMBERS_RETIRED_MAX: usize = 4000;

/// What the workers are to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Take over what a neighbour's number stands for.
    Set(u16, Option<Neighbour>),
    /// Drop what waits for this next hop.
    GiveUp(NextHop),
    /// Send this frame.
    Send(InterfaceIndex, Vec<u8>),
}

/// A neighbour as `show ip arp` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourRow {
    /// The neighbour.
    pub next_hop: NextHop,
    /// Its address, none while it is asked for.
    pub mac: Option<[u8; 6]>,
    /// Milliseconds since it was last confirmed; none for a configured one.
    pub age_ms: Option<u64>,
}

struct Entry {
    number: u16,
    mac: Option<[u8; 6]>,
    is_static: bool,
    /// It has answered a request of ours, or is configured. One that has not gives way when its interface has its part.
    is_confirmed: bool,
    confirmed_ms: u64,
    requests: u32,
    request_due_ms: Option<u64>,
    claim: Option<Claim>,
    claim_told_ms: Option<u64>,
}

/// Another address that says it is a confirmed neighbour's. The one that is known is asked, and has until then to answer.
struct Claim {
    mac: [u8; 6],
    until_ms: u64,
}

/// An interface's neighbours.
#[derive(Default)]
struct Part {
    count: usize,
    /// Those that were not confirmed when they were entered, in that order; others are passed over.
    unconfirmed: VecDeque<(NextHop, u16)>,
}

impl Entry {
    /// What `mac` said of itself agrees with what is known, or is new.
    fn confirm(&mut self, mac: [u8; 6], is_answer: bool, now_ms: u64) {
        self.is_confirmed |= is_answer;
        (self.mac, self.confirmed_ms) = (Some(mac), now_ms);
        (self.requests, self.request_due_ms) = (0, Some(now_ms + CONFIRM_AFTER_MS));
    }

    /// Sends a request, unless enough went unanswered or the interface is down: then it returns false.
    fn ask(&mut self, compiled: &Compiled, next_hop: NextHop, now_ms: u64, orders: &mut Vec<Order>) -> bool {
        let interface = compiled.policy.interfaces.get(usize::from(next_hop.interface));
        let Some(interface) = interface.filter(|i| i.is_up && self.requests < REQUESTS_MAX) else {
            return false;
        };
        let Some(own) = own_address(interface, next_hop.addr) else { return false };
        self.requests += 1;
        self.request_due_ms = Some(now_ms + REQUEST_EVERY_MS);
        // One who is known is asked directly at first, so that confirming costs the subnet nothing.
        let to = self.mac.filter(|_| self.requests < REQUESTS_MAX).unwrap_or(BROADCAST);
        let frame = arp_frame(interface, REQUEST, own, to, next_hop.addr);
        orders.push(Order::Send(next_hop.interface, frame));
        true
    }
}

/// All neighbours of the appliance.
#[derive(Default)]
pub struct Neighbours {
    entries: HashMap<NextHop, Entry>,
    parts: HashMap<InterfaceIndex, Part>,
    ticked_ms: u64,
    free_numbers: Vec<u16>,
    /// Numbers given up. Sessions may still hold them, with the forwarding table's generation, and so they
    /// are not given out again before that changes.
    retired_numbers: Vec<u16>,
    next_number: u16,
}

impl Neighbours {
    /// An ARP packet arrived.
    pub fn receive(
        &mut self,
        compiled: &Compiled,
        index: InterfaceIndex,
        bytes: &[u8; arp::LEN],
        now_ms: u64,
        orders: &mut Vec<Order>,
    ) {
        let arp = Arp::read(bytes);
        let Some(interface) = compiled.policy.interfaces.get(usize::from(index)) else { return };
        let is_own = interface.addresses.iter().any(|&(own, _)| own == arp.target);
        let is_asked = arp.operation == REQUEST && (is_own || is_alias(compiled, interface, arp.target));
        let is_answer = arp.operation == REPLY && is_own;
        let next_hop = NextHop { interface: index, addr: arp.sender };
        // A route to the interface makes next hops of hosts beyond its subnets.
        let is_on_link = subnet_address(interface, arp.sender).is_some_and(|own| own != arp.sender)
            || self.entries.contains_key(&next_hop);
        let is_believable =
            arp.sender_mac[0] & 1 == 0 && is_on_link && !compiled.policy.is_global(interface.vrf, arp.sender);
        // RFC 826: what is known is updated by any packet, what is new is learnt only where it concerns us.
        if is_believable && (is_asked || is_answer || self.entries.contains_key(&next_hop)) {
            self.learn(compiled, next_hop, (arp.sender_mac, is_answer), now_ms, orders);
        }
        if is_asked && arp.sender != arp.target {
            let frame = arp_frame(interface, REPLY, arp.target, arp.sender_mac, arp.sender);
            orders.push(Order::Send(index, frame));
        }
    }

    /// A packet waits for a next hop.
    pub fn resolve(&mut self, compiled: &Compiled, next_hop: NextHop, now_ms: u64, orders: &mut Vec<Order>) {
        if let Some(entry) = self.entries.get(&next_hop) {
            // The worker's question crossed our answer, or the host is being asked already.
            if entry.mac.is_some() {
                orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, entry.mac)));
            }
            return;
        }
        if self.enter(compiled, next_hop, orders).is_none() {
            orders.push(Order::GiveUp(next_hop));
            return;
        }
        if self.entries.get_mut(&next_hop).is_some_and(|entry| !entry.ask(compiled, next_hop, now_ms, orders))
        {
            self.forget(next_hop, orders);
        }
    }

    /// Enters a neighbour, in place of the oldest unconfirmed one where its interface has its part.
    fn enter(
        &mut self,
        compiled: &Compiled,
        next_hop: NextHop,
        orders: &mut Vec<Order>,
    ) -> Option<&mut Entry> {
        let interfaces = &compiled.policy.interfaces;
        let share = NEIGHBOURS_MAX / interfaces.iter().filter(|interface| interface.is_up).count().max(1);
        if self.parts.get(&next_hop.interface).is_some_and(|part| part.count >= share) {
            let oldest = self.oldest_unconfirmed(next_hop.interface)?;
            self.forget(oldest, orders);
        }
        if self.entries.len() >= NEIGHBOURS_MAX {
            return None;
        }
        let number = match self.free_numbers.pop() {
            Some(number) => number,
            None => {
                self.next_number = self.next_number.checked_add(1)?;
                self.next_number - 1
            }
        };
        let part = self.parts.entry(next_hop.interface).or_default();
        part.count += 1;
        part.unconfirmed.push_back((next_hop, number));
        if part.unconfirmed.len() > 2 * NEIGHBOURS_MAX {
            let entries = &self.entries;
            part.unconfirmed.retain(|waiting| is_unconfirmed(entries, waiting));
        }
        let entry = Entry {
            number,
            mac: None,
            is_static: false,
            is_confirmed: false,
            confirmed_ms: 0,
            requests: 0,
            request_due_ms: None,
            claim: None,
            claim_told_ms: None,
        };
        Some(self.entries.entry(next_hop).or_insert(entry))
    }

    fn oldest_unconfirmed(&mut self, interface: InterfaceIndex) -> Option<NextHop> {
        let part = self.parts.get_mut(&interface)?;
        while let Some(waiting) = part.unconfirmed.pop_front() {
            if is_unconfirmed(&self.entries, &waiting) {
                return Some(waiting.0);
            }
        }
        None
    }

    /// A host says its MAC address; `is_answer` to a request of ours, as it seems.
    fn learn(
        &mut self,
        compiled: &Compiled,
        next_hop: NextHop,
        (mac, is_answer): ([u8; 6], bool),
        now_ms: u64,
        orders: &mut Vec<Order>,
    ) {
        if !self.entries.contains_key(&next_hop) && self.enter(compiled, next_hop, orders).is_none() {
            return;
        }
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        if entry.is_static {
            return;
        }
        // Anybody can send a reply that nobody asked for, and it proves nothing.
        let is_answer = is_answer && (entry.requests > 0 || entry.claim.is_some());
        let known = entry.mac.filter(|_| entry.is_confirmed);
        if let Some(known) = known.filter(|known| *known != mac) {
            // Anybody on the subnet can say so: whoever is known is asked before it is believed.
            let until_ms = entry.claim.as_ref().map_or(now_ms + DEFEND_WITHIN_MS, |claim| claim.until_ms);
            if entry.claim.replace(Claim { mac, until_ms }).is_none() {
                orders.extend(request(compiled, next_hop, known));
            }
            return;
        }
        if let Some(claim) = entry.claim.take_if(|_| is_answer) {
            let is_known = entry.claim_told_ms.is_some_and(|told_ms| now_ms < told_ms + CLAIM_TOLD_EVERY_MS);
            if !is_known {
                entry.claim_told_ms = Some(now_ms);
                tell_of_claim(compiled, next_hop, mac, &claim);
            }
        }
        let is_new = entry.mac != Some(mac);
        entry.confirm(mac, is_answer, now_ms);
        if is_new {
            orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, Some(mac))));
        }
    }

    /// Sends the requests that are due, believes claims that nobody answered, and gives up who does not answer.
    pub fn tick(&mut self, compiled: &Compiled, now_ms: u64, orders: &mut Vec<Order>) {
        if now_ms < self.ticked_ms + TICK_EVERY_MS {
            return;
        }
        self.ticked_ms = now_ms;
        let mut lost = Vec::new();
        for (&next_hop, entry) in &mut self.entries {
            if let Some(claim) = entry.claim.take_if(|claim| claim.until_ms <= now_ms) {
                tell_of_move(compiled, next_hop, entry.mac, claim.mac);
                entry.is_confirmed = false;
                entry.confirm(claim.mac, false, now_ms);
                orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, Some(claim.mac))));
            }
            let is_due = entry.request_due_ms.is_some_and(|due| due <= now_ms);
            if is_due && !entry.ask(compiled, next_hop, now_ms, orders) {
                lost.push(next_hop);
            }
        }
        for next_hop in lost {
            self.forget(next_hop, orders);
        }
    }

    /// Whether so many numbers are given up that the forwarding table should get a new generation.
    pub fn needs_new_generation(&self) -> bool {
        self.retired_numbers.len() > NUMBERS_RETIRED_MAX
    }

    /// The forwarding table has a new generation: nothing holds the numbers given up.
    pub fn start_generation(&mut self) {
        self.free_numbers.append(&mut self.retired_numbers);
    }

    /// Forgets who was learnt.
    pub fn clear(&mut self, orders: &mut Vec<Order>) {
        let is_learnt = |entry: &Entry| entry.mac.is_some() && !entry.is_static;
        let learnt: Vec<NextHop> =
            self.entries.iter().filter(|(_, entry)| is_learnt(entry)).map(|(hop, _)| *hop).collect();
        learnt.into_iter().for_each(|next_hop| self.forget(next_hop, orders));
    }

    fn forget(&mut self, next_hop: NextHop, orders: &mut Vec<Order>) {
        let Some(entry) = self.entries.remove(&next_hop) else { return };
        if let Some(part) = self.parts.get_mut(&next_hop.interface) {
            part.count -= 1;
        }
        if entry.mac.is_some() {
            orders.push(Order::Set(entry.number, None));
        }
        self.retired_numbers.push(entry.number);
        orders.push(Order::GiveUp(next_hop));
    }

    /// Takes over a new configuration: interfaces that are gone take their neighbours with them, headers are
    /// made anew, configured neighbours are entered, and every address is announced.
    pub fn reconfigure(&mut self, compiled: &Compiled, orders: &mut Vec<Order>) {
        let is_configured = |hop: &NextHop| compiled.static_neighbours.iter().any(|(known, _)| known == hop);
        let is_on_subnet = |hop: &NextHop| {
            compiled
                .policy
                .interfaces
                .get(usize::from(hop.interface))
                .is_some_and(|interface| interface.is_up)
        };
        let stale: Vec<NextHop> = self
            .entries
            .iter()
            .filter(|(hop, entry)| !is_on_subnet(hop) || (entry.is_static && !is_configured(hop)))
            .map(|(hop, _)| *hop)
            .collect();
        stale.into_iter().for_each(|hop| self.forget(hop, orders));
        for &(next_hop, mac) in &compiled.static_neighbours {
            if !self.entries.contains_key(&next_hop) && self.enter(compiled, next_hop, orders).is_none() {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(&next_hop) {
                (entry.is_static, entry.is_confirmed, entry.claim) = (true, true, None);
                (entry.mac, entry.request_due_ms) = (Some(mac), None);
            }
        }
        for (&next_hop, entry) in &self.entries {
            if entry.mac.is_some() {
                orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, entry.mac)));
            }
        }
        self.announce(compiled, orders);
    }

    /// Gratuitous ARP (RFC 5227 section 3) for the box's own addresses, so that a neighbour's stale entry for
    /// them ends with the restart.
    fn announce(&self, compiled: &Compiled, orders: &mut Vec<Order>) {
        for (index, interface) in compiled.policy.interfaces.iter().enumerate() {
            if interface.is_up && interface.port != u16::MAX {
                for &(own, _) in &interface.addresses {
                    let frame = arp_frame(interface, REQUEST, own, BROADCAST, own);
                    orders.push(Order::Send(index as InterfaceIndex, frame));
                }
            }
        }
    }

    /// Every neighbour, in the order of interfaces and addresses.
    pub fn rows(&self, now_ms: u64) -> Vec<NeighbourRow> {
        let row = |(&next_hop, entry): (&NextHop, &Entry)| NeighbourRow {
            next_hop,
            mac: entry.mac,
            age_ms: (!entry.is_static).then(|| now_ms.saturating_sub(entry.confirmed_ms)),
        };
        let mut rows: Vec<NeighbourRow> = self.entries.iter().map(row).collect();
        rows.sort_by_key(|row| (row.next_hop.interface, row.next_hop.addr));
        rows
    }
}

fn is_unconfirmed(entries: &HashMap<NextHop, Entry>, (next_hop, number): &(NextHop, u16)) -> bool {
    entries.get(next_hop).is_some_and(|entry| entry.number == *number && !entry.is_confirmed)
}

/// A request to one host alone.
fn request(compiled: &Compiled, next_hop: NextHop, to: [u8; 6]) -> Option<Order> {
    let interface = compiled.policy.interfaces.get(usize::from(next_hop.interface))?;
    let own = own_address(interface, next_hop.addr)?;
    Some(Order::Send(next_hop.interface, arp_frame(interface, REQUEST, own, to, next_hop.addr)))
}

fn tell_of_claim(compiled: &Compiled, next_hop: NextHop, known: [u8; 6], claim: &Claim) {
    if let Some(interface) = compiled.policy.interfaces.get(usize::from(next_hop.interface)) {
        tracing::warn!(
            mnemonic = "IP-4-ARPCLAIM",
            "{} on {} stays at {}, which still answers; the claim of {} is ignored",
            next_hop.addr,
            interface.name,
            MacAddress(known),
            MacAddress(claim.mac)
        );
    }
}

fn tell_of_move(compiled: &Compiled, next_hop: NextHop, from: Option<[u8; 6]>, to: [u8; 6]) {
    if let Some((interface, from)) = compiled.policy.interfaces.get(usize::from(next_hop.interface)).zip(from)
    {
        tracing::info!(
            mnemonic = "IP-6-ARPMOVED",
            "{} on {} moved to {}; {} has stopped answering",
            next_hop.addr,
            interface.name,
            MacAddress(to),
            MacAddress(from)
        );
    }
}

fn neighbour(compiled: &Compiled, next_hop: NextHop, mac: Option<[u8; 6]>) -> Option<Neighbour> {
    let interface = compiled.policy.interfaces.get(usize::from(next_hop.interface))?;
    Some(Neighbour::new(next_hop, interface.port, mac?, interface.mac, interface.vlan))
}

#[cfg(test)]
mod tests;
