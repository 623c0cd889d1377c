//! A control connection's messages played anew, one of its segments cut in two: whatever the cut, both hosts must hear
//! the same bytes and the same doors must open.
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use control::config::InterfaceName;

use super::align::Stream;
use super::capture::Taken;
use super::flow::{INSIDE, OUTSIDE};
use super::scenario::Scenario;
use crate::bench::{Bench, Setup};
use crate::packet::{self, ACK, Kind, PSH, RST, SYN, TCP, View};
use crate::stations::frame;

/// Segments that follow a cut one, to see that the connection goes on as before.
const FOLLOWING: usize = 2;
/// TCP options of a handshake.
const OPTIONS: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 7];
/// The longest segment, in bytes.
const SEGMENT_LEN_MAX: usize = 1448;
const STATION: [u8; 6] = [2, 0, 0, 0, 9, 9];
/// Longer than a connection lives that was reset, in milliseconds.
const REST_MS: u64 = 1500;

/// What both hosts of a control connection said, segment by segment.
#[derive(Clone, Debug)]
pub struct Script {
    /// The inside host's endpoint and the outside host's.
    pub ends: [SocketAddrV4; 2],
    /// Who opened the connection.
    pub client: usize,
    /// Who said what.
    pub said: Vec<(usize, Vec<u8>)>,
}

/// A script being written: what came of both streams, and the numbers of their first bytes.
type Recording = (Script, [Stream; 2], [Option<u32>; 2]);

/// The control connections of a capture.
pub fn scripts(scenario: &Scenario, taken: &[Taken]) -> Vec<Script> {
    let mut scripts: BTreeMap<[SocketAddrV4; 2], Recording> = BTreeMap::new();
    for taken in taken.iter().filter(|taken| taken.is_ipv4()) {
        let Some(view) = View::of(&taken.packet) else { continue };
        let Kind::Segment(seq, _, flags) = view.kind else { continue };
        let is_inside = [view.src, view.dst].map(|end| scenario.inside.contains(end.ip()));
        if is_inside[0] == is_inside[1] || !scenario.is_control(&view) {
            continue;
        }
        let (host, ends) =
            if is_inside[0] { (INSIDE, [view.src, view.dst]) } else { (OUTSIDE, [view.dst, view.src]) };
        let client = if scenario.is_server(TCP, ends[INSIDE], ends[OUTSIDE]) { OUTSIDE } else { INSIDE };
        let fresh = || (Script { ends, client, said: Vec::new() }, Default::default(), [None; 2]);
        let (script, streams, first) = scripts.entry(ends).or_insert_with(fresh);
        let data = &taken.packet[view.payload.clone()];
        let first = first[host].get_or_insert(if flags & SYN != 0 { seq.wrapping_add(1) } else { seq });
        let known_len = streams[host].bytes.len();
        let at = seq.wrapping_sub(*first) as i32;
        if at >= 0 && flags & (SYN | RST) == 0 && streams[host].put(at as usize, data).is_ok() {
            let new = &streams[host].bytes[known_len..];
            // A capture on the sender has segments that the network card cuts.
            script.said.extend(new.chunks(SEGMENT_LEN_MAX).map(|part| (host, part.to_vec())));
        }
    }
    scripts.into_values().map(|(script, ..)| script).filter(|script| !script.said.is_empty()).collect()
}

/// A door: protocol, inside and global endpoint.
type Open = (u8, SocketAddrV4, SocketAddrV4);

/// How far a conversation has come after a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// What each host has heard of the other, in bytes.
    heard: [usize; 2],
    doors: Vec<Open>,
}

/// An appliance for one script after the other.
pub struct Splitter {
    bench: Bench,
    names: [InterfaceName; 2],
    macs: [[u8; 6]; 2],
    script: Script,
    /// Calls outlive it.
    is_sip: bool,
    global: Option<SocketAddrV4>,
    said: [Vec<u8>; 2],
    heard: [Stream; 2],
}

const FIRST: [u32; 2] = [0x1000_0000, 0xffff_ff00];

