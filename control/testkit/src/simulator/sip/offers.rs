//! Offers and answers (RFC 3264), and the ports that they name.

use std::collections::BTreeSet;

use rand::RngExt;

use super::agent::Agent;
use super::book::Book;
use super::description::{Description, Kind, Line, ReadDescription, Rtcp};
use super::plan::Change;

/// The first port of media: every agent takes the lowest that is free, and takes it again when it is.
const PORT_FIRST: u16 = 16_384;

impl Agent {
    fn ports_taken(&self) -> BTreeSet<u16> {
        self.calls.values().flat_map(|call| call.ports()).collect()
    }

    /// Lines with ports that nobody uses.
    pub fn lines(&mut self, kinds: &[Kind]) -> Vec<Line> {
        let mut taken = self.ports_taken();
        kinds.iter().map(|kind| self.line(*kind, None, &mut taken)).collect()
    }

    fn line(&mut self, kind: Kind, is_same: Option<bool>, taken: &mut BTreeSet<u16>) -> Line {
        let mut pair = || {
            let mut port = PORT_FIRST;
            while taken.contains(&port) || taken.contains(&(port + 1)) {
                port += 2;
            }
            taken.extend([port, port + 1]);
            port
        };
        let port = pair();
        let rtcp = match (is_same, self.generator.random_range(0..100)) {
            (Some(true), _) | (None, 0..15) => Rtcp::Same,
            (_, 0..30) => Rtcp::At(pair() + 1),
            _ => Rtcp::Behind,
        };
        Line { kind, port, rtcp, flows: [true; 2] }
    }

    /// Offers these lines.
    pub fn offer(&mut self, number: usize, lines: Vec<Line>, is_nowhere: bool, book: &mut Book) -> String {
        let at = self.describe(number, lines, is_nowhere, book);
        let Some(call) = self.calls.get_mut(&number) else { return String::new() };
        call.offered = Some(at);
        call.own[at].text(&self.setup.user)
    }

    /// Takes note of a description; returns which it is.
    fn describe(&mut self, number: usize, lines: Vec<Line>, is_nowhere: bool, book: &mut Book) -> usize {
        let is_by_line = self.generator.random_bool(0.3);
        let addr = self.setup.media_ip;
        let Some(call) = self.calls.get_mut(&number) else { return 0 };
        let at = call.own.len();
        let description = Description { version: at as u32 + 1, addr, is_nowhere, is_by_line, lines };
        book.announce(number, call.side, &description);
        call.own.push(description);
        at
    }

    /// Reads the other side's description: an offer, or the answer to one.
    pub fn read_theirs(&mut self, number: usize, body: &[u8], book: &mut Book) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        match ReadDescription::read(body) {
            Ok(read) => {
                book.note_read(number, call.side, &read);
                call.theirs = Some(read);
                if let Some(offered) = call.offered.take() {
                    call.now = offered;
                }
                call.media_ms.get_or_insert(book.now_ms);
                if call.media_start_ms == 0 {
                    call.media_start_ms = book.now_ms;
                }
            }
            Err(reason) => {
                let id = call.call_id.clone();
                book.wrong(&id, format!("{} reads {reason} in {}", self.setup.user, body.escape_ascii()));
            }
        }
    }

    /// Answers what was offered.
    pub fn reply(&mut self, number: usize, book: &mut Book) -> String {
        let Some(call) = self.calls.get(&number) else { return String::new() };
        let Some(theirs) = call.theirs.clone() else { return String::new() };
        let (own, mut taken) = (call.own.get(call.now).cloned(), self.ports_taken());
        let mut lines = Vec::new();
        for (at, their) in theirs.lines.iter().enumerate() {
            let former = own.as_ref().and_then(|own| own.lines.get(at)).filter(|line| {
                line.kind == their.kind && line.port != 0 && (line.rtcp == Rtcp::Same) == their.is_same
            });
            let mut line = match former {
                _ if their.is_refused => {
                    Line { kind: their.kind, port: 0, rtcp: Rtcp::Behind, flows: [true; 2] }
                }
                Some(line) if self.generator.random_bool(0.7) => line.clone(),
                _ => self.line(their.kind, Some(their.is_same), &mut taken),
            };
            line.flows = [their.flows[1], their.flows[0]];
            lines.push(line);
        }
        if own.is_none_or(|own| own.lines != lines || own.is_nowhere) {
            let at = self.describe(number, lines, false, book);
            if let Some(call) = self.calls.get_mut(&number) {
                call.now = at;
            }
        }
        self.repeat_description(number)
    }

    /// The description in force.
    pub fn repeat_description(&self, number: usize) -> String {
        let own = self.calls.get(&number).and_then(|call| call.own.get(call.now));
        own.map(|own| own.text(&self.setup.user)).unwrap_or_default()
    }

    /// Offers a change.
    pub fn offer_change(&mut self, number: usize, change: Change, book: &mut Book) -> Option<String> {
        let call = self.calls.get_mut(&number)?;
        let mut lines = call.own.get(call.now)?.lines.clone();
        let is_nowhere = change == Change::Nowhere;
        match change {
            Change::Info => return None,
            Change::Refresh => {
                call.offered = Some(call.now);
                return Some(self.repeat_description(number));
            }
            Change::Hold => lines.iter_mut().for_each(|line| line.flows = [true, false]),
            Change::Resume => lines.iter_mut().for_each(|line| line.flows = [true; 2]),
            Change::Nowhere => {}
            Change::Move | Change::Update | Change::Refused => {
                let mut taken = self.ports_taken();
                for line in lines.iter_mut().filter(|line| line.port != 0) {
                    let is_same = Some(line.rtcp == Rtcp::Same);
                    *line = Line { flows: line.flows, ..self.line(line.kind, is_same, &mut taken) };
                }
            }
            Change::Fax => {
                lines.iter_mut().for_each(|line| (line.port, line.flows) = (0, [true; 2]));
                lines.extend(self.lines(&[Kind::Fax]));
            }
            Change::Video => lines.extend(self.lines(&[Kind::Video])),
        }
        Some(self.offer(number, lines, is_nowhere, book))
    }
}
