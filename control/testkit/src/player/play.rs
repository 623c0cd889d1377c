//! Playing a capture: the inside host's frames go in as they are, the outside host's are derived from what it saw.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

use control::config::InterfaceName;

use super::capture::Taken;
use super::changes::{self, Changes};
use super::flow::{Flow, INSIDE, OUTSIDE};
use super::judge::DoorState;
use super::scenario::{ExpectedDoor, POOL, Scenario};
use super::sip::Words;
use crate::bench::{Bench, Setup};
use crate::packet::{ICMP, Kind, TCP, UDP, View};
use crate::stations::frame;

/// The longest pause that is waited out, in milliseconds.
const PAUSE_MS_MAX: u64 = 1000;
/// Stations that frames come from.
const STATION: [u8; 6] = [2, 0, 0, 0, 9, 9];

/// What came of a capture.
#[derive(Debug, Default)]
pub struct Report {
    /// Frames of the capture that were played.
    pub played: usize,
    /// Frames that it lacked: handshakes, acknowledgements.
    pub made: usize,
    /// Frames between hosts that are both outside, or both inside.
    pub elsewhere: usize,
    /// Frames that are not IPv4: they are dropped.
    pub not_ipv4: usize,
    /// Listed doors that somebody came through, and all of them.
    pub doors: (usize, usize),
    /// Numbers and values that were changed in messages.
    pub edits: usize,
    /// Messages that gateways read.
    pub messages: u64,
    /// Why messages were refused, and how often.
    pub refused: BTreeMap<&'static str, u64>,
    /// Why packets were dropped, and how often.
    pub dropped: BTreeMap<&'static str, u64>,
    /// What is not as it should be.
    pub complaints: Vec<String>,
}

type Key = (u8, SocketAddrV4);

/// A capture being played.
pub struct Player {
    pub(super) bench: Bench,
    pub(super) scenario: Scenario,
    pub(super) names: [InterfaceName; 2],
    pub(super) macs: [[u8; 6]; 2],
    pub(super) statics: HashMap<Ipv4Addr, Ipv4Addr>,
    /// The global endpoints of inside ones, as frames that came out show them.
    pub(super) globals: HashMap<Key, SocketAddrV4>,
    pub(super) locals: HashMap<Key, SocketAddrV4>,
    pub(super) flows: BTreeMap<[SocketAddrV4; 2], Flow>,
    pub(super) doors: Vec<DoorState>,
    /// What outside hosts read in place of what was said, and repeat.
    pub(super) echoes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Inside addresses that outside hosts read as what they are outside.
    pub(super) rewritten: BTreeSet<Ipv4Addr>,
    /// What outside hosts have read in SIP messages.
    pub(super) words: Words,
    /// Inside endpoints that SIP messages come from or ask to be answered at.
    pub(super) signalling: BTreeSet<Key>,
    /// Inside endpoints that had doors, and the ports of those.
    pub(super) door_ports: BTreeSet<(u8, SocketAddrV4, u16)>,
    /// Messages that gateways have refused by now.
    pub(super) refused: u64,
    /// Packets of strangers that were dropped.
    pub(super) strangers: u64,
    pub(super) report: Report,
}

/// Plays a capture to the end, and waits until nothing of it is left.
///
/// # Errors
/// An appliance that cannot be set up, or that breaks an invariant of its own.
pub fn play(scenario: &Scenario, taken: &[Taken]) -> Result<Report, String> {
    let mut player = Player::new(scenario, taken)?;
    let mut last_us = taken.first().map_or(0, |taken| taken.at_us);
    for (n, taken) in taken.iter().enumerate() {
        let pause_ms = taken.at_us.saturating_sub(last_us) / 1000;
        last_us = taken.at_us;
        player.frame(taken, pause_ms.min(PAUSE_MS_MAX)).map_err(|why| format!("frame {}: {why}", n + 1))?;
    }
    player.finish()
}

