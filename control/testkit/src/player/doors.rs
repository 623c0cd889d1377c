//! Checks of doors: which are open, and whether packets reach those that the capture announces but does not use.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Transport;
use dataplane::message::DoorRow;

use super::flow::{INSIDE, OUTSIDE};
use super::judge::DoorState;
use super::play::{Player, protocol_of};
use super::scenario::Mode;
use crate::packet::{self, SYN, View};

/// A host to which no endpoint was announced.
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

impl Player {
    /// Checks that only the doors that the index lists are open.
    pub(super) fn check_doors(&mut self) {
        if !self.scenario.is_judged() {
            return;
        }
        let open = self.bench.doors();
        let is_listed = |door: &DoorRow| {
            let inside = SocketAddrV4::new(door.inside_local.addr, door.inside_local.port);
            self.doors
                .iter()
                .any(|known| known.order.local == inside && protocol_of(&known.order) == door.protocol)
        };
        let unlisted = open.into_iter().find(|door| !is_listed(door));
        if let Some(door) = unlisted {
            self.complain(format!("a door that is not listed: {:?}", door.inside_local));
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
            let DoorState { order, announced, arrived, is_used, peer } = self.doors[n].clone();
            let (Some(global), Some(peer)) = (announced, order.from.or(peer)) else { continue };
            if arrived || is_used {
                continue;
            }
            for (host, is_welcome) in [(STRANGER, false), (peer, true)] {
                // With a global address of its own, or in CGN mode, the inside host is reached by strangers too.
                let hears_all =
                    self.scenario.mode == Mode::Cgn || self.statics.contains_key(order.local.ip());
                if !is_welcome && hears_all {
                    continue;
                }
                let ends = (SocketAddrV4::new(host, 20_001), global);
                let packet = match order.transport {
                    Transport::Tcp => packet::segment(ends, (1, 0, SYN), &[], &[]),
                    Transport::Udp => packet::datagram(ends, b"a try"),
                };
                self.report.made += 1;
                let before = self.bench.counter("dropped");
                let out = self.send(OUTSIDE, &packet)?;
                self.strangers += self.bench.counter("dropped") - before;
                let has_come = out.iter().any(|(side, packet)| {
                    *side == INSIDE && View::of(packet).is_some_and(|view| view.dst == order.local)
                });
                if has_come != is_welcome {
                    let how = if has_come { "came to" } else { "did not come to" };
                    self.complain(format!("{host} {how} {} by {global}", order.local));
                }
                self.doors[n].arrived |= has_come;
            }
        }
        Ok(())
    }
}
