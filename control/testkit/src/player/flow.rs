//! A TCP connection of a capture: what either host says and hears, and where in the other's numbers that is.
//!
//! Inside, everything is as it was captured. The outside host's frames are derived: it may say other bytes than in the
//! capture (it repeats an endpoint that it read, which is a global one now), and what it heard may have other lengths.
//! Positions are counted from the first byte of a stream.

use std::net::SocketAddrV4;

use super::align::{Alignment, Edit, Form, Stream};
use super::changes::{self, Changes};
use crate::dissect::Dissection;
use crate::packet::{self, ACK, FIN, Kind, RST, SYN, View};

/// The inside host, as an index.
pub const INSIDE: usize = 0;
/// The outside host, as an index.
pub const OUTSIDE: usize = 1;

/// A connection.
pub struct Flow {
    /// The inside host's endpoint as the inside sees it, and the outside host's.
    pub ends: [SocketAddrV4; 2],
    /// How what is said and heard can differ.
    pub form: Form,
    /// A gateway listens to it.
    pub is_control: bool,
    /// What each host said.
    pub said: [Stream; 2],
    /// What the other host heard of it.
    pub heard: [Stream; 2],
    /// Both beside each other.
    pub alignments: [Alignment; 2],
    /// How many whole messages of the inside host were judged.
    pub judged: usize,
    /// What the outside host said in the capture.
    pub captured: Stream,
    /// The same beside what it says now.
    echoes: Alignment,
    first: [Option<u32>; 2],
    has_ended: [bool; 2],
    end_heard: [bool; 2],
    /// What each host acknowledged in the capture, in the capture's positions, and what it did acknowledge.
    acknowledges: [i64; 2],
    acknowledged: [i64; 2],
    /// What of its own bytes each host was told that they arrived.
    confirmed: [i64; 2],
    /// A reset came.
    pub is_reset: bool,
}

/// Bytes, and what of them was replaced.
type Replaced = (Vec<u8>, Vec<Edit>);

impl Flow {
    /// A connection between an inside and an outside endpoint.
    pub fn new(ends: [SocketAddrV4; 2], form: Form, is_control: bool) -> Flow {
        Flow {
            ends,
            form,
            is_control,
            said: Default::default(),
            heard: Default::default(),
            alignments: [Alignment::new(form), Alignment::new(form)],
            judged: 0,
            captured: Stream::default(),
            echoes: Alignment::new(Form::InPlace),
            first: [None; 2],
            has_ended: [false; 2],
            end_heard: [false; 2],
            acknowledges: [0; 2],
            acknowledged: [0; 2],
            confirmed: [0; 2],
            is_reset: false,
        }
    }

    fn position(&self, host: usize, number: u32) -> i64 {
        let first = self.first[host].unwrap_or(number);
        i64::from(number.wrapping_sub(first.wrapping_add(1)) as i32)
    }

    fn number(&self, host: usize, position: i64) -> u32 {
        self.first[host].unwrap_or(0).wrapping_add(1).wrapping_add(position as u32)
    }

    /// The last position that the other host can have heard of.
    fn limit(&self, host: usize) -> i64 {
        self.heard[host].bytes.len() as i64 + i64::from(self.end_heard[host])
    }

    /// A position in what the inside host said, in what the outside host heard.
    fn outside_of(&self, position: i64) -> i64 {
        let end = self.said[INSIDE].bytes.len() as i64;
        let within = position.clamp(0, end);
        self.alignments[INSIDE].map(within as usize) as i64 + position - within
    }

    /// A position in what the outside host said in the capture, in what it says now.
    fn echoed(&self, position: i64) -> i64 {
        if position <= 0 { position } else { self.echoes.map(position as usize) as i64 }
    }

    /// A frame of the inside host: unchanged, unless it acknowledges what has not reached that host yet, because the
    /// appliance waits for the rest of a message.
    ///
    /// # Errors
    /// The capture contradicts itself.
    pub fn inside_sends(&mut self, packet: &[u8], view: &View) -> Result<Vec<u8>, String> {
        let Kind::Segment(seq, ack, flags) = view.kind else { return Ok(packet.to_vec()) };
        self.note(INSIDE, flags, seq);
        let data = &packet[view.payload.clone()];
        self.say(INSIDE, self.position(INSIDE, seq), data, flags)?;
        if flags & ACK == 0 || flags & (SYN | RST) != 0 {
            return Ok(packet.to_vec());
        }
        let wanted = self.position(OUTSIDE, ack);
        let possible = wanted.min(self.limit(OUTSIDE));
        self.acknowledge(INSIDE, wanted, possible);
        if possible == wanted {
            return Ok(packet.to_vec());
        }
        let ack = u64::from(self.number(OUTSIDE, possible));
        changes::changed(packet, Changes { fields: vec![("ack", ack)], ..Changes::default() })
    }

