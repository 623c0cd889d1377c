//! The load generator's loop: offers frames on one side, takes what the appliance made of them on the other.

use anyhow::{Result, bail};
use dataplane::port::BURST;
use dataplane_dpdk::tsc;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::flows::{Direction, Endpoint};
use crate::frames::{Kind, Protocol};
use crate::preemption::{Preemption, Thread};
use crate::side::{Counts, Side};
use crate::verify::{Verifier, Wrong};

/// How many wrong frames are described; all are counted.
const DESCRIBED_MAX: u64 = 8;
/// How long nothing may arrive until what was sent counts as lost, in milliseconds.
const SILENCE_MS: u64 = 50;
/// How often set-up packets that did not arrive are sent again.
const RETRIES_MAX: u32 = 20;
/// Rounds between looks at the clock where nothing is paced.
const ROUNDS_PER_LOOK: u32 = 32;

/// A packet to be made.
#[derive(Clone, Copy)]
struct Pick {
    flow: u32,
    kind: Kind,
}

/// What is to be sent for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Data from inside.
    pub out: bool,
    /// Data from outside.
    pub inbound: bool,
    /// Packets a second in each direction; as many as the appliance takes if 0.
    pub rate: f64,
    /// New flows a second, each replacing the oldest one.
    pub churn: f64,
}

/// What came of a load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Seconds that were measured.
    pub seconds: f64,
    /// Packets sent meanwhile.
    pub offered: u64,
    /// Packets that arrived meanwhile.
    pub forwarded: u64,
    /// Packets that never arrived, of all that were sent, including those before and after the measured time.
    pub lost: u64,
    /// The share of attempts to send at which the appliance did not take all.
    pub pushed_back: f64,
    /// New flows that were established meanwhile.
    pub churned: u64,
    /// What kept the observed thread from its core.
    pub worker: Preemption,
    /// And this one.
    pub own: Preemption,
}

/// What came of setting all flows up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetUp {
    /// From the first packet to the last answer that came without repeating any.
    pub seconds: f64,
    /// Flows that were established in that time.
    pub established_at_once: u32,
    /// Flows that carry data now.
    pub established: u32,
    /// First packets that were sent again.
    pub repeated: u64,
    /// What kept the observed thread from its core.
    pub worker: Preemption,
    /// And this one.
    pub own: Preemption,
}

/// The load generator.
pub struct Generator {
    /// Inside and outside.
    sides: [Side; 2],
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
    pub sides: [Side; 2],
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
            sides: parts.sides,
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

    /// Establishes all flows, `rate` a second, or as many as the appliance takes if 0.
    ///
    /// # Errors
    /// When none can be established, or threads cannot be observed.
    pub fn set_up(&mut self, rate: f64) -> Result<SetUp> {
        let window = self.verifier.flows.window();
        let (begin, begin_own) = (self.sample()?, self.own.sample()?);
        let begun = tsc();
        let (mut last, mut established, mut arrived) = (begun, 0, 0);
        let (mut last_arrival, mut retries, mut repeated, mut at_once) = (begun, 0, 0, None);
        while self.verifier.translations.established() < window {
            let now = tsc();
            self.new_until = match rate {
                0.0 => window,
                rate => window.min((self.seconds(now - begun) * rate) as u32),
            };
            self.turn(&Load::default(), [0; 2]);
            if established != self.verifier.translations.established() {
                (established, last) = (self.verifier.translations.established(), now);
            }
            if arrived != self.arrived() || self.next_new < window || !self.repeats.is_empty() {
                (arrived, last_arrival) = (self.arrived(), now);
            } else if self.seconds(now - last_arrival) * 1e3 > SILENCE_MS as f64 {
                retries += 1;
                if retries > RETRIES_MAX {
                    break;
                }
                at_once = at_once.or(Some((established, last)));
                self.repeats.extend(self.verifier.translations.missing());
                repeated += self.repeats.len() as u64;
                last_arrival = now;
            }
        }
        if self.verifier.translations.established() == 0 {
            bail!(
                "not one of {window} flows could be established: is the appliance connected and configured?"
            );
        }
        let (worker, own) = (self.preemption(begin)?, self.own.since(begin_own)?);
        // Waiting for what was lost is not the appliance's doing alone, and says nothing about how fast it is.
        let (established_at_once, last) = at_once.unwrap_or((established, last));
        let seconds = self.seconds(last - begun);
        let established = self.verifier.translations.established();
        Ok(SetUp { seconds, established_at_once, established, repeated, worker, own })
    }

    /// Offers a load for `warm_up_s` and then for `measured_s` seconds.
    ///
    /// # Errors
    /// When threads cannot be observed.
    pub fn offer(&mut self, load: &Load, warm_up_s: f64, measured_s: f64) -> Result<Outcome> {
        let all = self.totals();
        self.run(load, warm_up_s);
        let (begin, begin_own) = (self.sample()?, self.own.sample()?);
        let (before, established) = (self.totals(), self.established_new);
        let seconds = self.run(load, measured_s);
        let (after, churned) = (self.totals(), self.established_new - established);
        let (worker, own) = (self.preemption(begin)?, self.own.since(begin_own)?);
        self.settle();
        let end = self.totals();
        let attempts = (after.attempts - before.attempts).max(1);
        Ok(Outcome {
            seconds,
            offered: after.sent - before.sent,
            forwarded: after.received - before.received,
            lost: (end.sent - all.sent).saturating_sub(end.received - all.received),
            pushed_back: (after.pushed_back - before.pushed_back) as f64 / attempts as f64,
            churned,
            worker,
            own,
        })
    }

