//! Streams under attack: random segments, an inspector that answers at random, buffers that run out. Nothing panics,
//! what is kept stays within its bounds, what is sent is well-formed, and every packet has its fate.

use std::net::Ipv4Addr;

use dataplane::stream::{
    Buffers, Chunks, EditList, Emission, Inspection, Inspector, Means, Opening, Sender, Stream,
};
use mem::{Packet, Slab};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use testkit::packet::{Ipv4, TCP, Tcp};
use testkit::random::generator;
use testkit::simulator::link::tcp_sum;

const STREAMS: usize = 4;
const CHUNKS: usize = 300;
/// Chunks that one sender may hold, and one sender may retain: a few messages' worth.
const BUFFERS: usize = 400;
const MESSAGE_LEN_MAX: u32 = 3000;

struct Whim(SmallRng);

impl Inspector for Whim {
    fn inspect(&mut self, _: Sender, bytes: &[u8], edits: &mut EditList) -> Inspection {
        let length = self.0.random_range(0..=bytes.len());
        match self.0.random_range(0..1000) {
            0 => Inspection::Detach,
            1 => Inspection::Release { length: self.0.random_range(0..usize::MAX) },
            2..400 => Inspection::More { length_min: self.0.random_range(0..bytes.len() + 100) },
            400..700 => Inspection::Release { length: length.max(1) },
            _ => {
                for _ in 0..self.0.random_range(1..6) {
                    let start = self.0.random_range(0..length + 1);
                    let beyond = usize::from(self.0.random_bool(0.002));
                    let end = self.0.random_range(start..=length) + beyond;
                    let new_len = if self.0.random_bool(0.05) { 5000 } else { self.0.random_range(0..40) };
                    // Those out of order are refused.
                    let _ = edits.replace(start..end, &vec![b'n'; new_len]);
                }
                Inspection::Release { length }
            }
        }
    }
}

struct Scarce(Slab, SmallRng);

impl Buffers for Scarce {
    fn take(&mut self) -> Option<Packet> {
        if self.1.random_bool(0.05) { None } else { self.0.allocate(0) }
    }
}

struct Attack {
    generator: SmallRng,
    slab: Slab,
    buffers: Scarce,
    chunks: Chunks,
    whim: Whim,
    streams: Vec<Option<Stream>>,
    /// By stream and sender: numbers near which segments are made.
    near: [[u32; 2]; STREAMS],
    /// What was sent last, as the receiver counts: numbers near which it acknowledges.
    heard: [[u32; 2]; STREAMS],
    now: u32,
    arrived: u64,
    emitted: u64,
}

impl Attack {
    fn new(seed: u64) -> Attack {
        let mut generator = SmallRng::seed_from_u64(seed);
        let slab = Slab::new(BUFFERS, 2048);
        let buffers = Scarce(slab.clone(), SmallRng::seed_from_u64(generator.random()));
        let whim = Whim(SmallRng::seed_from_u64(generator.random()));
        let now = generator.random();
        let chunks = Chunks::new(CHUNKS, MESSAGE_LEN_MAX);
        let streams = (0..STREAMS).map(|_| None).collect();
        let (near, heard) = ([[0; 2]; STREAMS], [[0; 2]; STREAMS]);
        Attack { generator, slab, buffers, chunks, whim, streams, near, heard, now, arrived: 0, emitted: 0 }
    }

    fn opening(&mut self, at: usize, sender: usize) -> Opening {
        let ends = [([10, 0, 0, 2], 40000), ([198, 51, 100, 7], 21)];
        self.near[at][sender] = self.generator.random();
        self.heard[at][sender] = self.near[at][sender];
        Opening {
            source: ends[sender],
            destination: ends[1 - sender],
            ttl: 60,
            sequence: self.near[at][sender].wrapping_sub(1),
            window: self.generator.random(),
            segment_len_max: self
                .generator
                .random_bool(0.8)
                .then_some([28, 536, 1460, 65535][self.generator.random_range(0..4)]),
            window_scale: self
                .generator
                .random_bool(0.5)
                .then_some([0, 7, 14][self.generator.random_range(0..3)]),
            timestamp: self.generator.random_bool(0.5).then_some(self.generator.random()),
        }
    }

    /// A number near another, or none in particular.
    fn number(&mut self, near: u32) -> u32 {
        match self.generator.random_range(0..100) {
            0 => self.generator.random(),
            1..6 => near.wrapping_sub(self.generator.random_range(0..3000)),
            6..8 => near.wrapping_add(self.generator.random_range(0..70_000)),
            8..40 => near.wrapping_add(self.generator.random_range(0..600)),
            _ => near,
        }
    }