impl Player {
    /// An appliance with what the scenario want, before the first frame.
    pub(super) fn new(scenario: &Scenario, taken: &[Taken]) -> Result<Player, String> {
        let servers = scenario.servers(taken);
        let setup = Setup { buffer_count: 2048, frame_len_max: 65_000, ..Setup::default() };
        let bench = Bench::new("capture", &scenario.config(&servers), setup)?;
        let name = |side| bench.interface(side).map(|interface| interface.name.clone());
        let names = [name("inside")?, name("outside")?];
        let mac = |name| bench.link(name).map(|(mac, _)| mac).unwrap_or_default();
        let views: Vec<View> = taken.iter().filter_map(|taken| View::of(&taken.packet)).collect();
        let door = |order: &ExpectedDoor| DoorState {
            order: order.clone(),
            announced: None,
            arrived: false,
            is_used: views.iter().any(|view| view.dst == order.local),
            peer: None,
            line: None,
            is_tried: false,
        };
        let numbered = servers.iter().enumerate();
        Ok(Player {
            macs: [mac(&names[0]), mac(&names[1])],
            statics: numbered.map(|(n, host)| (*host, Scenario::static_global(n))).collect(),
            doors: scenario.doors.iter().map(door).collect(),
            scenario: scenario.clone(),
            names,
            bench,
            globals: HashMap::new(),
            locals: HashMap::new(),
            flows: BTreeMap::new(),
            echoes: Vec::new(),
            rewritten: BTreeSet::new(),
            words: Words::default(),
            signalling: BTreeSet::new(),
            door_ports: BTreeSet::new(),
            refused: 0,
            strangers: 0,
            report: Report::default(),
        })
    }

    /// Something is not as it should be.
    pub(super) fn complain(&mut self, why: impl Into<String>) {
        if !self.scenario.is_damaged {
            self.accuse(why);
        }
    }

    /// Something is not as it should be, whatever is said and sent.
    pub(super) fn accuse(&mut self, why: impl Into<String>) {
        if self.report.complaints.len() < 20 {
            self.report.complaints.push(why.into());
        }
    }

    /// Plays a frame of the capture.
    pub(super) fn frame(&mut self, taken: &Taken, pause_ms: u64) -> Result<(), String> {
        self.bench.advance(pause_ms)?;
        self.absorb_all();
        if !taken.is_ipv4() {
            self.report.not_ipv4 += 1;
            let bytes = frame(self.macs[INSIDE], STATION, None, taken.ethertype, &taken.packet);
            return self.bench.inject(&self.names[INSIDE].clone(), &bytes);
        }
        let Some(view) = View::of(&taken.packet) else {
            self.report.played += 1;
            self.send(INSIDE, &taken.packet)?;
            return self.bench.check_tables();
        };
        let sides = [view.src, view.dst].map(|end| self.scenario.inside.contains(end.ip()));
        if sides[INSIDE] == sides[OUTSIDE] {
            self.report.elsewhere += 1;
            return Ok(());
        }
        for packet in changes::as_sent(&taken.packet) {
            self.play(&packet)?;
        }
        self.report.played += 1;
        self.acknowledge()?;
        self.check_doors();
        self.bench.check_tables()
    }

    /// Plays a packet of the capture, or one that it lacks.
    pub(super) fn play(&mut self, packet: &[u8]) -> Result<(), String> {
        let Some(view) = View::of(packet) else { return Ok(()) };
        match self.scenario.inside.contains(view.src.ip()) {
            true => self.play_inside(packet, &view),
            false => self.play_outside(packet, &view),
        }
    }

    /// Sends a packet in, and returns what came out because of it, connections' segments excepted.
    pub(super) fn send(&mut self, side: usize, packet: &[u8]) -> Result<Vec<(usize, Vec<u8>)>, String> {
        let bytes = frame(self.macs[side], STATION, None, 0x0800, packet);
        self.bench.inject(&self.names[side].clone(), &bytes)?;
        Ok(self.absorb_all())
    }

