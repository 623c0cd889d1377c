//! The load generator's loop: offers frames on one side, takes what the appliance made of them on the other.

use anyhow::Result;
use dataplane::flow::Direction;
use dataplane::port::BURST;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::flows::Endpoint;
use crate::frames::{Kind, Protocol};
use crate::load_port::LoadPort;
use crate::preemption::Thread;
use crate::verify::{Verifier, Wrong};

mod phases;

pub use phases::{Load, Outcome, SetUp};

/// How many wrong frames are described; all are counted.
const DESCRIBED_MAX: u64 = 8;

/// A packet to be made.
#[derive(Clone, Copy)]
struct Pick {
    flow: u32,
    kind: Kind,
}

/// The load generator.
pub struct Generator {
    /// Inside and outside.
    ports: [LoadPort; 2],
    verifier: Verifier,
    /// The sizes of consecutive packets, by number.
    pattern: Vec<usize>,
    next_size: usize,
    /// Draws flows; none for one after the other.
    random: Option<SmallRng>,
    next_in_order: [u32; 2],
    /// The number of the next new flow.
    next_new: u32,
    /// New flows are sent up to this number.
    new_until: u32,
    /// First packets that did not arrive.
    repeats: Vec<u32>,
    /// What answers await being sent, by side.
    answers: [Vec<Pick>; 2],
    established_new: u64,
    /// Every so many data packets, one is looked at.
    sample_every: u32,
    until_sample: u32,
    wrong: u64,
    foreign: u64,
    tsc_hz: u64,
    /// The worker's thread.
    watched: Option<Thread>,
    own: Thread,
}

/// What a generator is made of.
pub struct Parts {
    /// The inside and the outside port.
    pub ports: [LoadPort; 2],
    /// What frames look like and are judged by.
    pub verifier: Verifier,
    /// The sizes of consecutive packets, by number.
    pub pattern: Vec<usize>,
    /// The seed of a random order; none for one flow after the other.
    pub seed: Option<u64>,
    /// Every so many data packets, one is looked at.
    pub sample_every: u32,
    /// Ticks a second.
    pub tsc_hz: u64,
    /// The worker's thread, if it can be observed.
    pub watched: Option<Thread>,
}

impl Generator {
    /// A generator that runs in the calling thread.
    ///
    /// # Errors
    /// When the kernel does not tell how long threads wait.
    pub fn new(parts: Parts) -> Result<Generator> {
        Ok(Generator {
            ports: parts.ports,
            verifier: parts.verifier,
            pattern: parts.pattern,
            next_size: 0,
            random: parts.seed.map(SmallRng::seed_from_u64),
            next_in_order: [0; 2],
            next_new: 0,
            new_until: 0,
            repeats: Vec::new(),
            answers: [Vec::new(), Vec::new()],
            established_new: 0,
            sample_every: parts.sample_every,
            until_sample: parts.sample_every,
            wrong: 0,
            foreign: 0,
            tsc_hz: parts.tsc_hz,
            watched: parts.watched,
            own: Thread::current()?,
        })
    }

    /// Frames that were not what they should have been.
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// Frames that were not ours.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// What was seen of translations.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Sends what is pending; or else answers, first packets, and data up to `due` packets.
    #[inline]
    fn send(&mut self, direction: Direction, with_data: bool, due: u64) {
        if self.ports[direction as usize].is_idle() {
            let mut picks = [Pick { flow: 0, kind: Kind::Data }; BURST];
            let mut count = self.pick_signals(direction, &mut picks);
            if with_data {
                let end = BURST.min(count.saturating_add(due.min(BURST as u64) as usize));
                for pick in &mut picks[count..end] {
                    *pick = Pick { flow: self.draw(direction), kind: Kind::Data };
                    if direction == Direction::Inbound {
                        self.verifier.translations.prefetch(pick.flow);
                    }
                }
                count = end.max(count);
            }
            if count > 0 {
                self.make(direction, &picks[..count]);
            }
        }
        self.ports[direction as usize].transmit();
    }

    /// Answers and first packets that are due; returns how many.
    #[inline]
    fn pick_signals(&mut self, direction: Direction, picks: &mut [Pick; BURST]) -> usize {
        let mut count = 0;
        for pick in picks {
            *pick = if let Some(answer) = self.answers[direction as usize].pop() {
                answer
            } else if direction == Direction::Inbound {
                break;
            } else if self.next_new < self.new_until {
                self.next_new += 1;
                Pick { flow: self.next_new - 1, kind: Kind::First }
            } else if let Some(flow) = self.repeats.pop() {
                Pick { flow, kind: Kind::First }
            } else {
                break;
            };
            count += 1;
        }
        count
    }

