//! Neighbours: ARP (RFC 826), for all workers. It answers for the box's addresses, resolves next hops, and
//! keeps what it learnt fresh. No clock and no sockets: events and time go in, orders come out.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use dataplane::policy::{Interface, InterfaceIndex};
use dataplane::route::fib::NextHop;
use dataplane::route::neighbour::Neighbour;
use dataplane::wire::arp;
use ipnet::Ipv4Net;

use crate::compile::{Compiled, is_alias};

/// Requests for one next hop before it is given up, and the time between them in milliseconds.
const REQUESTS_MAX: u32 = 3;
const REQUEST_EVERY_MS: u64 = 1000;
/// How long an answer is believed before it is asked for again, in milliseconds.
const CONFIRM_AFTER_MS: u64 = 300_000;
/// The most neighbours; a host that scans a large connected subnet gets no further.
const NEIGHBOURS_MAX: usize = 60_000;
/// Numbers given up before the forwarding table gets a new generation.
const NUMBERS_RETIRED_MAX: usize = 4000;
const BROADCAST: [u8; 6] = [0xff; 6];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

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
    /// The station.
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
    confirmed_ms: u64,
    requests: u32,
    request_due_ms: Option<u64>,
}

impl Entry {
    /// Sends a request, unless enough went unanswered or the interface is down: then it returns false.
    fn ask(&mut self, compiled: &Compiled, next_hop: NextHop, now_ms: u64, orders: &mut Vec<Order>) -> bool {
        let interface = compiled.policy.interfaces.get(usize::from(next_hop.interface));
        let Some(interface) = interface.filter(|i| i.is_up && self.requests < REQUESTS_MAX) else {
            return false;
        };
        let any_own = || interface.addresses.first().map(|&(own, _)| own);
        let Some(own) = subnet_address(interface, next_hop.addr).or_else(any_own) else { return false };
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
    free_numbers: Vec<u16>,
    /// Numbers given up. Sessions may still hold them, with the forwarding table's generation, and so they
    /// are not given out again before that changes.
    retired_numbers: Vec<u16>,
    next_number: u16,
}

/// An ARP packet's fields.
struct Arp {
    operation: u16,
    sender_mac: [u8; 6],
    sender: Ipv4Addr,
    target: Ipv4Addr,
}

impl Arp {
    fn read(bytes: &[u8; arp::LEN]) -> Arp {
        let addr = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        let mut sender_mac = [0; 6];
        sender_mac.copy_from_slice(&bytes[8..14]);
        Arp {
            operation: u16::from_be_bytes([bytes[6], bytes[7]]),
            sender_mac,
            sender: addr(14),
            target: addr(24),
        }
    }
}

/// An ARP frame from an interface.
fn arp_frame(
    interface: &Interface,
    operation: u16,
    sender: Ipv4Addr,
    to: [u8; 6],
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(18 + arp::LEN);
    frame.extend(to);
    frame.extend(interface.mac);
    if let Some(vlan) = interface.vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(interface.mac);
    frame.extend(sender.octets());
    frame.extend(if to == BROADCAST { [0; 6] } else { to });
    frame.extend(target.octets());
    frame
}

fn subnet_address(interface: &Interface, addr: Ipv4Addr) -> Option<Ipv4Addr> {
    let holds = |&&(own, len): &&(Ipv4Addr, u8)| Ipv4Net::new(own, len).is_ok_and(|net| net.contains(&addr));
    interface.addresses.iter().find(holds).map(|&(own, _)| own)
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
        // A route to the interface makes next hops of stations beyond its subnets.
        let is_on_link = subnet_address(interface, arp.sender).is_some_and(|own| own != arp.sender)
            || self.entries.contains_key(&next_hop);
        let is_believable =
            arp.sender_mac[0] & 1 == 0 && is_on_link && !compiled.policy.is_global(interface.vrf, arp.sender);
        // RFC 826: what is known is updated by any packet, what is new is learnt only where it concerns us.
        if is_believable && (is_asked || is_answer || self.entries.contains_key(&next_hop)) {
            self.learn(compiled, next_hop, arp.sender_mac, now_ms, orders);
        }
        if is_asked && arp.sender != arp.target {
            let frame = arp_frame(interface, REPLY, arp.target, arp.sender_mac, arp.sender);
            orders.push(Order::Send(index, frame));
        }
    }

    /// A packet waits for a next hop.
    pub fn resolve(&mut self, compiled: &Compiled, next_hop: NextHop, now_ms: u64, orders: &mut Vec<Order>) {
        if let Some(entry) = self.entries.get(&next_hop) {
            // The worker's question crossed our answer, or the station is being asked already.
            if entry.mac.is_some() {
                orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, entry.mac)));
            }
            return;
        }
        if self.enter(next_hop).is_none() {
            orders.push(Order::GiveUp(next_hop));
            return;
        }
        if self.entries.get_mut(&next_hop).is_some_and(|entry| !entry.ask(compiled, next_hop, now_ms, orders))
        {
            self.forget(next_hop, orders);
        }
    }

    fn enter(&mut self, next_hop: NextHop) -> Option<&mut Entry> {
        if self.entries.len() >= NEIGHBOURS_MAX {
            return None;
        }
        let number = self.free_numbers.pop().unwrap_or_else(|| {
            self.next_number += 1;
            self.next_number - 1
        });
        let entry =
            Entry { number, mac: None, is_static: false, confirmed_ms: 0, requests: 0, request_due_ms: None };
        Some(self.entries.entry(next_hop).or_insert(entry))
    }

    fn learn(
        &mut self,
        compiled: &Compiled,
        next_hop: NextHop,
        mac: [u8; 6],
        now_ms: u64,
        orders: &mut Vec<Order>,
    ) {
        if !self.entries.contains_key(&next_hop) && self.enter(next_hop).is_none() {
            return;
        }
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        if entry.is_static {
            return;
        }
        entry.confirmed_ms = now_ms;
        (entry.requests, entry.request_due_ms) = (0, Some(now_ms + CONFIRM_AFTER_MS));
        if entry.mac != Some(mac) {
            entry.mac = Some(mac);
            orders.push(Order::Set(entry.number, neighbour(compiled, next_hop, Some(mac))));
        }
    }

    /// Sends the requests that are due, and gives up who does not answer.
    pub fn tick(&mut self, compiled: &Compiled, now_ms: u64, orders: &mut Vec<Order>) {
        let mut lost = Vec::new();
        for (&next_hop, entry) in &mut self.entries {
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
            if !self.entries.contains_key(&next_hop) && self.enter(next_hop).is_none() {
                continue;
            }
            if let Some(entry) = self.entries.get_mut(&next_hop) {
                (entry.is_static, entry.mac, entry.request_due_ms) = (true, Some(mac), None);
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

fn neighbour(compiled: &Compiled, next_hop: NextHop, mac: Option<[u8; 6]>) -> Option<Neighbour> {
    let interface = compiled.policy.interfaces.get(usize::from(next_hop.interface))?;
    Some(Neighbour::new(next_hop, interface.port, mac?, interface.mac, interface.vlan))
}
