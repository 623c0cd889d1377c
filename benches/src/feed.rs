//! Ports without a device: they make frames in place, look at what comes back, and note the time at which a burst
//! leaves them and comes back to them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataplane::flow::Direction;
use dataplane::port::{BURST, Burst, Port};
use mem::tsc;
use mem::{Packet, Slab};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::frames::{Kind, Protocol};
use crate::verify::{Verifier, Wrong};

/// Every so many data packets, one is looked at.
const SAMPLE_EVERY: u32 = 64;

/// What both ports of a worker share. It is locked once a burst, by one thread.
pub struct Bed {
    /// What frames look like and are judged by.
    pub verifier: Verifier,
    /// Which directions carry data.
    pub data: [bool; 2],
    /// First packets are made up to this flow.
    pub new_until: u32,
    next_new: u32,
    /// What TCP's handshakes go on with, by the port that it comes from: flows, and what is due.
    answers: [Vec<(u32, Kind)>; 2],
    random: SmallRng,
    /// Packets to be used again, by the port that they say they came from.
    spare: [Vec<Packet>; 2],
    slab: Slab,
    /// When the burst under way was handed out.
    handed_out: u64,
    until_sample: u32,
    /// What was counted so far.
    pub tally: Tally,
    /// What was wrong first.
    pub wrong: Option<Wrong>,
}

/// What the ports count. Times are in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Packets that came back.
    pub packets: u64,
    /// Between handing a burst out and getting it back.
    pub path: u64,
    /// In the ports themselves.
    pub ports: u64,
}

impl Bed {
    /// A bed without traffic.
    pub fn new(verifier: Verifier, seed: u64) -> Bed {
        Bed {
            verifier,
            data: [false; 2],
            new_until: 0,
            next_new: 0,
            answers: [const { Vec::new() }; 2],
            random: SmallRng::seed_from_u64(seed),
            spare: [const { Vec::new() }; 2],
            slab: Slab::new(8 * BURST, 1514),
            handed_out: 0,
            until_sample: SAMPLE_EVERY,
            tally: Tally::default(),
            wrong: None,
        }
    }

    /// Whether all first packets were made, and all handshakes are over that were answered.
    pub fn is_set_up(&self) -> bool {
        self.next_new == self.new_until && self.answers.iter().all(Vec::is_empty)
    }

    /// Makes as many frames as there is room for.
    fn fill(&mut self, direction: Direction, burst: &mut Burst) {
        let mut picks = [(0, Kind::Data); BURST];
        let count = burst.remaining_capacity();
        let mut picked = 0;
        for pick in &mut picks[..count] {
            if let Some(answer) = self.answers[direction as usize].pop() {
                *pick = answer;
            } else if direction == Direction::Outbound && self.next_new < self.new_until {
                *pick = (self.next_new, Kind::First);
                self.next_new += 1;
            } else if self.data[direction as usize] {
                let window = u64::from(self.verifier.flows.window());
                pick.0 = ((u64::from(self.random.next_u32()) * window) >> 32) as u32;
                self.verifier.translations.prefetch(pick.0);
            } else {
                break;
            }
            picked += 1;
        }
        for &(flow, kind) in &picks[..picked] {
            let port = direction as usize;
            let Some(mut packet) = self.spare[port].pop().or_else(|| self.slab.allocate(port)) else {
                return;
            };
            let Verifier { flows, frames, translations, .. } = &self.verifier;
            let (inside, peer) = flows.tuple(flow);
            let ends = match (direction, kind) {
                (Direction::Outbound, _) => Some((inside, peer)),
                (Direction::Inbound, Kind::Data) => translations.find(flow).map(|global| (peer, global)),
                (Direction::Inbound, _) => translations.seen(flow).map(|global| (peer, global)),
            };
            let template = frames.template(0, direction, kind);
            if let Some(ends) = ends
                && packet.resize(template.len())
            {
                template.write(frames.protocol, packet.bytes_mut(), ends, flow, kind);
                burst.push(packet);
            }
        }
    }

    /// A packet of a flow arrived: TCP's handshake goes on, and a flow that is set up may carry data.
    fn go_on(&mut self, flow: u32, kind: Kind) {
        let is_tcp = self.verifier.frames.protocol == Protocol::Tcp;
        match kind {
            Kind::First if is_tcp => self.answers[1].push((flow, Kind::SynAck)),
            Kind::First => self.verifier.translations.establish(flow),
            Kind::SynAck => {
                self.verifier.translations.establish(flow);
                self.answers[0].push((flow, Kind::Ack));
            }
            Kind::Ack | Kind::Data => {}
        }
    }

    /// Looks at first packets, and at some of the others.
    fn look_at(&mut self, frame: &[u8], direction: Direction) {
        let Some((flow, kind)) = self.verifier.frames.recognise(frame) else {
            // The appliance announces its own addresses by ARP.
            if frame[12..14] == [0x08, 0x00] {
                self.wrong = self.wrong.or(Some(Wrong::Mark));
            }
            return;
        };
        self.until_sample -= 1;
        if kind == Kind::Data && self.until_sample > 0 {
            return;
        }
        self.until_sample = SAMPLE_EVERY;
        match self.verifier.judge(frame, direction, flow, kind) {
            Ok(()) => self.go_on(flow, kind),
            Err(wrong) => self.wrong = self.wrong.or(Some(wrong)),
        }
    }
}

/// A port on a bed: 0 is the inside, 1 the outside.
pub struct Feed {
    index: usize,
    bed: Arc<Mutex<Bed>>,
}

impl Feed {
    /// The inside and the outside port of a bed.
    pub fn pair(bed: &Arc<Mutex<Bed>>) -> Vec<Box<dyn Port>> {
        [0, 1].map(|index| Box::new(Feed { index, bed: Arc::clone(bed) }) as Box<dyn Port>).into()
    }
}

/// A bed, for as long as the guard lives.
pub fn lock(bed: &Mutex<Bed>) -> MutexGuard<'_, Bed> {
    bed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port for Feed {
    fn receive(&mut self, burst: &mut Burst) {
        let begun = tsc();
        let mut bed = lock(&self.bed);
        bed.fill(if self.index == 0 { Direction::Outbound } else { Direction::Inbound }, burst);
        drop(bed);
        let now = tsc();
        let mut bed = lock(&self.bed);
        bed.tally.ports += now - begun;
        bed.handed_out = now;
    }

    fn transmit(&mut self, burst: &mut Burst) {
        let begun = tsc();
        let mut bed = lock(&self.bed);
        bed.tally.path += begun - bed.handed_out;
        bed.tally.packets += burst.len() as u64;
        let direction = if self.index == 1 { Direction::Outbound } else { Direction::Inbound };
        for packet in burst.drain(..) {
            bed.look_at(packet.bytes(), direction);
            bed.spare[packet.port()].push(packet);
        }
        // Should a second port have been sent to, its time is counted from here.
        bed.handed_out = tsc();
        bed.tally.ports += bed.handed_out - begun;
    }

    fn allocate(&mut self) -> Option<Packet> {
        lock(&self.bed).slab.allocate(self.index)
    }
}
