//! The simulator: two TCP hosts, a network that loses, doubles, reorders and cuts, and a stream between them, on a
//! clock of its own.
//!
//! A session is random from its seed alone: both programs write scripts of a toy protocol ([`lines`]) in random chunks
//! and read with random pauses. In the end each must have read what an ideal rewriter makes of what the other wrote,
//! within bounded virtual time, and every buffer must be back.
//!
//! [`crowd`] has hosts that talk FTP, DNS and RTSP through a whole appliance, [`sip`] phones.

pub mod crowd;
pub mod host;
pub mod lines;
pub mod link;
pub mod sip;

use std::fmt;

use dataplane::stream::{Buffers, Cause, Chunks, Emission, Means, Opening, Sender, Stream};
use mem::{Packet, Slab};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use host::{Host, HostSetup};
use lines::{Lines, Style};
use link::{Impairments, Link};

/// What a session is like.
#[derive(Clone, Debug)]
pub struct SessionSetup {
    /// Who opens the connection, and who is called.
    pub hosts: [HostSetup; 2],
    /// Of all links.
    pub impairments: Impairments,
    /// The share of packets that cannot be had.
    pub shortage: f64,
    /// Chunks that the stream may have.
    pub chunk_count: usize,
    /// The longest message.
    pub message_len_max: u32,
}

/// Buffers in the box: more than any session should need.
const BUFFER_COUNT: usize = 1024;
/// Virtual time within which a session must end.
const TIME_MS_MAX: u64 = 7_200_000;
/// Steps within which it must.
const STEPS_MAX: usize = 2_000_000;

impl SessionSetup {
    /// A random session.
    pub fn random(generator: &mut SmallRng) -> SessionSetup {
        let line_len_max = [10, 80, 300, 3000][generator.random_range(0..4)];
        let style = Style {
            line_count: generator.random_range(0..2000 / line_len_max + 5),
            line_len_max,
            is_foreign: generator.random_bool(0.1),
            is_edited: generator.random_bool(0.9),
        };
        let is_fair = generator.random_bool(0.2);
        let impairments = Impairments {
            loss: if is_fair { 0.0 } else { 0.05 },
            duplication: if is_fair { 0.0 } else { 0.03 },
            delay_ms: generator.random_range(0..40),
            jitter_ms: if is_fair { 0 } else { generator.random_range(0..30) },
            cut: [0.0, 0.1, 0.3][generator.random_range(0..3)],
            part_len_max: [1, 10, 200][generator.random_range(0..3)].max(line_len_max / 40),
        };
        let has_shortage = generator.random_bool(0.1);
        SessionSetup {
            hosts: [([192, 0, 2, 1], 40000), ([192, 0, 2, 2], 21)]
                .map(|endpoint| host_setup(endpoint, &style, generator)),
            impairments,
            shortage: if has_shortage { 0.1 } else { 0.0 },
            chunk_count: if has_shortage { 12 } else { 256 },
            message_len_max: if generator.random_bool(0.05) { 200 } else { 65_536 },
        }
    }

    /// Whether a gateway may give up although both sides follow the protocol.
    fn is_scarce(&self) -> bool {
        self.shortage > 0.0 || self.message_len_max < 65_536
    }
}

fn host_setup(endpoint: ([u8; 4], u16), style: &Style, generator: &mut SmallRng) -> HostSetup {
    // Room for the parts of a line at least, or a session takes for ever.
    let room_min = style.line_len_max / 4 + 16;
    HostSetup {
        endpoint,
        mtu: [61, 100, 576, 1500][generator.random_range(0..4)],
        receive_room: generator.random_range(room_min..room_min * 16),
        send_room: generator.random_range(room_min..room_min * 16),
        nagle: generator.random_bool(0.5),
        ack_delay_ms: [None, Some(10), Some(200)][generator.random_range(0..3)],
        timestamps: generator.random_bool(0.5),
        script: lines::script(style, generator),
        write_len_max: [1, 20, 4000][generator.random_range(0..3)].max(style.line_len_max / 40),
        pause_ms_max: [0, 20, 300][generator.random_range(0..3)],
        nap_ms: 0,
    }
}

