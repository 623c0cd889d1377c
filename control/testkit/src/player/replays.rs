//! A capture as it might have been: with datagrams that come twice and segments that are cut, or damaged.

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

use super::capture::Taken;
use super::changes::{self, Changes};
use super::scenario::Scenario;
use crate::packet::{FIN, ICMP, Kind, PSH, View};

/// A capture in which nothing is wrong: datagrams come twice, segments of control connections are cut in two, pauses are longer.
pub fn varied(scenario: &Scenario, taken: &[Taken], seed: u64) -> Vec<Taken> {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut later_us, mut out) = (0, Vec::new());
    for one in taken {
        later_us += if random.random_ratio(1, 8) { random.random_range(0..900_000) } else { 0 };
        let mut one = one.clone();
        one.at_us += later_us;
        let view = View::of(&one.packet).filter(|_| one.is_ipv4());
        match view {
            Some(view)
                if matches!(view.kind, Kind::Datagram)
                    && view.protocol != ICMP
                    && random.random_ratio(1, 6) =>
            {
                out.extend([one.clone(), one]);
            }
            Some(view)
                if scenario.is_control(&view) && view.payload.len() > 1 && random.random_ratio(1, 3) =>
            {
                let at = random.random_range(1..view.payload.len());
                out.extend(cut(&one, &view, at).unwrap_or_else(|| vec![one]));
            }
            _ => out.push(one),
        }
    }
    out
}

/// A segment in two.
fn cut(one: &Taken, view: &View, at: usize) -> Option<Vec<Taken>> {
    let Kind::Segment(seq, _, flags) = view.kind else { return None };
    let (head, tail) = one.packet[view.payload.clone()].split_at(at);
    let part = |seq: u32, flags: u8, data: &[u8]| {
        let fields = vec![("seq", u64::from(seq)), ("flags", u64::from(flags))];
        let packet = changes::changed(
            &one.packet,
            Changes { fields, payload: Some(data.to_vec()), ..Changes::default() },
        );
        packet.ok().map(|packet| Taken { packet, ..one.clone() })
    };
    Some(vec![part(seq, flags & !(FIN | PSH), head)?, part(seq.wrapping_add(at as u32), flags, tail)?])
}

/// A capture in which datagrams are damaged, lost, repeated or late.
pub fn damaged(scenario: &Scenario, taken: &[Taken], seed: u64) -> Vec<Taken> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut out: Vec<Taken> = Vec::new();
    for one in taken {
        let view = View::of(&one.packet).filter(|_| one.is_ipv4());
        let Some(view) = view.filter(|view| matches!(view.kind, Kind::Datagram) && scenario.is_control(view))
        else {
            out.push(one.clone());
            continue;
        };
        match random.random_range(0..16) {
            0 => {}
            1 => out.extend([one.clone(), one.clone()]),
            2 => {
                let before = out.len().saturating_sub(1);
                out.insert(before, one.clone());
            }
            3..8 => {
                let payload = Some(spoilt(&one.packet[view.payload.clone()], &mut random));
                let packet = changes::changed(&one.packet, Changes { payload, ..Changes::default() });
                out.push(packet.map_or_else(|_| one.clone(), |packet| Taken { packet, ..one.clone() }));
            }
            _ => out.push(one.clone()),
        }
    }
    out
}

/// Bytes with some bits the other way, with a piece missing, or twice.
fn spoilt(bytes: &[u8], random: &mut SmallRng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if out.is_empty() {
        return out;
    }
    let (one, other) = (random.random_range(0..out.len()), random.random_range(0..out.len()));
    let piece = one.min(other)..one.max(other);
    match random.random_range(0..4) {
        0 => out.truncate(one),
        1 => drop(out.drain(piece.start..piece.end.min(piece.start + 40))),
        2 => {
            let twice = out[piece.start..piece.end.min(piece.start + 400)].to_vec();
            out.splice(one..one, twice);
        }
        _ => {
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..out.len());
                out[at] ^= 1 << (random.next_u32() % 8);
            }
        }
    }
    out
}