    /// Takes what came out, and notes what hosts hear of their connections. Returns the rest.
    pub(super) fn absorb_all(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut rest = Vec::new();
        for (name, bytes) in self.bench.take_all() {
            let side = usize::from(name == self.names[OUTSIDE]);
            let packet = bytes.get(14..).unwrap_or_default().to_vec();
            let Some(view) = View::of(&packet) else { continue };
            if let Some(kind) = changes::wrong_checksum(&packet) {
                self.accuse(format!("a frame to {} has a wrong checksum: {kind}", view.dst));
            }
            match view.kind {
                Kind::Segment(..) if self.hear(side, &packet, &view) => {}
                _ => rest.push((side, packet)),
            }
        }
        rest
    }

    /// An inside endpoint is known outside as this.
    pub(super) fn learn(&mut self, protocol: u8, local: SocketAddrV4, global: SocketAddrV4) {
        self.globals.insert((protocol, local), global);
        self.locals.insert((protocol, global), local);
    }

    /// Where an inside endpoint is to be found outside, for who read or saw it there; a guess if nobody did.
    pub(super) fn global_of(&self, protocol: u8, local: SocketAddrV4) -> SocketAddrV4 {
        let is_it = |door: &&DoorState| door.order.local == local && protocol_of(&door.order) == protocol;
        let announced = self.doors.iter().find(is_it).and_then(|door| door.announced);
        let seen = self.globals.get(&(protocol, local)).copied();
        announced.or(seen).unwrap_or_else(|| SocketAddrV4::new(self.address_of(*local.ip()), local.port()))
    }

    /// The global address of an inside host.
    pub(super) fn address_of(&self, host: Ipv4Addr) -> Ipv4Addr {
        self.statics.get(&host).copied().unwrap_or(POOL)
    }

    /// A frame of an inside host.
    pub(super) fn play_inside(&mut self, packet: &[u8], view: &View) -> Result<(), String> {
        let ends = [view.src, view.dst];
        if let Kind::Segment(..) = view.kind {
            self.open(ends, INSIDE, view)?;
            let Some(flow) = self.flows.get_mut(&ends) else { return Ok(()) };
            let packet = flow.inside_sends(packet, view)?;
            let rest = self.send(INSIDE, &packet)?;
            return self.check_unexpected(&rest);
        }
        let out = self.send(INSIDE, packet)?;
        match (&view.kind, &out[..]) {
            (Kind::Datagram, [(OUTSIDE, heard)]) => self.datagram_heard(packet, view, heard),
            (Kind::Fragment, out) => {
                let global = self.address_of(*view.src.ip());
                let is_translated =
                    |packet: &[u8]| View::of(packet).is_some_and(|view| *view.src.ip() == global);
                if !out.iter().all(|(side, packet)| *side == OUTSIDE && is_translated(packet)) {
                    self.complain(format!("a fragment does not come from {global}"));
                }
                Ok(())
            }
            (Kind::Error { dst, protocol, .. }, [(OUTSIDE, heard)]) => {
                let quoted = View::of(heard).map(|view| view.kind);
                let global = self.global_of(*protocol, *dst);
                if !matches!(quoted, Some(Kind::Error { dst, .. }) if dst == global) {
                    self.complain(format!("an ICMP error about a packet to {dst} does not quote {global}"));
                }
                Ok(())
            }
            (Kind::Other, [(OUTSIDE, heard)]) => {
                let (global, seen) =
                    (self.address_of(*view.src.ip()), View::of(heard).map(|view| *view.src.ip()));
                if seen != Some(global) {
                    self.complain(format!("a packet of {} does not come from {global}", view.src.ip()));
                }
                Ok(())
            }
            _ => self.check_unexpected(&out),
        }
    }

    /// What came out though nothing should; packets of the appliance's own are answers.
    pub(super) fn check_unexpected(&mut self, rest: &[(usize, Vec<u8>)]) -> Result<(), String> {
        if self.scenario.is_judged() {
            for (side, packet) in rest {
                let view = View::of(packet).map(|view| format!("{view:?}")).unwrap_or_default();
                self.complain(format!("unexpected, on side {side}: {view}"));
            }
        }
        Ok(())
    }