/// What a session was.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Virtual milliseconds it took.
    pub time_ms: u64,
    /// Packets that arrived at the box.
    pub packets: usize,
    /// Those that went on in place.
    pub passed: usize,
    /// Chunks that were in use at the same time.
    pub chunks_max: usize,
    /// What the stream counted.
    pub counters: dataplane::stream::Counters,
    /// A host did not repeat what was lost.
    pub has_forgotten: bool,
    /// Why reading ended before the session did.
    pub detached: Option<Cause>,
}

/// Why a session failed.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Plays the session of a seed.
pub fn run(seed: u64) -> Result<Outcome, Failure> {
    let mut generator = SmallRng::seed_from_u64(seed);
    let setup = SessionSetup::random(&mut generator);
    play(&setup, generator)
}

/// Plays a session.
pub fn play(setup: &SessionSetup, generator: SmallRng) -> Result<Outcome, Failure> {
    let mut session = Session::new(setup, generator);
    session.play().and_then(|()| session.finish()).map_err(|reason| session.explain(&reason))
}

struct Store {
    slab: Slab,
    shortage: f64,
    generator: SmallRng,
}

impl Buffers for Store {
    fn take(&mut self) -> Option<Packet> {
        if self.generator.random_bool(self.shortage) { None } else { self.slab.allocate(0) }
    }
}

struct Session<'s> {
    setup: &'s SessionSetup,
    hosts: [Host; 2],
    /// From each host to the box, and from the box to each host.
    up: [Link; 2],
    down: [Link; 2],
    generator: SmallRng,
    chunks: Chunks,
    store: Store,
    lines: Lines,
    opening: Option<Opening>,
    stream: Option<Stream>,
    now_ms: u64,
    start_ms: u64,
    arrived: usize,
    emitted: usize,
    chunks_max: usize,
    has_forgotten: bool,
}