    /// The flow of the next data packet.
    #[inline]
    fn draw(&mut self, direction: Direction) -> u32 {
        let window = self.verifier.flows.window();
        let oldest = self.next_new.saturating_sub(window);
        let drawn = match &mut self.random {
            Some(random) => ((u64::from(random.next_u32()) * u64::from(window)) >> 32) as u32,
            None => {
                let next = &mut self.next_in_order[direction as usize];
                *next = if *next + 1 >= window { 0 } else { *next + 1 };
                *next
            }
        };
        oldest + drawn
    }

    /// Makes the frames of these picks, but for data of flows that are not established.
    fn make(&mut self, direction: Direction, picks: &[Pick]) {
        let Verifier { flows, frames, translations, .. } = &self.verifier;
        let protocol = frames.protocol;
        let has_generations = self.next_new > flows.window();
        let burst = self.ports[direction as usize].allocate(picks.len());
        let mut made = 0;
        for pick in picks.iter().take(burst.len()) {
            let (inside, peer) = flows.tuple(pick.flow);
            let ends: Option<(Endpoint, Endpoint)> = match (direction, pick.kind) {
                (Direction::Inbound, Kind::Data) => translations.find(pick.flow).map(|global| (peer, global)),
                (Direction::Inbound, _) => translations.seen(pick.flow).map(|global| (peer, global)),
                (Direction::Outbound, Kind::Data) if protocol == Protocol::Tcp && has_generations => {
                    translations.find(pick.flow).map(|_| (inside, peer))
                }
                (Direction::Outbound, _) => Some((inside, peer)),
            };
            let Some(ends) = ends else { continue };
            let size = if pick.kind == Kind::Data { self.pattern[self.next_size] } else { self.pattern[0] };
            self.next_size = if self.next_size + 1 == self.pattern.len() { 0 } else { self.next_size + 1 };
            let template = frames.template(size, direction, pick.kind);
            let packet = &mut burst[made];
            if packet.resize(template.len()) {
                template.write(protocol, packet.bytes_mut(), ends, pick.flow, pick.kind);
                made += 1;
            }
        }
        burst.truncate(made);
    }

    /// Takes what arrived of one direction.
    #[inline]
    fn receive(&mut self, direction: Direction) {
        let port = 1 - direction as usize;
        let burst = self.ports[port].receive();
        if burst.is_empty() {
            return;
        }
        for packet in &burst {
            let Some((flow, kind)) = self.verifier.frames.recognise(packet.bytes()) else {
                self.meet_stranger(packet.bytes());
                continue;
            };
            self.ports[port].counts.received += 1;
            self.until_sample -= 1;
            if self.until_sample == 0 || kind != Kind::Data {
                self.until_sample = self.sample_every;
                self.look_at(packet.bytes(), direction, flow, kind);
            }
        }
        self.ports[port].release(burst);
    }

    /// Judges a frame and takes the next step of its flow.
    fn look_at(&mut self, frame: &[u8], direction: Direction, flow: u32, kind: Kind) {
        if let Err(wrong) = self.verifier.judge(frame, direction, flow, kind) {
            self.note_wrong(wrong, frame, direction);
            return;
        }
        let is_tcp = self.verifier.frames.protocol == Protocol::Tcp;
        match kind {
            Kind::First if is_tcp => self.answers[1].push(Pick { flow, kind: Kind::SynAck }),
            Kind::SynAck => self.answers[0].push(Pick { flow, kind: Kind::Ack }),
            _ => {}
        }
        if kind == Kind::SynAck || (kind == Kind::First && !is_tcp) {
            self.established_new += 1;
            self.verifier.translations.establish(flow);
        }
    }

    #[cold]
    fn note_wrong(&mut self, wrong: Wrong, frame: &[u8], direction: Direction) {
        self.wrong += 1;
        if self.wrong <= DESCRIBED_MAX {
            let bytes: String = frame.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
            eprintln!("a wrong packet ({direction:?}): {wrong}; it begins {bytes}");
        }
    }

    /// ARP and the like are not ours; a packet of our protocol that names no flow was spoilt.
    #[cold]
    fn meet_stranger(&mut self, frame: &[u8]) {
        let is_ipv4 = frame.get(12..14) == Some(&[0x08, 0x00]);
        if is_ipv4 && frame.get(23) == Some(&self.verifier.frames.protocol.number()) {
            self.note_wrong(Wrong::Mark, frame, Direction::Outbound);
        } else {
            self.foreign += 1;
        }
    }
}