    /// A frame of an outside host, derived.
    pub(super) fn play_outside(&mut self, packet: &[u8], view: &View) -> Result<(), String> {
        let ends = [view.dst, view.src];
        if let Kind::Segment(..) = view.kind {
            self.open(ends, OUTSIDE, view)?;
            return self.derive_segment(ends, packet, view);
        }
        let global = self.global_of(view.protocol, view.dst);
        let mut changes = Changes::default();
        changes.fields.push(("dst", u64::from(u32::from(*global.ip()))));
        let mut sip_said = None;
        let mut expected = packet[view.payload.clone()].to_vec();
        match view.kind {
            Kind::Datagram => {
                let name = if view.protocol == ICMP { "id" } else { "dport" };
                changes.fields.push((name, u64::from(global.port())));
                if self.scenario.is_sip(view) {
                    let said = self.sip_says(&expected, view.protocol, view.dst, global);
                    self.sip_peers(&expected, false);
                    expected = said.expected;
                    changes.payload = Some(said.bytes.clone());
                    sip_said = Some(said.bytes);
                } else if self.scenario.is_control(view) {
                    let (said, edits) = self.echo(&expected);
                    changes.payload = (!edits.is_empty()).then_some(said);
                    expected = self.renamed_inside(&expected);
                }
            }
            Kind::Error { protocol, src, dst } => changes.quoted = self.quoted(packet, protocol, src, dst),
            _ => {}
        }
        let sent = changes::changed(packet, changes)?;
        let out = self.send(OUTSIDE, &sent)?;
        match (&view.kind, &out[..]) {
            (Kind::Datagram | Kind::Error { .. } | Kind::Other, [(INSIDE, heard)]) => {
                self.arrive(view.dst);
                self.check_inside(packet, &expected, heard);
                if let (Some(said), Some(seen)) = (sip_said, View::of(heard)) {
                    self.sip_only(&said, &heard[seen.payload.clone()], (*global.ip(), *view.dst.ip()));
                }
                self.try_doors()
            }
            (Kind::Fragment, _) => Ok(()),
            _ => self.check_unexpected(&out),
        }
    }

    /// What an outside router quotes of an inside host's packet, as that came by there.
    pub(super) fn quoted(
        &self,
        packet: &[u8],
        protocol: u8,
        src: SocketAddrV4,
        dst: SocketAddrV4,
    ) -> Vec<(&'static str, u64)> {
        let global = self.global_of(protocol, src);
        let mut fields =
            vec![("src", u64::from(u32::from(*global.ip()))), ("sport", u64::from(global.port()))];
        let seq = crate::dissect::Dissection::of_packet(packet).value(packet, 1, "seq");
        if let (TCP, Some(flow), Some(seq)) = (protocol, self.flows.get(&[src, dst]), seq) {
            fields.push(("seq", u64::from(flow.seen_outside(seq as u32))));
        }
        fields
    }

    /// A packet from outside must arrive as it was captured, but for what routers do to it.
    pub(super) fn check_inside(&mut self, captured: &[u8], payload: &[u8], heard: &[u8]) {
        let plain = |packet: &[u8]| {
            let mut packet = packet.to_vec();
            packet[8] = 0;
            packet[10..12].fill(0);
            packet
        };
        let is_same = match (View::of(captured), View::of(heard)) {
            (Some(was), Some(is)) if matches!(was.kind, Kind::Datagram) => {
                (was.src, was.dst, payload) == (is.src, is.dst, &heard[is.payload.clone()])
            }
            _ => plain(captured) == plain(heard),
        };
        if !is_same {
            self.complain(format!(
                "the inside host heard another packet than in the capture: {} instead of {}",
                heard.escape_ascii(),
                captured.escape_ascii()
            ));
        }
    }
}

/// The IP protocol of what goes through a door.
pub(super) fn protocol_of(order: &ExpectedDoor) -> u8 {
    match order.transport {
        alg::Transport::Tcp => TCP,
        alg::Transport::Udp => UDP,
    }
}
