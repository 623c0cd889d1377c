//! Messages: what an outside host says in place of what it said in the capture, and what it reads.

use std::net::{Ipv4Addr, SocketAddrV4};

use dataplane::message::DoorRow;

use super::align::{Alignment, Edit};
use super::judge::{self, DoorState, Heard};
use super::play::{Player, protocol_of};
use super::scenario::ExpectedDoor;
use super::sip::Way;
use crate::packet::{TCP, UDP, View};

impl Player {
    /// Bytes as an outside host says them now: it repeats what it has read.
    pub(super) fn echo(&self, bytes: &[u8]) -> (Vec<u8>, Vec<Edit>) {
        let mut pairs = self.echoes.clone();
        let names = self.scenario.renamed.iter();
        pairs.extend(names.map(|(inside, outside)| (reverse_name(*inside), reverse_name(*outside))));
        replaced(bytes, &pairs)
    }

    /// What the inside host must hear of what an outside host said in the capture.
    pub(super) fn renamed_inside(&self, bytes: &[u8]) -> Vec<u8> {
        let octets = |addr: Ipv4Addr| addr.octets().to_vec();
        let pairs: Vec<_> = self
            .scenario
            .renamed
            .iter()
            .map(|(inside, outside)| (octets(*outside), octets(*inside)))
            .collect();
        replaced(bytes, &pairs).0
    }

    /// A datagram of an inside host came out.
    pub(super) fn datagram_heard(&mut self, packet: &[u8], view: &View, heard: &[u8]) -> Result<(), String> {
        let Some(seen) = View::of(heard) else { return Ok(()) };
        self.learn(view.protocol, view.src, seen.src);
        let (said, heard) = (&packet[view.payload.clone()], &heard[seen.payload.clone()]);
        if self.scenario.is_sip(view) {
            let (protocol, local, outside) = (view.protocol, view.src, *view.dst.ip());
            self.sip_heard(Way { protocol, local, global: seen.src, outside }, said, heard);
            return Ok(());
        }
        let is_control = self.scenario.is_control(view);
        if !is_control || !self.scenario.renamed.is_empty() {
            let names = self.scenario.renamed.iter();
            let pairs: Vec<_> =
                names.map(|(inside, outside)| (reverse_name(*inside), reverse_name(*outside))).collect();
            let expected = if is_control { replaced(said, &pairs).0 } else { said.to_vec() };
            if expected != heard {
                self.complain(format!("a datagram to {} is another: {}", view.dst, heard.escape_ascii()));
            }
            self.report.edits += usize::from(said != heard);
            return Ok(());
        }
        match Alignment::of(self.scenario.form(), said, heard) {
            Err(why) => self.complain(format!("a datagram to {}: {why}", view.dst)),
            Ok(alignment) => {
                let message = Heard { said, heard, alignment: &alignment };
                self.read(&message, *seen.src.ip(), *view.dst.ip());
                self.judge(&message);
            }
        }
        // The announcement may be the endpoint that the datagram came from.
        let (global, peer) = (seen.src, *view.dst.ip());
        let is_it = |door: &&mut DoorState| door.order.local == view.src && protocol_of(&door.order) == UDP;
        for door in self.doors.iter_mut().filter(is_it) {
            (door.announced, door.peer) = (Some(global), Some(peer));
        }
        Ok(())
    }

    /// Notes what an outside host reads in a message.
    pub(super) fn read(&mut self, message: &Heard, own: Ipv4Addr, peer: Ipv4Addr) {
        let open = self.bench.doors();
        let address_of = |host: Ipv4Addr| self.statics.get(&host).copied().unwrap_or(own);
        let global_of = |order: &ExpectedDoor| {
            let protocol = protocol_of(order);
            let door = open.iter().find(|door| {
                (door.protocol, door.inside_local.addr, door.inside_local.port)
                    == (protocol, *order.local.ip(), order.local.port())
            });
            let door = door.map(|door| SocketAddrV4::new(door.inside_global.addr, door.inside_global.port));
            let known = self.doors.iter().find(|door| door.order == *order).and_then(|door| door.announced);
            door.or(known).or_else(|| self.globals.get(&(protocol, order.local)).copied())
        };
        let has_port = |local: SocketAddrV4, port: u16| {
            let of_door = |door: &DoorRow| {
                (door.inside_local.addr, door.inside_local.port) == (*local.ip(), local.port())
                    && door.inside_global.port == port
            };
            let mapped = [TCP, UDP].iter().filter_map(|protocol| self.globals.get(&(*protocol, local)));
            open.iter().any(of_door) || mapped.into_iter().any(|global| global.port() == port)
        };
        let readings = judge::readings(&self.scenario, &self.doors, message, address_of, global_of, has_port);
        for reading in readings {
            match reading {
                Err(why) => self.complain(why),
                Ok(reading) => {
                    self.rewritten.insert(reading.local);
                    if let Some((door, global)) = reading.door {
                        let door = &mut self.doors[door];
                        (door.announced, door.peer) = (Some(global), Some(peer));
                    }
                    if reading.echo.0 != reading.echo.1 && !self.echoes.contains(&reading.echo) {
                        self.echoes.push(reading.echo);
                    }
                }
            }
        }
    }

    /// Verifies that a message changed only where the index says so.
    pub(super) fn judge(&mut self, message: &Heard) {
        self.report.edits += message.alignment.edits.len();
        for why in judge::unlisted(&self.scenario, &self.doors, message) {
            self.complain(why);
        }
    }
}

/// The labels of a name that spells an address backwards (RFC 1035 section 3.5).
fn reverse_name(addr: Ipv4Addr) -> Vec<u8> {
    let mut octets = addr.octets();
    octets.reverse();
    let label = |octet: &u8| {
        let text = octet.to_string();
        [&[text.len() as u8], text.as_bytes()].concat()
    };
    octets.iter().flat_map(label).chain(*b"\x07in-addr\x04arpa").collect()
}

/// Bytes with all occurrences of some stretches replaced, the longest that fits, and what was.
pub(super) fn replaced(bytes: &[u8], pairs: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Vec<Edit>) {
    let (mut out, mut edits, mut at) = (Vec::with_capacity(bytes.len()), Vec::new(), 0);
    while at < bytes.len() {
        let found = pairs.iter().filter(|(said, _)| bytes[at..].starts_with(said));
        match found.max_by_key(|(said, _)| said.len()) {
            Some((said, heard)) => {
                edits.push(Edit { said: at..at + said.len(), heard: out.len()..out.len() + heard.len() });
                out.extend(heard);
                at += said.len();
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    (out, edits)
}