    /// What becomes of a frame of the outside host, but for its addresses. `echo` says what the host says instead of
    /// what it said in the capture.
    ///
    /// # Errors
    /// The capture contradicts itself.
    pub fn outside_sends(
        &mut self,
        packet: &[u8],
        view: &View,
        echo: impl Fn(&[u8]) -> Replaced,
    ) -> Result<Changes, String> {
        let Kind::Segment(seq, ack, flags) = view.kind else { return Ok(Changes::default()) };
        self.note(OUTSIDE, flags, seq);
        let mut changes = Changes::default();
        if flags & SYN == 0 {
            let at = self.position(OUTSIDE, seq);
            let data = self.derive(at, &packet[view.payload.clone()], echo)?;
            let now_at = self.echoed(at);
            self.say(OUTSIDE, now_at, &data, flags)?;
            changes.fields.push(("seq", u64::from(self.number(OUTSIDE, now_at))));
            changes.payload = (data != packet[view.payload.clone()]).then_some(data);
        }
        if flags & ACK != 0 && flags & SYN == 0 {
            let wanted = self.position(INSIDE, ack);
            let possible = self.outside_of(wanted).min(self.limit(INSIDE));
            self.acknowledge(OUTSIDE, wanted, possible);
            changes.fields.push(("ack", u64::from(self.number(INSIDE, possible))));
            changes.options = self.selective(packet);
        }
        Ok(changes)
    }

    /// Takes note of a frame's numbers.
    fn note(&mut self, host: usize, flags: u8, seq: u32) {
        if flags & SYN != 0 {
            self.first[host] = Some(seq);
        }
        self.is_reset |= flags & RST != 0;
    }

    fn say(&mut self, host: usize, at: i64, data: &[u8], flags: u8) -> Result<(), String> {
        // What lies before the first byte is a keep-alive's.
        if let Ok(at) = usize::try_from(at)
            && flags & (SYN | RST) == 0
        {
            self.said[host].put(at, data)?;
            self.has_ended[host] |= flags & FIN != 0;
        }
        Ok(())
    }

    fn acknowledge(&mut self, host: usize, wanted: i64, possible: i64) {
        self.acknowledges[host] = self.acknowledges[host].max(wanted);
        self.acknowledged[host] = self.acknowledged[host].max(possible);
    }

    /// What the outside host says now in place of a segment of the capture.
    fn derive(&mut self, at: i64, data: &[u8], echo: impl Fn(&[u8]) -> Replaced) -> Result<Vec<u8>, String> {
        let Ok(at) = usize::try_from(at) else { return Ok(data.to_vec()) };
        let known_len = self.captured.bytes.len();
        let is_next = at <= known_len && at + data.len() > known_len;
        if !is_next {
            self.captured.put(at, data)?;
            let now = self.echoes.map(at)..self.echoes.map(at + data.len());
            let repeated = self.said[OUTSIDE].bytes.get(now).filter(|_| !data.is_empty() && at < known_len);
            return Ok(repeated.unwrap_or(data).to_vec());
        }
        let (repeated, new) = data.split_at(known_len - at);
        let (bytes, edits) = echo(new);
        if !edits.is_empty() && self.captured.has_gap() {
            return Err("what fills a gap of the capture grows: that cannot be played".into());
        }
        let now_len = self.echoes.map(known_len);
        let before = self.said[OUTSIDE].bytes.get(self.echoes.map(at)..now_len).unwrap_or(repeated).to_vec();
        self.captured.put(at, data)?;
        self.echoes.edits.extend(edits.into_iter().map(|edit| Edit {
            said: edit.said.start + known_len..edit.said.end + known_len,
            heard: edit.heard.start + now_len..edit.heard.end + now_len,
        }));
        Ok([before, bytes].concat())
    }

