//! Plays a crowd: hosts, links and appliance on one clock.
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::Ipv4Addr;

use control::config::InterfaceName;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::configuration::{self, IDLE_S};
use super::conversation::{Endpoint, UDP};
use super::member::{Announcement, Member, Progress, destination, source};
use super::{Parties, Speech, trial};
use crate::bench::{Bench, Setup};
use crate::leak::Row;

/// Sessions of a crowd, at most.
pub const MEMBERS_MAX: usize = 64;
/// The time within which a crowd's sessions begin, in milliseconds.
const BEGINNING_MS: u64 = 5000;
/// The longest time in which the appliance is not looked at, in milliseconds: its timers may send something.
const STEP_MS_MAX: u64 = 20;
/// Steps after which all tables are verified.
const STEPS_PER_CHECK: usize = 1000;
/// The share of announced endpoints that are tried.
const TRIED: f64 = 0.3;
/// The share of inside FTP and RTSP clients with a second session that announces the same ports.
const TWINS: f64 = 0.7;
/// Frames put on a wire at once.
const QUEUED_MAX: usize = 256;
/// Bytes of an Ethernet header.
const ETHERNET_LEN: usize = 14;

/// What became of a crowd.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Sessions, by [`Speech::ALL`].
    pub sessions: [usize; 3],
    /// Those of them in CGN mode.
    pub cgn_sessions: [usize; 3],
    /// Sessions that a host left unfinished.
    pub forgotten: usize,
    /// Those that failed: what happened.
    pub failures: Vec<String>,
    /// The longest session, in milliseconds.
    pub time_ms_max: u64,
    /// Packets that arrived at the appliance.
    pub packets: u64,
    /// Packets of the appliance's own.
    pub generated: u64,
    /// Messages that gateways changed.
    pub edited: u64,
    /// Messages that gateways refused.
    pub refused: u64,
    /// Doors opened.
    pub doors: u64,
    /// Announced endpoints that were tried.
    pub tried: u64,
    /// Sessions whose ports were used again, by what became of the connection before: closed, reset, forgotten by its client, or by both.
    pub reused: [usize; 4],
    /// Sessions that announce an endpoint again, in either mode: CGN last.
    pub again: [usize; 2],
    /// The same of those that announce the endpoints of another session of their host.
    pub shared: [usize; 2],
    /// Packets that strangers sent in hosts' names.
    pub forged: u64,
    /// Payloads that left by the outside and were looked at for inside addresses.
    pub looked_at: u64,
    /// Inside addresses that left because a row says so.
    pub passed: BTreeMap<Row, u64>,
}

impl Outcome {
    /// Adds another crowd's.
    pub fn add(&mut self, other: Outcome) {
        let sums = self.sessions.iter_mut().chain(&mut self.cgn_sessions).chain(&mut self.reused);
        let sums = sums.chain(&mut self.again).chain(&mut self.shared);
        let counts = other.sessions.into_iter().chain(other.cgn_sessions).chain(other.reused);
        let counts = counts.chain(other.again).chain(other.shared);
        for (sum, count) in sums.zip(counts) {
            *sum += count;
        }
        self.forgotten += other.forgotten;
        self.failures.extend(other.failures);
        self.time_ms_max = self.time_ms_max.max(other.time_ms_max);
        self.packets += other.packets;
        self.generated += other.generated;
        self.edited += other.edited;
        self.refused += other.refused;
        self.doors += other.doors;
        self.tried += other.tried;
        self.forged += other.forged;
        self.looked_at += other.looked_at;
        for (row, count) in other.passed {
            *self.passed.entry(row).or_default() += count;
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ftp, dns, rtsp] = self.sessions;
        let [closed, reset, forgotten, forgotten_by_both] = self.reused;
        write!(
            f,
            "{ftp} sessions of FTP, {dns} of DNS, {rtsp} of RTSP, {:?} of them in CGN mode: {} failed, {} left unfinished by a host, the \
             longest {} s; {} packets and {} of the appliance's own; {} messages changed, {} refused; {} doors, {} \
             announced endpoints tried; ports reused {closed} times after a close, {reset} after a reset, \
             {forgotten} after the client restarted, {forgotten_by_both} after both did; {:?} announced endpoints \
             again, {:?} those of another session; {} packets forged; of {} payloads that left, inside addresses passed \
             in {:?}",
            self.cgn_sessions,
            self.failures.len(),
            self.forgotten,
            self.time_ms_max / 1000,
            self.packets,
            self.generated,
            self.edited,
            self.refused,
            self.doors,
            self.tried,
            self.again,
            self.shared,
            self.forged,
            self.looked_at,
            self.passed
        )
    }
}

