//! Checks of doors: which are open, and whether packets reach those that the capture announces but does not use.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Transport;
use dataplane::message::DoorRow;

use super::flow::{INSIDE, OUTSIDE};
use super::judge::DoorState;
use super::play::{Player, protocol_of};
use super::scenario::{ExpectedDoor, Mode};
use crate::packet::{self, SYN, View};

/// A host to which no endpoint was announced.
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

impl Player {
    /// Notes which ports lead where.
    pub(super) fn note_doors(&mut self, open: &[DoorRow]) {
        for door in open {
            let local = SocketAddrV4::new(door.inside_local.addr, door.inside_local.port);
            self.door_ports.insert((door.protocol, local, door.inside_global.port));
        }
    }

    /// Checks that only the doors that the index lists are open.
    pub(super) fn check_doors(&mut self) {
        if !self.scenario.is_judged() {
            return;
        }
        let open = self.bench.doors();
        let is_foreign = |door: &&DoorRow| !self.scenario.inside.contains(&door.inside_local.addr);
        if let Some(door) = open.iter().find(is_foreign) {
            let why = format!("a door to a host that is not inside: {:?}", door.inside_local);
            self.accuse(why);
        }
        let is_listed = |door: &DoorRow| {
            let inside = SocketAddrV4::new(door.inside_local.addr, door.inside_local.port);
            self.doors
                .iter()
                .any(|known| known.order.local == inside && protocol_of(&known.order) == door.protocol)
                || self.signalling.contains(&(door.protocol, inside))
        };
        // One that leads outwards has no inside port: nobody comes in by it.
        let inwards = open.iter().filter(|door| door.inside_local.port != 0);
        let unlisted = inwards.filter(|door| !is_listed(door)).map(|door| door.inside_local).next();
        if let Some(door) = unlisted {
            self.complain(format!("a door that is not listed: {door:?}"));
        }
    }

    /// Notes that a packet reached a door.
    pub(super) fn arrive(&mut self, local: SocketAddrV4) {
        let at_door = |door: &&mut DoorState| door.order.local == local;
        self.doors.iter_mut().filter(at_door).for_each(|door| door.arrived = true);
    }

    /// Tries the doors that the capture announces and does not use: strangers stay out, the announced host comes in.
    pub(super) fn try_doors(&mut self) -> Result<(), String> {
        for n in 0..self.doors.len() {
            let DoorState { order, announced, is_used, .. } = self.doors[n].clone();
            let Some(global) = announced.filter(|_| !is_used) else { continue };
            for (host, is_welcome) in self.who_tries(n) {
                self.doors[n].is_tried |= !is_welcome;
                let has_come = self.try_door(&order, global, host)?;
                if has_come != is_welcome {
                    let how = if has_come { "came to" } else { "did not come to" };
                    self.complain(format!("{host} {how} {} by {global}", order.local));
                }
                self.doors[n].arrived |= has_come;
            }
        }
        Ok(())
    }

    /// The hosts that try a door now, and whether they are to come in.
    fn who_tries(&self, n: usize) -> Vec<(Ipv4Addr, bool)> {
        let DoorState { order, arrived, peer, line, is_tried, .. } = &self.doors[n];
        // With a global address of its own, or in CGN mode, the inside host is reached by strangers too.
        let hears_all = self.scenario.mode == Mode::Cgn || self.statics.contains_key(order.local.ip());
        let Some(line) = line else {
            let Some(peer) = order.from.or(*peer).filter(|_| !arrived) else { return Vec::new() };
            let stranger = (!hears_all).then_some((STRANGER, false));
            return stranger.into_iter().chain([(peer, true)]).collect();
        };
        // Media may come before it is known from where (RFC 3264 section 5.1), and from where a private address may be is not known.
        let told = self.words.peers.get(line).filter(|addr| !addr.is_private() && !addr.is_unspecified());
        let stranger = told.filter(|_| !hears_all && !is_tried).map(|_| (STRANGER, false));
        let welcome = told.or(peer.as_ref()).filter(|_| !arrived).map(|peer| (*peer, true));
        stranger.into_iter().chain(welcome).collect()
    }

    /// A packet of an outside host to a door. Returns whether it came to where that leads.
    fn try_door(
        &mut self,
        order: &ExpectedDoor,
        global: SocketAddrV4,
        host: Ipv4Addr,
    ) -> Result<bool, String> {
        let ends = (SocketAddrV4::new(host, 20_001), global);
        let packet = match order.transport {
            Transport::Tcp => packet::segment(ends, (1, 0, SYN), &[], &[]),
            Transport::Udp => packet::datagram(ends, b"a try"),
        };
        self.report.made += 1;
        let before = self.bench.counter("dropped");
        let out = self.send(OUTSIDE, &packet)?;
        self.strangers += self.bench.counter("dropped") - before;
        Ok(out.iter().any(|(side, packet)| {
            *side == INSIDE && View::of(packet).is_some_and(|view| view.dst == order.local)
        }))
    }
}