    /// TCP options with selective acknowledgements of what the outside host heard.
    fn selective(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let range = Dissection::of_packet(packet).range(0, "tcp-options")?;
        let mut options = packet[range].to_vec();
        let edges = changes::sack_edges(&options);
        for edge in &edges {
            let number = u32::from_be_bytes(*options[*edge..].first_chunk()?);
            let mapped = self.number(INSIDE, self.outside_of(self.position(INSIDE, number)));
            options[*edge..*edge + 4].copy_from_slice(&mapped.to_be_bytes());
        }
        (!edges.is_empty()).then_some(options)
    }

    /// A segment that a host said reached the other one.
    ///
    /// # Errors
    /// It is not what was said, or acknowledges what was not.
    pub fn hear(&mut self, host: usize, packet: &[u8], view: &View) -> Result<(), String> {
        let Kind::Segment(seq, ack, flags) = view.kind else { return Ok(()) };
        if flags & SYN == 0
            && let Ok(at) = usize::try_from(self.position(host, seq))
        {
            let data = &packet[view.payload.clone()];
            if flags & RST == 0 {
                self.heard[host].put(at, data)?;
            }
            let end = at + data.len();
            self.end_heard[host] |= flags & FIN != 0 && end == self.heard[host].bytes.len();
            let next = self.heard[host].bytes.len() + usize::from(self.end_heard[host]);
            // An acknowledgement stands where its sender is, or a byte before to keep the connection alive.
            let is_astray = !(at..at + 2).contains(&next) && !self.heard[host].has_gap();
            if data.is_empty() && flags & (FIN | RST) == 0 && is_astray {
                return Err(format!("an acknowledgement stands at byte {at}, and {next} were heard"));
            }
        }
        self.alignments[host].extend(&self.said[host].bytes, &self.heard[host].bytes)?;
        let other = 1 - host;
        let said_len = self.said[other].bytes.len() as i64 + i64::from(self.has_ended[other]);
        let acknowledged = self.position(other, ack);
        if flags & ACK != 0 && self.first[other].is_some() && flags & RST == 0 {
            if acknowledged > said_len {
                return Err(format!("byte {acknowledged} is acknowledged, and {said_len} were said"));
            }
            self.confirmed[other] = self.confirmed[other].max(acknowledged);
        }
        Ok(())
    }

    /// An acknowledgement that a host still owes, as what it acknowledged in the capture has reached it by now: in
    /// the capture's endpoints, and in numbers as they are now.
    pub fn owed(&mut self, host: usize) -> Option<Vec<u8>> {
        let other = 1 - host;
        let wanted = match host {
            INSIDE => self.acknowledges[host],
            _ => self.outside_of(self.acknowledges[host]),
        };
        let possible = wanted.min(self.limit(other));
        if self.is_reset || possible <= self.acknowledged[host] {
            return None;
        }
        self.acknowledged[host] = possible;
        let end = self.said[host].bytes.len() as i64 + i64::from(self.has_ended[host]);
        let numbers = (self.number(host, end), self.number(other, possible), ACK);
        Some(packet::segment((self.ends[host], self.ends[other]), numbers, &[], &[]))
    }

    /// The sequence number of a segment of the inside host, as the outside host sees it.
    pub fn seen_outside(&self, seq: u32) -> u32 {
        self.number(INSIDE, self.outside_of(self.position(INSIDE, seq)))
    }

    /// Everything was said: verifies that it was heard.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(&mut self) -> Result<(), String> {
        for host in [INSIDE, OUTSIDE] {
            let who = ["inside", "outside"][host];
            let (said, heard) = (&self.said[host], &self.heard[host]);
            if said.has_gap() {
                continue;
            }
            let checked = self.alignments[host].finish(&said.bytes, &heard.bytes);
            checked.map_err(|why| format!("what the {who} host said: {why}"))?;
            if self.has_ended[host] && !self.end_heard[host] && !self.is_reset {
                return Err(format!("the {who} host's FIN did not arrive"));
            }
            let wanted = match host {
                INSIDE => self.acknowledges[OUTSIDE],
                _ => self.echoed(self.acknowledges[INSIDE]),
            };
            // A keep-alive of a connection that began before the capture is acknowledged with what came before it.
            let wanted = wanted.min(said.bytes.len() as i64 + i64::from(self.has_ended[host]));
            if self.confirmed[host] < wanted && !self.is_reset {
                let confirmed = self.confirmed[host];
                return Err(format!(
                    "{wanted} bytes of the {who} host's are acknowledged, and it hears of {confirmed}"
                ));
            }
        }
        Ok(())
    }
}