impl<'s> Session<'s> {
    fn new(setup: &'s SessionSetup, mut generator: SmallRng) -> Session<'s> {
        // Clocks wrap around, and so do sequence numbers, which are smoltcp's own.
        let start_ms = u64::from(u32::MAX) - generator.random_range(0..20_000);
        let hosts = [0, 1].map(|at: usize| Host::new(setup.hosts[at].clone(), generator.random(), start_ms));
        let links = || [0, 1].map(|_| Link::new(setup.impairments.clone()));
        let slab = Slab::new(BUFFER_COUNT, 2048);
        let store =
            Store { slab, shortage: setup.shortage, generator: SmallRng::seed_from_u64(generator.random()) };
        Session {
            setup,
            hosts,
            up: links(),
            down: links(),
            generator,
            chunks: Chunks::new(setup.chunk_count, setup.message_len_max),
            store,
            lines: Lines::default(),
            opening: None,
            stream: None,
            now_ms: start_ms,
            start_ms,
            arrived: 0,
            emitted: 0,
            chunks_max: 0,
            has_forgotten: false,
        }
    }

    fn play(&mut self) -> Result<(), String> {
        self.hosts[1].listen();
        self.hosts[0].connect(self.setup.hosts[1].endpoint);
        for _ in 0..STEPS_MAX {
            self.step()?;
            if self.hosts.iter().all(Host::is_done) {
                return Ok(());
            }
            let Some(next_ms) = self.next_ms() else {
                // Not the stream's fault where a host does not do its part.
                let now_ms = self.now_ms;
                self.has_forgotten = self.hosts.iter_mut().any(|host| host.has_forgotten(now_ms));
                return self.has_forgotten.then_some(()).ok_or("nothing will ever happen again".to_string());
            };
            self.now_ms = next_ms.max(self.now_ms);
            if self.now_ms - self.start_ms > TIME_MS_MAX {
                let now_ms = self.now_ms;
                self.has_forgotten =
                    self.hosts.iter_mut().any(|host| host.is_stuck() || host.has_forgotten(now_ms));
                return self.has_forgotten.then_some(()).ok_or("it takes too long".to_string());
            }
        }
        Err("it takes too many steps".to_string())
    }

    /// All that happens at this moment.
    fn step(&mut self) -> Result<(), String> {
        for at in 0..2 {
            while let Some(packet) = self.down[at].receive(self.now_ms) {
                self.hosts[at].arrive(packet);
            }
            for packet in self.hosts[at].run(self.now_ms) {
                self.up[at].send(packet, self.now_ms, &mut self.generator);
            }
        }
        for sender in Sender::ALL {
            while let Some(packet) = self.up[sender as usize].receive(self.now_ms) {
                self.box_takes(sender, &packet)?;
            }
        }
        let now = self.now_ms as u32;
        let is_due = |at: u32| now.wrapping_sub(at) as i32 >= 0;
        if self.stream.as_ref().and_then(Stream::deadline).is_some_and(is_due) {
            self.with_stream(|stream, means| stream.tick(means))?;
        }
        Ok(())
    }

    fn box_takes(&mut self, sender: Sender, bytes: &[u8]) -> Result<(), String> {
        let packet = self.store.slab.copy_of(bytes, 0).ok_or("the box has no buffer left")?;
        if let (None, Some(opening)) = (&self.stream, Opening::read(bytes, 0, 20)) {
            match (sender, self.opening) {
                (Sender::Client, _) => self.opening = Some(opening),
                (Sender::Server, Some(initiator)) => self.stream = Some(Stream::new(&initiator, &opening)),
                _ => {}
            }
        }
        if self.stream.is_none() {
            let to = sender.other() as usize;
            self.down[to].send(bytes.to_vec(), self.now_ms, &mut self.generator);
            return Ok(());
        }
        self.arrived += 1;
        self.with_stream(|stream, means| stream.segment(sender, packet, 0, 20, means))
    }

    fn with_stream(&mut self, act: impl FnOnce(&mut Stream, &mut Means)) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut output = Vec::new();
        let mut means = Means {
            chunks: &mut self.chunks,
            buffers: &mut self.store,
            inspector: &mut self.lines,
            output: &mut output,
            now: self.now_ms as u32,
        };
        act(stream, &mut means);
        self.emitted += output.len();
        self.chunks_max = self.chunks_max.max(self.chunks.in_use());
        for Emission { sender, packet, l3, l4 } in output {
            self.check_packet(packet.bytes(), usize::from(l3), usize::from(l4))?;
            let to = sender.other() as usize;
            self.down[to].send(packet.bytes()[usize::from(l3)..].to_vec(), self.now_ms, &mut self.generator);
        }
        self.check_fates()
    }

    /// Every packet is whole: its lengths and checksums are right.
    fn check_packet(&self, frame: &[u8], l3: usize, l4: usize) -> Result<(), String> {
        let packet = &frame[l3..];
        let total_len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let is_right = total_len == packet.len()
            && crate::checksum::sum(&packet[..l4 - l3]) == 0xffff
            && link::tcp_sum(packet, l4 - l3) == 0xffff;
        if is_right { Ok(()) } else { Err(format!("a broken packet: {packet:02x?}")) }
    }

    /// Arrived + generated = sent + consumed + held.
    fn check_fates(&self) -> Result<(), String> {
        let counters = self.chunks.counters();
        let held = self.chunks.packets_held();
        let (had, has) =
            (self.arrived as u64 + counters.generated, self.emitted as u64 + counters.consumed + held as u64);
        if had == has {
            Ok(())
        } else {
            Err(format!("{had} packets became {has}: {counters:?}, {held} held"))
        }
    }

    fn next_ms(&mut self) -> Option<u64> {
        let now_ms = self.now_ms;
        let links = self.up.iter().chain(&self.down).filter_map(Link::next_ms).min();
        let hosts = self.hosts.iter_mut().filter_map(|host| host.next_ms(now_ms)).min();
        // The stream's clock is 32 bits wide.
        let ahead =
            |at: u32| now_ms + u64::from(at.wrapping_sub(now_ms as u32) as i32 as u32 & (i32::MAX as u32));
        let stream = self.stream.as_ref().and_then(Stream::deadline).map(ahead);
        let next = [links, hosts, stream].into_iter().flatten().min();
        // What is due now was done: what it led to is for the next moment.
        next.map(|at| at.max(now_ms + 1))
    }