    fn frame(&mut self, at: usize, sender: usize) -> Vec<u8> {
        let (near, heard) = (self.near[at][sender], self.heard[at][1 - sender]);
        let (seq, ack) = (self.number(near), self.number(heard));
        let len = [0, 1, self.generator.random_range(0..100), self.generator.random_range(0..1400)]
            [self.generator.random_range(0..4)];
        let options: Vec<u8> = match self.generator.random_range(0..4) {
            0 => Vec::new(),
            1 => [&[1, 1, 8, 10][..], &[self.generator.random(); 8]].concat(),
            2 => {
                let edges: Vec<u8> = (0..4).flat_map(|_| self.number(heard).to_be_bytes()).collect();
                [&[1, 1, 5, 18][..], &edges].concat()
            }
            _ => (0..self.generator.random_range(0..10) * 4)
                .map(|_| self.generator.random_range(0..35))
                .collect(),
        };
        let flags = match self.generator.random_range(0..100) {
            0..2 => self.generator.random(),
            2 => 0x11,
            3..6 => 0x38,
            _ => 0x10,
        };
        let window: u16 = if self.generator.random_bool(0.1) { 0 } else { self.generator.random() };
        let header = Tcp { ports: (40_000, 21), seq, ack, flags, window, urgent: self.generator.random() };
        let payload: Vec<u8> = (0..len).map(|_| self.generator.random()).collect();
        let ends = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(198, 51, 100, 7));
        let mut frame =
            Ipv4 { id: 0, ttl: 9, ..Ipv4::new(ends, TCP) }.sealed(&header.around(&options, &payload));
        if self.generator.random_bool(0.02) {
            let at = self.generator.random_range(0..frame.len());
            frame[at] = self.generator.random();
        }
        if self.generator.random_bool(0.02) {
            frame.truncate(self.generator.random_range(20..frame.len()));
        }
        if flags & 0x02 == 0 && seq == near && self.generator.random_bool(0.9) {
            // Go on from here: most segments of an attack that gets anywhere fit the connection.
            self.near[at][sender] = seq.wrapping_add(len as u32);
        }
        frame
    }

    fn step(&mut self) {
        let at = self.generator.random_range(0..STREAMS);
        if self.streams[at].is_none() {
            let openings = [self.opening(at, 0), self.opening(at, 1)];
            self.streams[at] = Some(Stream::new(&openings[0], &openings[1]));
        }
        let sender = self.generator.random_range(0..2);
        let frame = self.frame(at, sender);
        self.now = self.now.wrapping_add([0, 1, 50, 5000][self.generator.random_range(0..4)]);
        let is_detached = self.streams[at].as_ref().is_some_and(|stream| stream.detached().is_some());
        let is_over = self.generator.random_bool(if is_detached { 0.1 } else { 0.002 });
        let is_tick = self.generator.random_bool(0.1);
        let mut output = Vec::new();
        let mut means = Means {
            chunks: &mut self.chunks,
            buffers: &mut self.buffers,
            inspector: &mut self.whim,
            output: &mut output,
            now: self.now,
        };
        let Some(stream) = &mut self.streams[at] else { return };
        if is_tick {
            stream.tick(&mut means);
        }
        if let Some(packet) = self.slab.copy_of(&frame, 0) {
            self.arrived += 1;
            stream.segment(Sender::ALL[sender], packet, 0, 20, &mut means);
        }
        self.emitted += output.len() as u64;
        if self.generator.random_bool(0.01) {
            stream.limit_segments(Sender::ALL[sender], self.generator.random());
        }
        if is_over {
            stream.close(&mut self.chunks);
            self.streams[at] = None;
        }
        for Emission { sender, packet, l3, l4 } in output {
            let bytes = &packet.bytes()[usize::from(l3)..];
            let seq = u32::from_be_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
            self.heard[at][sender as usize] = seq.wrapping_add((bytes.len() as u32).saturating_sub(60));
            let total_len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            assert!(total_len <= bytes.len());
            assert_eq!(tcp_sum(&bytes[..total_len], usize::from(l4 - l3)), 0xffff, "a wrong checksum");
        }
        let (counters, held) = (self.chunks.counters(), self.chunks.packets_held() as u64);
        assert_eq!(self.arrived + counters.generated, self.emitted + counters.consumed + held);
        assert!(self.chunks.in_use() <= CHUNKS);
        assert_eq!(self.slab.available() + held as usize, BUFFERS);
    }

    fn finish(mut self) -> u64 {
        for stream in self.streams.iter_mut().flatten() {
            stream.close(&mut self.chunks);
        }
        assert_eq!((self.chunks.in_use(), self.slab.available()), (0, BUFFERS));
        self.chunks.counters().edited
    }
}

#[test]
fn attacks_break_nothing() {
    let mut generator = generator("stream_hostile", 3);
    let mut edited = 0;
    for _ in 0..200 {
        let seed = generator.random();
        println!("attack {seed}");
        let mut attack = Attack::new(seed);
        for _ in 0..2500 {
            attack.step();
        }
        edited += attack.finish();
    }
    assert!(edited > 1000, "the attacks got nowhere: {edited}");
}
