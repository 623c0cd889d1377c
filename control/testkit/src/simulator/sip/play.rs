//! Plays a crowd: agents, proxy, links and appliance on one clock.

use std::collections::HashSet;
use std::fmt;
use std::net::Ipv4Addr;

use alg::CallKind;
use control::config::InterfaceName;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::agent::{Agent, Setup};
use super::book::{Book, Counts};
use super::cast::{self, PROXY, Role, TCP_IDLE_S, UDP_IDLE_S};
use super::message::PORT;
use super::parcel::{Transport, is_inside};
use super::plan::Plan;
use super::proxy::Proxy;
use super::wires::Wires;
use crate::bench::{self, Bench};
use crate::leak::{Pass, Row, Tap};

/// The time within which calls begin, in milliseconds.
const BEGINNING_MS: u64 = 120_000;
/// How long a crowd may take.
const TIME_MS_MAX: u64 = 1_500_000;
/// The longest time in which the appliance is not looked at, in milliseconds: its timers may send something.
const STEP_MS_MAX: u64 = 200;
/// Steps after which all tables are verified.
const STEPS_PER_CHECK: usize = 5000;
/// Frames put on a wire at once.
const QUEUED_MAX: usize = 256;
/// Bytes of an Ethernet header.
const ETHERNET_LEN: usize = 14;
/// What is left of a call that has ended: answers may be repeated for 32 s, and datagrams keep their mappings for a while.
const AFTER_S: u64 = 32 + 32 + UDP_IDLE_S + 10;
/// When calls that nobody ended are gone: four hours (`docs/algs.md`), and then what they held.
const ABANDONED_S: u64 = 4 * 3600 + TCP_IDLE_S + 300;

/// How a crowd is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Sessions: calls, and registrations.
    pub count: usize,
    /// Whether there is an appliance between inside and outside; otherwise agents reach each other as they are.
    pub has_appliance: bool,
    /// Whether failures are told with all messages.
    pub has_log: bool,
}

/// What became of a crowd.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls over UDP, and over TCP.
    pub calls: [usize; 2],
    /// Registered phones.
    pub phones: [usize; 2],
    /// Of all, those in CGN mode.
    pub cgn: usize,
    /// Calls that a restart cut.
    pub cut: usize,
    /// What was wrong.
    pub failures: Vec<String>,
    /// Streams of media that were heard.
    pub streams: u64,
    /// Counts.
    pub counts: Counts,
    /// Packets that arrived at the appliance, its own, and messages that it changed.
    pub packets: [u64; 3],
    /// Doors opened.
    pub doors: u64,
    /// Payloads that left by the outside and were looked at.
    pub looked_at: u64,
}

impl Outcome {
    /// Sessions.
    pub fn sessions(&self) -> usize {
        self.calls.iter().chain(&self.phones).sum()
    }

    /// Adds another crowd's.
    pub fn add(&mut self, other: Outcome) {
        let pairs = |own: &mut [usize; 2], other: [usize; 2]| {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        };
        pairs(&mut self.calls, other.calls);
        pairs(&mut self.phones, other.phones);
        self.cgn += other.cgn;
        self.cut += other.cut;
        self.failures.extend(other.failures);
        self.streams += other.streams;
        self.counts.add(other.counts);
        self.packets.iter_mut().zip(other.packets).for_each(|(own, other)| *own += other);
        self.doors += other.doors;
        self.looked_at += other.looked_at;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([udp, tcp], [udp_phones, tcp_phones], [packets, own, changed]) =
            (self.calls, self.phones, self.packets);
        write!(
            f,
            "{} sessions: {udp} calls over UDP and {tcp} over TCP, {udp_phones} phones registered over UDP and {tcp_phones} \
             over TCP, {} of all in CGN mode: {} failed, {} calls cut by a restart; {} streams of media heard; {:?}; {packets} \
             packets and {own} of the appliance's own, {changed} messages changed, {} doors; {} payloads left and were \
             looked at",
            self.sessions(),
            self.cgn,
            self.failures.len(),
            self.cut,
            self.streams,
            self.counts,
            self.doors,
            self.looked_at
        )
    }
}