/// Plays the crowd of a seed, of so many sessions.
///
/// # Errors
/// What is wrong with the appliance as a whole; what is wrong with a session is in the outcome.
pub fn run(seed: u64, count: usize) -> Result<Outcome, String> {
    let mut crowd = Crowd::new(seed, count.min(MEMBERS_MAX))?;
    crowd.play()?;
    crowd.finish()
}

/// Who talks to whom, and what.
fn casts(count: usize, generator: &mut SmallRng) -> Vec<(Parties, Speech)> {
    let mut casts: Vec<(Parties, Speech)> = Vec::new();
    for number in 2..count as u8 + 2 {
        let other = casts.last_mut().filter(|(parties, speech)| {
            parties.client_is_inside && parties.shared_port.is_none() && *speech != Speech::Dns
        });
        let next = match other {
            Some((parties, speech)) if generator.random_bool(TWINS) => {
                (configuration::twin(parties, number, generator), *speech)
            }
            _ => {
                let speech = Speech::ALL[generator.random_range(0..3)];
                (configuration::parties(number, speech, generator), speech)
            }
        };
        casts.push(next);
    }
    casts
}

struct Crowd {
    bench: Bench,
    members: Vec<Member>,
    /// The session of each outside host, and of each inside host's control connections.
    by_outside: HashMap<Ipv4Addr, usize>,
    by_inside: HashMap<Endpoint, usize>,
    /// The interfaces to inside and outside.
    interfaces: [InterfaceName; 2],
    generator: SmallRng,
    doors_opened: u64,
    is_cgn: bool,
    outcome: Outcome,
}

impl Crowd {
    fn new(seed: u64, count: usize) -> Result<Crowd, String> {
        let mut generator = SmallRng::seed_from_u64(seed);
        let casts = casts(count, &mut generator);
        let text =
            configuration::text(casts.iter().map(|(parties, speech)| (parties, *speech)), &mut generator);
        let is_cgn = text.contains(configuration::CGN);
        // Clocks wrap around.
        let start_ms = u64::from(u32::MAX) - generator.random_range(0..200_000);
        let setup = Setup {
            start_ms,
            worker_count: generator.random_range(1..=2),
            buffer_count: 8192,
            secret: [generator.random(), generator.random()],
            ..Setup::default()
        };
        let bench = Bench::new("crowd", &text, setup)?;
        let name = |place| bench.interface(place).map(|interface| interface.name.clone());
        let interfaces = [name("inside")?, name("outside")?];
        let (mut members, mut by_outside, mut by_inside) = (Vec::new(), HashMap::new(), HashMap::new());
        for (number, (parties, speech)) in casts.into_iter().enumerate() {
            by_outside.insert(parties.outside, number);
            let inside = usize::from(!parties.client_is_inside);
            // Two sessions of one host have ports of their own.
            let member = loop {
                let own = SmallRng::seed_from_u64(generator.random());
                let begin_ms = start_ms + generator.random_range(0..BEGINNING_MS);
                let member = Member::new(speech, parties.clone(), own, begin_ms);
                if !by_inside.contains_key(&member.endpoints()[inside]) {
                    break member;
                }
            };
            by_inside.insert(member.endpoints()[inside], number);
            members.push(member);
        }
        let outcome = Outcome::default();
        Ok(Crowd {
            bench,
            members,
            by_outside,
            by_inside,
            interfaces,
            generator,
            doors_opened: 0,
            is_cgn,
            outcome,
        })
    }

    fn play(&mut self) -> Result<(), String> {
        let mut steps = 0;
        while self.is_running() {
            self.step()?;
            steps += 1;
            if steps % STEPS_PER_CHECK == 0 {
                self.bench.check_tables()?;
            }
            let now_ms = self.bench.now_ms();
            let next_ms = self.running().map(|member| member.due_ms).min().unwrap_or(now_ms);
            self.bench.advance(next_ms.clamp(now_ms + 1, now_ms + STEP_MS_MAX) - now_ms)?;
            self.dispatch()?;
        }
        Ok(())
    }

