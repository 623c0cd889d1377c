//! Media: both sides send RTP and RTCP to where the other said, and know what arrives.

use super::agent::Agent;
use super::book::{Book, Flow};
use super::parcel::{Incoming, Outgoing, Transport};

/// Between two packets of a stream that was not heard yet.
const INTERVAL_MS: u64 = 250;
/// Who waits for the other side to be heard waits so long.
const WAIT_MS: u64 = 2000;

impl Agent {
    /// Sends what media is due.
    pub fn talk(&mut self, book: &mut Book) {
        let now_ms = book.now_ms;
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
        let due: Vec<usize> =
            self.calls.values().filter(|call| is_due(call.media_ms)).map(|call| call.number).collect();
        for number in due {
            self.speak(number, book);
        }
    }

    fn speak(&mut self, number: usize, book: &mut Book) {
        let now_ms = book.now_ms;
        let (waits, alive_ms) = (book.plans[number].waits, book.plans[number].alive_ms);
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.media_ms = Some(now_ms + INTERVAL_MS);
        let is_patient = waits == Some(call.side) && now_ms < call.media_start_ms + WAIT_MS;
        let is_silent = is_patient && !book.has_heard(number, 1 - call.side);
        let (Some(theirs), Some(own), false) = (&call.theirs, call.own.get(call.now), is_silent) else {
            return;
        };
        let is_late = now_ms >= call.alive_ms;
        if is_late {
            call.alive_ms = now_ms + alive_ms;
        }
        let mut has_more = false;
        for (line, (own_line, their)) in own.lines.iter().zip(&theirs.lines).enumerate() {
            if own_line.port == 0 || their.is_refused || !own_line.flows[0] || !their.flows[1] {
                continue;
            }
            for kind in 0..2 {
                let (Some(port), Some(to)) = (own_line.ports()[kind], their.ends[kind]) else { continue };
                let flow = Flow { call: number, sender: call.side, line, kind, version: theirs.version };
                if !book.is_wanted(&flow, is_late) {
                    continue;
                }
                has_more = true;
                book.send(flow);
                let from = (self.setup.media_ip, port);
                let bytes = payload(&flow, own.version);
                self.out.push(Outgoing { transport: Transport::Udp, from, to, connection: None, bytes });
            }
        }
        if !has_more {
            call.media_ms = Some(call.alive_ms.max(now_ms + INTERVAL_MS));
        }
    }

    /// A datagram arrives at a port of media.
    pub fn hear_media(&mut self, incoming: &Incoming, book: &mut Book) {
        match flow(&incoming.bytes) {
            Some((flow, own)) if book.plans[flow.call].parties[1 - flow.sender] == self.setup.number => {
                book.hear(flow, own, incoming);
            }
            _ => {
                let text = incoming.bytes.escape_ascii();
                let place = format!("{} at {:?}", self.setup.user, incoming.to);
                book.wrong(&place, format!("{place} hears, from {:?}: {text}", incoming.from));
            }
        }
    }
}

/// A packet by which its receiver knows it, behind the first bytes of RTP or RTCP.
fn payload(flow: &Flow, own: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, if flow.kind == 0 { 8 } else { 200 }];
    bytes.extend([flow.sender as u8, flow.line as u8, flow.kind as u8]);
    bytes.extend([flow.call as u32, flow.version, own].map(u32::to_be_bytes).concat());
    bytes
}

fn flow(bytes: &[u8]) -> Option<(Flow, u32)> {
    let [0x80, 8 | 200, sender, line, kind, rest @ ..] = bytes else { return None };
    let word = |at: usize| Some(u32::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    let (sender, line, kind) = ((*sender).into(), (*line).into(), (*kind).into());
    Some((Flow { call: word(0)? as usize, sender, line, kind, version: word(4)? }, word(8)?))
}