/// What a crowd plays on.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The appliance's configuration, if there is one.
    pub configuration: Option<String>,
    /// What the clock shows at first.
    pub start_ms: u64,
    /// No link loses anything.
    pub is_fair: bool,
}

/// A crowd.
pub struct Crowd {
    /// The appliance, if there is one.
    pub bench: Option<Bench>,
    /// What is known.
    pub book: Book,
    /// The agents.
    pub agents: Vec<Agent>,
    cast: Vec<(Role, Setup)>,
    proxy: Proxy,
    wires: Wires,
    /// Calls that have not begun, the last first.
    waiting: Vec<usize>,
    /// Restarts to come: who, when, and for how long.
    restarts: Vec<(usize, u64, u64)>,
    interfaces: Option<[InterfaceName; 2]>,
    tap: Tap,
    steps: usize,
    /// Hosts that may have doors after all calls have ended: they keep their registration, or a restart cut a call of theirs.
    keepers: HashSet<Ipv4Addr>,
}

/// Plays the crowd of a seed.
///
/// # Errors
/// What is wrong with the appliance as a whole; what is wrong with a session is in the outcome.
pub fn run(seed: u64, options: Options) -> Result<Outcome, String> {
    let mut generator = SmallRng::seed_from_u64(seed);
    let is_cgn = generator.random_bool(0.5);
    // Clocks wrap around.
    let start_ms = u64::from(u32::MAX) - generator.random_range(0..200_000);
    let phone_count = (options.count / 6).clamp(4, 40);
    let agents = cast::setups(phone_count, phone_count, &mut generator);
    let mut plans = Vec::new();
    // Once in a while the exchange has nearly all calls, many at the same time.
    let is_trunk = generator.random_bool(0.1);
    let (trunk, begin_ms) = if is_trunk { (0.95, BEGINNING_MS / 4) } else { (0.4, BEGINNING_MS) };
    for _ in 0..options.count.saturating_sub(phone_count) {
        let at_ms = start_ms + generator.random_range(0..begin_ms);
        plans.push(cast::plan(&agents, at_ms, trunk, &mut generator));
    }
    let configuration = options.has_appliance.then(|| cast::configuration(true, is_cgn));
    let stage = Stage { configuration, start_ms, is_fair: false };
    let mut crowd = Crowd::new(agents, plans, stage, generator)?;
    crowd.book.has_log = options.has_log;
    crowd.plan_restarts();
    crowd.play(Crowd::is_done)?;
    crowd.part()?;
    let mut outcome = crowd.finish(ABANDONED_S)?;
    outcome.cgn = if is_cgn { outcome.sessions() } else { 0 };
    Ok(outcome)
}

