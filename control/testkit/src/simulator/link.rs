//! A link that loses, doubles, delays and overtakes packets, and may cut segments into smaller ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::checksum::sum;
use crate::packet::{TCP, seal};

/// How bad a link is.
#[derive(Clone, Debug)]
pub struct Impairments {
    /// The share of packets that never arrive.
    pub loss: f64,
    /// The share of packets that arrive twice.
    pub duplication: f64,
    /// Milliseconds that every packet takes.
    pub delay_ms: u64,
    /// Milliseconds that a packet may take in addition.
    pub jitter_ms: u64,
    /// The share of segments that are cut, and the shortest part they are cut into.
    pub cut: f64,
    /// The longest part that segments are cut into, in bytes of payload.
    pub part_len_max: usize,
}

/// One direction of a link.
pub struct Link {
    impairments: Impairments,
    queue: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    count: u64,
}

impl Link {
    /// An empty link.
    pub fn new(impairments: Impairments) -> Link {
        Link { impairments, queue: BinaryHeap::new(), count: 0 }
    }

    /// How bad it is.
    pub fn impairments(&self) -> &Impairments {
        &self.impairments
    }

    /// A packet is sent at `now_ms`.
    pub fn send(&mut self, packet: Vec<u8>, now_ms: u64, generator: &mut SmallRng) {
        if packet[9] != TCP || !generator.random_bool(self.impairments.cut) {
            return self.carry(packet, now_ms, generator);
        }
        for part in cut(&packet, self.impairments.part_len_max, generator) {
            self.carry(part, now_ms, generator);
        }
    }

    fn carry(&mut self, packet: Vec<u8>, now_ms: u64, generator: &mut SmallRng) {
        if generator.random_bool(self.impairments.loss) {
            return;
        }
        let copies = if generator.random_bool(self.impairments.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let delay_ms = self.impairments.delay_ms + generator.random_range(0..=self.impairments.jitter_ms);
            // What takes equally long keeps its order.
            self.count += 1;
            self.queue.push(Reverse((now_ms + delay_ms, self.count, packet.clone())));
        }
    }

    /// A packet that has arrived by `now_ms`.
    pub fn receive(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let Reverse((at, _, _)) = self.queue.peek()?;
        if *at > now_ms {
            return None;
        }
        self.queue.pop().map(|Reverse((_, _, packet))| packet)
    }

    /// When the next packet arrives.
    pub fn next_ms(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((at, _, _))| *at)
    }
}

const FIN_AND_PSH: u8 = 0x09;

/// Cuts a TCP segment into segments of random length; FIN and PSH stay with the last.
fn cut(packet: &[u8], part_len_max: usize, generator: &mut SmallRng) -> Vec<Vec<u8>> {
    let ip_len = usize::from(packet[0] & 0x0f) * 4;
    let headers_len = ip_len + usize::from(packet[ip_len + 12] >> 4) * 4;
    let (headers, payload) = packet.split_at(headers_len);
    let seq = u32::from_be_bytes([
        headers[ip_len + 4],
        headers[ip_len + 5],
        headers[ip_len + 6],
        headers[ip_len + 7],
    ]);
    let mut parts = Vec::new();
    let mut done = 0;
    while done < payload.len() || parts.is_empty() {
        let len = generator.random_range(1..=part_len_max).min(payload.len() - done);
        let mut part = [headers, &payload[done..done + len]].concat();
        part[ip_len + 4..ip_len + 8].copy_from_slice(&seq.wrapping_add(done as u32).to_be_bytes());
        done += len;
        if done < payload.len() {
            part[ip_len + 13] &= !FIN_AND_PSH;
        }
        seal(&mut part);
        parts.push(part);
    }
    parts
}

/// The sum of a TCP segment and its pseudo header; all ones if the segment's checksum is right.
pub fn tcp_sum(packet: &[u8], ip_len: usize) -> u16 {
    let len = (packet.len() - ip_len) as u16;
    [sum(&packet[12..20]), 6, len, sum(&packet[ip_len..])].into_iter().fold(0, crate::checksum::add)
}