impl Splitter {
    /// An appliance for a script's hosts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(scenario: &Scenario, taken: &[Taken], script: Script) -> Result<Splitter, String> {
        let servers = scenario.servers(taken);
        let mut config = scenario.config(&servers);
        config.push_str("ip nat translation finrst-timeout 1\n");
        let setup = Setup { buffer_count: 1024, ..Setup::default() };
        let bench = Bench::new("splits", &config, setup)?;
        let name = |side| bench.interface(side).map(|interface| interface.name.clone());
        let names = [name("inside")?, name("outside")?];
        let mac = |name| bench.link(name).map(|(mac, _)| mac).unwrap_or_default();
        let number = servers.iter().position(|host| host == script.ends[INSIDE].ip());
        let global =
            number.map(|n| SocketAddrV4::new(Scenario::static_global(n), script.ends[INSIDE].port()));
        Ok(Splitter {
            macs: [mac(&names[0]), mac(&names[1])],
            names,
            bench,
            is_sip: is_sip(scenario, &script),
            script,
            global,
            said: Default::default(),
            heard: Default::default(),
        })
    }

    /// Plays the script as it is. Returns how far it has come after each segment, and what was heard.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn whole(&mut self) -> Result<(Vec<Stand>, [Vec<u8>; 2]), String> {
        self.open()?;
        let mut stands = Vec::new();
        for n in 0..self.script.said.len() {
            self.say(n, 0)?;
            stands.push(self.stand());
        }
        let heard = [self.heard[0].bytes.clone(), self.heard[1].bytes.clone()];
        self.close()?;
        Ok((stands, heard))
    }

    /// Plays the script until some segments behind the one that is cut, and compares.
    ///
    /// # Errors
    /// What differs.
    pub fn cut(&mut self, n: usize, at: usize, stands: &[Stand], heard: &[Vec<u8>; 2]) -> Result<(), String> {
        self.open()?;
        for (m, stand) in stands.iter().enumerate().take(n + 1 + FOLLOWING) {
            self.say(m, if m == n { at } else { 0 })?;
            if m < n {
                continue;
            }
            let is = self.stand();
            if is != *stand {
                return Err(format!("after segment {m}: {is:?} instead of {stand:?}"));
            }
        }
        for host in [INSIDE, OUTSIDE] {
            if !heard[host].starts_with(&self.heard[host].bytes) {
                return Err(format!("other bytes of host {host} were heard"));
            }
        }
        self.close()
    }

    fn stand(&mut self) -> Stand {
        let socket = |end: dataplane::flow::Endpoint| SocketAddrV4::new(end.addr, end.port);
        let of_row = |door: &dataplane::message::DoorRow| {
            (door.protocol, socket(door.inside_local), socket(door.inside_global))
        };
        let mut doors: Vec<Open> = self.bench.doors().iter().map(of_row).collect();
        doors.sort();
        Stand { heard: [self.heard[0].bytes.len(), self.heard[1].bytes.len()], doors }
    }

    fn open(&mut self) -> Result<(), String> {
        (self.said, self.heard) = Default::default();
        let client = self.script.client;
        self.send(client, SYN, OPTIONS, &[])?;
        self.send(1 - client, SYN | ACK, OPTIONS, &[])?;
        self.send(client, ACK, &[], &[])
    }

    /// Resets the connection, and verifies that nothing of it stays.
    fn close(&mut self) -> Result<(), String> {
        self.send(self.script.client, RST | ACK, &[], &[])?;
        self.bench.advance(REST_MS)?;
        if self.is_sip {
            self.bench.exec("clear ip nat translation *")?;
            self.bench.settle()?;
        }
        self.bench.take_all();
        let (sessions, doors) =
            (self.bench.counter("created") - self.bench.counter("expired"), self.bench.doors());
        if sessions > 0 || !doors.is_empty() {
            return Err(format!("{sessions} sessions and {} doors are left", doors.len()));
        }
        Ok(())
    }

    /// A host says a segment, in two if it is cut; who hears acknowledges.
    fn say(&mut self, n: usize, cut: usize) -> Result<(), String> {
        let (host, data) = self.script.said[n].clone();
        let (head, tail) = data.split_at(cut);
        for part in [head, tail].into_iter().filter(|part| !part.is_empty()) {
            let before = self.heard[host].bytes.len();
            self.send(host, PSH | ACK, &[], part)?;
            if self.heard[host].bytes.len() > before {
                self.send(1 - host, ACK, &[], &[])?;
            }
        }
        Ok(())
    }

    fn send(&mut self, host: usize, flags: u8, options: &[u8], data: &[u8]) -> Result<(), String> {
        let [inside, outside] = self.script.ends;
        let ends = match host {
            INSIDE => (inside, outside),
            _ => (outside, self.global.unwrap_or(inside)),
        };
        let opened = u32::from(flags & SYN == 0);
        let seq = FIRST[host].wrapping_add(opened + self.said[host].len() as u32);
        let heard = FIRST[1 - host].wrapping_add(1 + self.heard[1 - host].bytes.len() as u32);
        let ack = if flags & ACK != 0 { heard } else { 0 };
        self.said[host].extend(data);
        let packet = packet::segment(ends, (seq, ack, flags), options, data);
        let bytes = frame(self.macs[host], STATION, None, 0x0800, &packet);
        self.bench.inject(&self.names[host].clone(), &bytes)?;
        for (name, bytes) in self.bench.take_all() {
            let speaker = if name == self.names[INSIDE] { OUTSIDE } else { INSIDE };
            let packet = bytes.get(14..).unwrap_or_default();
            let Some(View { kind: Kind::Segment(seq, _, flags), payload, src, .. }) = View::of(packet) else {
                return Err("something came out that is no segment".into());
            };
            if speaker == INSIDE {
                self.global = Some(src);
            }
            let at = seq.wrapping_sub(FIRST[speaker].wrapping_add(1)) as i32;
            if flags & SYN == 0 && at >= 0 {
                self.heard[speaker].put(at as usize, &packet[payload])?;
            }
        }
        Ok(())
    }
}

/// Whether a script is SIP.
fn is_sip(scenario: &Scenario, script: &Script) -> bool {
    let packet = packet::segment((script.ends[0], script.ends[1]), (0, 0, ACK), &[], &[]);
    View::of(&packet).is_some_and(|view| scenario.is_sip(&view))
}