impl Crowd {
    /// A crowd that has not begun.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub fn new(
        cast: Vec<(Role, Setup)>,
        plans: Vec<Plan>,
        stage: Stage,
        mut generator: SmallRng,
    ) -> Result<Crowd, String> {
        let Stage { configuration, start_ms, is_fair } = stage;
        let bench_setup = bench::Setup {
            start_ms,
            worker_count: generator.random_range(1..=2),
            buffer_count: 8192,
            secret: [generator.random(), generator.random()],
            ..bench::Setup::default()
        };
        let bench = configuration.map(|text| Bench::new("calls", &text, bench_setup)).transpose()?;
        let name = |place: &str| {
            let interface = bench.as_ref()?.interface(place);
            interface.ok().map(|interface| interface.name.clone())
        };
        let interfaces = name("inside").zip(name("outside")).map(|(inside, outside)| [inside, outside]);
        let mut fork = || SmallRng::seed_from_u64(generator.random());
        let mut wires = Wires::new(fork(), is_fair);
        let mut proxy = Proxy::new(PROXY, generator.random());
        let mut tap = Tap::new(is_inside);
        let mut agents = Vec::new();
        for own in &cast {
            let setup = &own.1;
            wires.add(&cast::addresses(setup), setup.port);
            if let Some(contact) = cast::known(own, bench.is_some()) {
                proxy.know(&setup.user, contact);
            }
            if setup.has_own_ids {
                tap.passes.push(Pass { row: Row::Words, bytes: format!("@{}\r\n", setup.ip).into_bytes() });
            }
            let mut agent = Agent::new(setup.clone(), SmallRng::seed_from_u64(generator.random()));
            agent.registration.next_ms = Some(start_ms + generator.random_range(0..2000));
            agents.push(agent);
        }
        wires.add(&[PROXY], PORT);
        let mut waiting: Vec<usize> = (0..plans.len()).collect();
        waiting.sort_by_key(|number| std::cmp::Reverse(plans[*number].start_ms));
        let book = Book::new(plans, start_ms);
        let restarts = Vec::new();
        Ok(Crowd {
            bench,
            book,
            agents,
            cast,
            proxy,
            wires,
            waiting,
            restarts,
            interfaces,
            tap,
            steps: 0,
            keepers: HashSet::new(),
        })
    }

    /// Some hosts will restart.
    fn plan_restarts(&mut self) {
        let mut generator = SmallRng::seed_from_u64(self.book.now_ms);
        for _ in 0..generator.random_range(0..3) {
            let who = generator.random_range(0..self.agents.len());
            let at_ms = self.book.now_ms + generator.random_range(20_000..BEGINNING_MS);
            if self.cast[who].0 != Role::Exchange {
                self.restarts.push((who, at_ms, generator.random_range(200..6000)));
            }
        }
    }

    /// Whether all calls came to their end that can.
    pub fn is_done(&self) -> bool {
        let has_ended =
            |number: usize| !self.book.ended[number].contains(&None) || self.book.is_disturbed(number);
        self.waiting.is_empty() && self.restarts.is_empty() && (0..self.book.plans.len()).all(has_ended)
    }

    /// Plays until something is so, or it takes too long.
    ///
    /// # Errors
    /// What is wrong with the appliance.
    pub fn play(&mut self, is_so: impl Fn(&Crowd) -> bool) -> Result<(), String> {
        let end_ms = self.book.now_ms + TIME_MS_MAX;
        while !is_so(self) && self.book.now_ms < end_ms {
            self.step()?;
        }
        Ok(())
    }

    /// Plays for so long.
    ///
    /// # Errors
    /// What is wrong with the appliance.
    pub fn play_for(&mut self, ms: u64) -> Result<(), String> {
        let until_ms = self.book.now_ms + ms;
        while self.book.now_ms < until_ms {
            self.step()?;
        }
        Ok(())
    }

    /// All that happens at this moment, and on to the next.
    fn step(&mut self) -> Result<(), String> {
        let now_ms = self.book.now_ms;
        self.begin();
        self.arrive();
        for at in 0..self.agents.len() {
            if self.agents[at].next_ms().is_some_and(|next_ms| next_ms <= now_ms) {
                self.agents[at].tick(&mut self.book);
            }
            for parcel in std::mem::take(&mut self.agents[at].out) {
                self.wires.send(at, parcel, now_ms);
            }
        }
        self.cross()?;
        self.steps += 1;
        let agents = self.agents.iter().filter_map(Agent::next_ms).min();
        let start_ms = self.waiting.last().map(|number| self.book.plans[*number].start_ms);
        let restart_ms = self.restarts.iter().map(|(_, at_ms, _)| *at_ms).min();
        let next = [agents, self.wires.next_ms(now_ms), start_ms, restart_ms].into_iter().flatten().min();
        let ms = next.unwrap_or(u64::MAX).clamp(now_ms + 1, now_ms + STEP_MS_MAX) - now_ms;
        self.book.now_ms += ms;
        if let Some(bench) = &mut self.bench {
            bench.advance(ms)?;
            if self.steps.is_multiple_of(STEPS_PER_CHECK) {
                bench.check_tables()?;
            }
        }
        self.dispatch()
    }

    /// Calls begin, and hosts restart.
    fn begin(&mut self) {
        let now_ms = self.book.now_ms;
        while let Some(number) =
            self.waiting.last().copied().filter(|at| self.book.plans[*at].start_ms <= now_ms)
        {
            self.waiting.pop();
            let plan = &self.book.plans[number];
            let [caller, callee] = plan.parties;
            let is_ready = plan
                .parties
                .iter()
                .all(|at| self.agents[*at].is_reachable() && self.agents[*at].away_until_ms <= now_ms);
            if !is_ready {
                self.book.plans[number].start_ms = now_ms + 500;
                let at =
                    self.waiting.partition_point(|other| self.book.plans[*other].start_ms > now_ms + 500);
                self.waiting.insert(at, number);
                continue;
            }
            let target = cast::target(&self.cast[callee], plan.is_direct, self.bench.is_some());
            self.agents[caller].start_call(number, &target, &mut self.book);
        }
        for (who, _, away_ms) in self.restarts.extract_if(.., |(_, at_ms, _)| *at_ms <= now_ms) {
            self.agents[who].restart(now_ms + away_ms, &mut self.book);
            self.wires.forget(who);
        }
    }

    /// What arrived is read.
    fn arrive(&mut self) {
        let (now_ms, agents) = (self.book.now_ms, &self.agents);
        let is_away = |owner: usize| agents.get(owner).is_some_and(|agent| agent.away_until_ms > now_ms);
        for (owner, incoming) in self.wires.arriving(now_ms, is_away) {
            match self.agents.get_mut(owner) {
                None => {
                    if let Some(parcel) = self.proxy.hear(incoming, &mut self.book) {
                        self.wires.send(owner, parcel, now_ms);
                    }
                }
                Some(agent) => {
                    let is_message = incoming.transport == Transport::Tcp
                        || cast::is_signalling(&agent.setup, incoming.to);
                    match is_message {
                        true => agent.hear(incoming, &mut self.book),
                        false => agent.hear_media(&incoming, &mut self.book),
                    }
                }
            }
        }
    }

    /// What hosts send goes through the appliance.
    fn cross(&mut self) -> Result<(), String> {
        let now_ms = self.book.now_ms;
        let leaving = self.wires.leaving(now_ms);
        let (Some(bench), Some(interfaces)) = (&mut self.bench, &self.interfaces) else {
            return leaving.into_iter().try_for_each(|(_, packet)| self.wires.deliver(packet, now_ms));
        };
        for (at, (is_inside, packet)) in leaving.iter().enumerate() {
            let interface = &interfaces[usize::from(!is_inside)];
            let frame = bench.frame_to(interface, packet)?;
            bench.queue(interface, &frame)?;
            if at % QUEUED_MAX == QUEUED_MAX - 1 {
                bench.settle()?;
            }
        }
        bench.settle()?;
        self.dispatch()
    }

    /// What came out of the appliance goes to its host.
    fn dispatch(&mut self) -> Result<(), String> {
        let (Some(bench), Some([_, outside])) = (&mut self.bench, &self.interfaces) else { return Ok(()) };
        for (interface, frame) in bench.take_all() {
            let packet = frame.get(ETHERNET_LEN..).unwrap_or_default();
            if packet.len() < 28 || frame[12..14] != [0x08, 0x00] {
                return Err(format!("a frame that nobody waits for: {frame:02x?}"));
            }
            if interface == *outside {
                for leak in self.tap.packet(packet) {
                    self.book.wrong("", format!("an inside address left: {leak}"));
                }
            }
            self.wires.deliver(packet.to_vec(), self.book.now_ms)?;
        }
        Ok(())
    }

    /// Most phones remove their registrations; what is left of calls that have ended runs out.
    fn part(&mut self) -> Result<(), String> {
        let now_ms = self.book.now_ms;
        for (at, agent) in self.agents.iter_mut().enumerate() {
            match agent.is_reachable() && at % 4 != 0 {
                true => agent.leave(now_ms),
                false => self.keepers.extend([agent.setup.ip]),
            }
        }
        for (number, plan) in self.book.plans.iter().enumerate() {
            if self.book.is_disturbed(number) {
                self.keepers.extend(plan.parties.map(|at| self.cast[at].1.ip));
            }
        }
        self.play_for(40_000)?;
        self.wires.close();
        self.play_for(60_000)?;
        // Those who have not removed theirs do not refresh it any more.
        self.agents.iter_mut().for_each(|agent| agent.registration.next_ms = None);
        Ok(())
    }

    /// Lets the time of everything pass, and verifies that nothing is left.
    ///
    /// # Errors
    /// What is left, or is wrong with the appliance.
    pub fn finish(mut self, after_s: u64) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        (outcome.failures, outcome.streams) = self.book.judge();
        for (number, plan) in self.book.plans.iter().enumerate() {
            let transport = self.cast[plan.parties[0]].1.transport;
            outcome.calls[transport as usize] += 1;
            outcome.cut += usize::from(self.book.is_disturbed(number));
        }
        for (_, setup) in self.cast.iter().filter(|(role, _)| *role == Role::Phone) {
            outcome.phones[setup.transport as usize] += 1;
        }
        outcome.counts = self.book.counts;
        outcome.looked_at = self.tap.read;
        if self.book.has_log && !outcome.failures.is_empty() {
            outcome.failures.extend(self.wires.describe());
        }
        let Some(mut bench) = self.bench else { return Ok(outcome) };
        bench.check_tables()?;
        bench.advance(AFTER_S * 1000)?;
        let kept = outcome.cut;
        let door = bench.doors().into_iter().find(|door| !self.keepers.contains(&door.inside_local.addr));
        if let Some(door) = door {
            let of = |at: &usize| cast::addresses(&self.cast[*at].1);
            let is_its = |plan: &Plan| {
                let mut addresses = plan.parties.iter().flat_map(of);
                addresses.any(|addr| addr == door.inside_local.addr)
                    && (plan.parties.iter().flat_map(of).any(|addr| Some(addr) == door.peer)
                        || door.peer == Some(PROXY))
            };
            let calls = (0..self.book.plans.len()).filter(|number| is_its(&self.book.plans[*number]));
            let calls: Vec<String> = calls.map(|number| self.book.tell(number)).collect();
            return Err(format!("of one of these calls is left {door:?}\n  {}", calls.join("\n  ")));
        }
        // A call that was cut has a place for each of its inside hosts.
        let calls = bench.calls().into_iter().filter(|call| call.kind == CallKind::Call);
        let calls: Vec<String> = calls.map(|call| format!("{call:?}")).collect();
        if calls.len() > 2 * kept {
            return Err(format!("of {kept} calls are left {}", calls.join("\n  ")));
        }
        bench.advance(after_s * 1000)?;
        bench.take_all();
        let left = bench.levels().into_iter().filter(|(name, taken)| *taken > 0 && is_to_be_empty(name));
        let left: Vec<String> = left.map(|(name, taken)| format!("{taken} {name}")).collect();
        if !left.is_empty() {
            return Err(format!("left are {}", left.join(", ")));
        }
        let edited = bench.counter("sip-edited");
        outcome.packets = [bench.counter("received"), bench.counter("generated"), edited];
        outcome.doors = bench.counter("sip-doors-opened");
        bench.finish()?;
        Ok(outcome)
    }
}

/// Hosts and neighbours are remembered for as long as there is room.
fn is_to_be_empty(level: &str) -> bool {
    !level.contains("neighbour")
}