    /// Offers a load for so many seconds; returns how many it were.
    fn run(&mut self, load: &Load, seconds: f64) -> f64 {
        let ticks = (seconds * self.tsc_hz as f64) as u64;
        let is_paced = load.rate > 0.0 || load.churn > 0.0;
        let rounds = if is_paced { 1 } else { ROUNDS_PER_LOOK };
        let (begun, new_before, window) = (tsc(), self.next_new, self.verifier.flows.window());
        let mut due = [u64::MAX; 2];
        let sent = self.sides.each_ref().map(|side| side.counts.sent);
        loop {
            let elapsed = tsc() - begun;
            if elapsed >= ticks {
                return self.seconds(elapsed);
            }
            if load.rate > 0.0 {
                let budget = (self.seconds(elapsed) * load.rate) as u64;
                due = [0, 1].map(|at| budget.saturating_sub(self.sides[at].counts.sent - sent[at]));
            }
            if load.churn > 0.0 {
                self.new_until = (new_before + (self.seconds(elapsed) * load.churn) as u32).max(window);
            }
            for _ in 0..rounds {
                self.turn(load, due);
            }
        }
    }

    /// Sends what is pending and waits for what is under way.
    fn settle(&mut self) {
        let (mut arrived, mut last) = (self.arrived(), tsc());
        while self.seconds(tsc() - last) * 1e3 < SILENCE_MS as f64 {
            self.turn(&Load::default(), [0; 2]);
            if arrived != self.arrived() {
                (arrived, last) = (self.arrived(), tsc());
            }
        }
    }

    fn turn(&mut self, load: &Load, due: [u64; 2]) {
        self.send(Direction::Out, load.out, due[0]);
        self.receive(Direction::Out);
        self.send(Direction::In, load.inbound, due[1]);
        self.receive(Direction::In);
    }

    /// Sends what is pending; or else answers, first packets, and data up to `due` packets.
    #[inline]
    fn send(&mut self, direction: Direction, with_data: bool, due: u64) {
        if self.sides[direction as usize].is_idle() {
            let mut picks = [Pick { flow: 0, kind: Kind::Data }; BURST];
            let mut count = self.pick_signals(direction, &mut picks);
            if with_data {
                let end = BURST.min(count.saturating_add(due.min(BURST as u64) as usize));
                for pick in &mut picks[count..end] {
                    *pick = Pick { flow: self.draw(direction), kind: Kind::Data };
                    if direction == Direction::In {
                        self.verifier.translations.prefetch(pick.flow);
                    }
                }
                count = end.max(count);
            }
            if count > 0 {
                self.make(direction, &picks[..count]);
            }
        }
        self.sides[direction as usize].transmit();
    }

    /// Answers and first packets that are due; returns how many.
    #[inline]
    fn pick_signals(&mut self, direction: Direction, picks: &mut [Pick; BURST]) -> usize {
        let mut count = 0;
        for pick in picks {
            *pick = if let Some(answer) = self.answers[direction as usize].pop() {
                answer
            } else if direction == Direction::In {
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
        let burst = self.sides[direction as usize].allocate(picks.len());
        let mut made = 0;
        for pick in picks.iter().take(burst.len()) {
            let (inside, peer) = flows.tuple(pick.flow);
            let ends: Option<(Endpoint, Endpoint)> = match (direction, pick.kind) {
                (Direction::In, Kind::Data) => translations.find(pick.flow).map(|global| (peer, global)),
                (Direction::In, _) => translations.seen(pick.flow).map(|global| (peer, global)),
                (Direction::Out, Kind::Data) if protocol == Protocol::Tcp && has_generations => {
                    translations.find(pick.flow).map(|_| (inside, peer))
                }
                (Direction::Out, _) => Some((inside, peer)),
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
        let side = 1 - direction as usize;
        let burst = self.sides[side].receive();
        if burst.is_empty() {
            return;
        }
        for packet in &burst {
            let Some((flow, kind)) = self.verifier.frames.recognise(packet.bytes()) else {
                self.meet_stranger(packet.bytes());
                continue;
            };
            self.sides[side].counts.received += 1;
            self.until_sample -= 1;
            if self.until_sample == 0 || kind != Kind::Data {
                self.until_sample = self.sample_every;
                self.look_at(packet.bytes(), direction, flow, kind);
            }
        }
        self.sides[side].release(burst);
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
            self.note_wrong(Wrong::Mark, frame, Direction::Out);
        } else {
            self.foreign += 1;
        }
    }

    fn sample(&self) -> Result<Option<crate::preemption::Sample>> {
        self.watched.as_ref().map(Thread::sample).transpose()
    }

    fn preemption(&self, begin: Option<crate::preemption::Sample>) -> Result<Preemption> {
        match (&self.watched, begin) {
            (Some(thread), Some(begin)) => thread.since(begin),
            _ => Ok(Preemption::default()),
        }
    }

    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.tsc_hz as f64
    }

    fn arrived(&self) -> u64 {
        self.sides[0].counts.received + self.sides[1].counts.received
    }

    /// What both sides counted together.
    fn totals(&self) -> Counts {
        let [inside, outside] = self.sides.each_ref().map(|side| side.counts);
        Counts {
            sent: inside.sent + outside.sent,
            received: inside.received + outside.received,
            attempts: inside.attempts + outside.attempts,
            pushed_back: inside.pushed_back + outside.pushed_back,
        }
    }
}