    fn finish(&mut self) -> Result<Outcome, String> {
        let stream = self.stream.as_mut().ok_or("there was no handshake")?;
        let detached = stream.detached();
        stream.close(&mut self.chunks);
        for sender in Sender::ALL {
            self.check_received(sender, detached)?;
        }
        match self.chunks.in_use() {
            0 => {}
            left => return Err(format!("{left} chunks are left")),
        }
        if self.store.slab.available() != BUFFER_COUNT {
            return Err(format!("{} buffers are lost", BUFFER_COUNT - self.store.slab.available()));
        }
        Ok(Outcome {
            time_ms: self.now_ms - self.start_ms,
            packets: self.arrived,
            passed: self.emitted.saturating_sub(self.chunks.counters().generated as usize),
            chunks_max: self.chunks_max,
            counters: *self.chunks.counters(),
            has_forgotten: self.has_forgotten,
            detached,
        })
    }

    fn check_received(&self, sender: Sender, detached: Option<Cause>) -> Result<(), String> {
        let script = &self.setup.hosts[sender as usize].script;
        let received = &self.hosts[sender.other() as usize].received;
        let is_expected = match detached {
            None => true,
            Some(Cause::Refused) => {
                script.contains(&b'X') || self.setup.hosts.iter().any(|h| h.script.contains(&b'X'))
            }
            Some(Cause::TooLong | Cause::BadEdit | Cause::Undeliverable) => self.setup.is_scarce(),
            // A socket that has closed knows nothing of what is still on its way.
            Some(Cause::Reset) => true,
            Some(Cause::Truncated) => false,
        };
        if !is_expected {
            return Err(format!("it detached: {detached:?}"));
        }
        if self.has_forgotten && !self.hosts.iter().all(Host::is_settled) {
            // What there is must be right, whether reading ended in between or not.
            let is_prefix = |until| lines::ideal(script, until).starts_with(received);
            let cuts = self.lines.boundaries[sender as usize].iter().copied();
            let mut cuts = cuts.chain([self.lines.released(sender), script.len()]);
            return cuts.any(is_prefix).then_some(()).ok_or(format!("{sender:?}: what was read is wrong"));
        }
        let released = match detached {
            None | Some(Cause::Reset) => script.len(),
            Some(_) => self.lines.released(sender),
        };
        if detached == Some(Cause::Undeliverable) {
            // Both were reset, and had read nothing that was wrong.
            let is_right = lines::ideal(script, script.len()).starts_with(received);
            return is_right.then_some(()).ok_or(format!("{sender:?}: what was read before is wrong"));
        }
        // Where an edit finds no room, the last messages may have been released and yet go on as they came.
        let scarce = detached == Some(Cause::BadEdit);
        let boundaries =
            self.lines.boundaries[sender as usize].iter().rev().take(if scarce { 50 } else { 0 });
        let mut cuts = std::iter::once(released).chain(boundaries.copied());
        if cuts.any(|until| *received == lines::ideal(script, until)) {
            return Ok(());
        }
        let ideal = lines::ideal(script, released);
        let at = received.iter().zip(&ideal).take_while(|(a, b)| a == b).count();
        Err(format!(
            "{sender:?}: of {} bytes {} were read, and those from {at} differ",
            ideal.len(),
            received.len()
        ))
    }

    fn explain(&self, reason: &str) -> Failure {
        let [first, second] = &self.hosts;
        let detached = self.stream.as_ref().and_then(Stream::detached);
        let mut setup = self.setup.clone();
        for host in &mut setup.hosts {
            host.script.clear();
        }
        Failure(format!(
            "{reason}, after {} ms\n  initiator {}\n  responder {}\n  detached {detached:?}, {:?}\n  {setup:?}",
            self.now_ms - self.start_ms,
            first.describe(),
            second.describe(),
            self.chunks.counters(),
        ))
    }
}