    fn running(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.progress == Progress::Running)
    }

    fn is_running(&self) -> bool {
        self.running().next().is_some()
    }

    /// All that happens at this moment.
    fn step(&mut self) -> Result<(), String> {
        let now_ms = self.bench.now_ms();
        let mut queued = 0;
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            if member.progress != Progress::Running || member.due_ms > now_ms {
                continue;
            }
            for (at, packet) in member.step(now_ms) {
                let interface = &self.interfaces[usize::from(!self.members[number].is_inside(at))];
                let frame = self.bench.frame_to(interface, &packet)?;
                self.bench.queue(interface, &frame)?;
                queued += 1;
                if queued % QUEUED_MAX == 0 {
                    self.settle()?;
                }
            }
        }
        self.settle()?;
        for number in 0..self.members.len() {
            let announced = std::mem::take(&mut self.members[number].announced);
            for announcement in announced {
                if self.generator.random_bool(TRIED) {
                    self.try_endpoint(number, announcement)?;
                }
            }
            if std::mem::take(&mut self.members[number].is_torn_down) {
                self.check_closed(number);
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.bench.settle()?;
        self.dispatch()
    }

    /// Takes note of new doors, and gives each packet to its host.
    fn dispatch(&mut self) -> Result<(), String> {
        let opened = self.gateways(|counters| counters.doors_opened.value());
        if opened != self.doors_opened {
            self.doors_opened = opened;
            let mut globals = HashMap::new();
            for door in self.bench.doors() {
                let global = (door.inside_global.addr, door.inside_global.port);
                let first = *globals.entry((door.protocol, door.inside_local)).or_insert(global);
                if first != global {
                    return Err(format!("{} is announced as {first:?} and as {global:?}", door.inside_local));
                }
                if let Some(number) = door.peer.and_then(|peer| self.by_outside.get(&peer)) {
                    self.members[*number].known.note_door(door.protocol, door.inside_local.port, global);
                }
            }
        }
        let now_ms = self.bench.now_ms();
        for (_, frame) in self.bench.take_all() {
            self.deliver(&frame, now_ms)?;
        }
        Ok(())
    }

    fn deliver(&mut self, frame: &[u8], now_ms: u64) -> Result<(), String> {
        let packet = frame.get(ETHERNET_LEN..).unwrap_or_default();
        let is_error = packet.get(9) == Some(&1);
        if packet.len() < 40 || frame[12..14] != [0x08, 0x00] || packet[9] != 6 && !is_error {
            return Err(format!("a frame that nobody waits for: {frame:02x?}"));
        }
        let (address, port) = destination(packet);
        let number = self.by_outside.get(&address).or_else(|| self.by_inside.get(&(address, port)));
        let number = *number.ok_or(format!("a packet to {address}:{port}"))?;
        let member = &mut self.members[number];
        if is_error {
            member.fail(format!("an ICMP error with guessed numbers: {packet:02x?}"), now_ms);
            return Ok(());
        }
        match member.host_of(address) {
            Some(at) if member.endpoints()[at].1 == port => member.deliver(at, packet.to_vec(), now_ms),
            _ => member.fail(format!("a packet to {address}:{port}"), now_ms),
        }
        Ok(())
    }

    fn gateways(&self, value: impl Fn(&dataplane::counters::GatewayCounters) -> u64) -> u64 {
        let counters = self.bench.appliance.counters.iter();
        counters.flat_map(|counters| &counters.gateways).map(value).sum()
    }

    /// Sends a packet to an announced endpoint, or from behind it. A door that closed meanwhile is left alone.
    fn try_endpoint(&mut self, number: usize, (key, global): Announcement) -> Result<(), String> {
        let (protocol, port) = key;
        let parties = self.members[number].parties.clone();
        let doors = self.bench.doors();
        let is_it = |door: &dataplane::message::DoorRow| {
            (door.protocol, door.inside_local.addr, door.inside_local.port)
                == (protocol, parties.inside, port)
                && door.peer == Some(parties.outside)
        };
        let Some(door) = doors.into_iter().find(is_it) else { return Ok(()) };
        let now_ms = self.bench.now_ms();
        if (door.inside_global.addr, door.inside_global.port) != global {
            self.members[number].fail(format!("{global:?} was announced, but there is {door:?}"), now_ms);
            return Ok(());
        }
        self.outcome.tried += 1;
        let (own, other) =
            ((parties.inside, port), (parties.outside, self.generator.random_range(1024..u16::MAX)));
        let comes_from_inside = self.generator.random_bool(0.3);
        let (from, to, expected) = match comes_from_inside {
            true => (own, other, (global, other)),
            false => (other, global, (other, own)),
        };
        let interface = &self.interfaces[usize::from(!comes_from_inside)];
        let frame = self.bench.frame_to(interface, &trial::packet(protocol, from, to))?;
        self.bench.inject(interface, &frame)?;
        let mut has_arrived = false;
        for (_, frame) in self.bench.take_all() {
            let packet = frame.get(ETHERNET_LEN..).unwrap_or_default();
            let ends = (packet.len() >= 28).then(|| (source(packet), destination(packet)));
            if ends == Some(expected) && packet[9] == protocol {
                has_arrived = true;
            } else {
                self.deliver(&frame, now_ms)?;
            }
        }
        if !has_arrived {
            let what = if protocol == UDP { "a datagram" } else { "a SYN" };
            self.members[number].fail(format!("{what} from {from:?} to {to:?} did not arrive"), now_ms);
        }
        Ok(())
    }

    /// A session that was torn down has no doors.
    fn check_closed(&mut self, number: usize) {
        let outside = Some(self.members[number].parties.outside);
        if let Some(door) = self.bench.doors().iter().find(|door| door.peer == outside) {
            self.members[number].fail(format!("torn down, it has {door:?}"), self.bench.now_ms());
        }
    }

    /// Lets the time of everything pass, and verifies that nothing is left.
    fn finish(mut self) -> Result<Outcome, String> {
        let now_ms = self.bench.now_ms();
        for member in &mut self.members {
            self.outcome.sessions[member.speech as usize] += 1;
            self.outcome.cgn_sessions[member.speech as usize] += usize::from(self.is_cgn);
            self.outcome.again[usize::from(self.is_cgn)] += usize::from(member.announces_again());
            self.outcome.shared[usize::from(self.is_cgn)] +=
                usize::from(member.parties.shared_port.is_some());
            self.outcome.forged += member.forged;
            self.outcome.looked_at += member.tap.read;
            for (row, count) in &member.tap.passed {
                *self.outcome.passed.entry(*row).or_default() += count;
            }
            if let Some(before) = member.reused {
                self.outcome.reused[before as usize] += 1;
            }
            match &member.progress {
                Progress::Complete => {}
                Progress::Forgotten => self.outcome.forgotten += 1,
                Progress::Running => member.fail("it still runs".into(), now_ms),
                Progress::Failed(_) => {}
            }
            if let Progress::Failed(reason) = &member.progress {
                self.outcome.failures.push(reason.clone());
            }
        }
        self.bench.check_tables()?;
        self.bench.advance(IDLE_S * 1000 + 120_000)?;
        self.bench.take_all();
        let reading = self.gateways(|counters| counters.reading.value());
        let ports: u32 = self.bench.ports_in_use().iter().map(|(_, used)| used).sum();
        let left = [
            ("sessions", self.bench.sessions().len()),
            ("doors", self.bench.doors().len()),
            ("mappings", self.bench.mapping_count()),
            ("ports", ports as usize),
            ("streams", reading as usize),
            ("packets held", self.bench.counter("held") as usize),
        ];
        for (what, count) in left {
            if count > 0 {
                return Err(format!("{count} {what} are left"));
            }
        }
        self.outcome.packets = self.bench.counter("received");
        self.outcome.generated = self.bench.counter("generated");
        self.outcome.edited = self.gateways(|counters| counters.edited.value());
        self.outcome.refused =
            self.gateways(|counters| counters.refused.iter().map(|count| count.value()).sum());
        self.outcome.doors = self.doors_opened;
        let times = self.members.iter().map(|member| member.time_ms());
        self.outcome.time_ms_max = times.max().unwrap_or(0);
        let Crowd { bench, outcome, .. } = self;
        bench.finish()?;
        Ok(outcome)
    }
}
