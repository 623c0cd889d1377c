//! A message's parts, by their positions: the header, the questions, the records of all sections.

use super::name;
use crate::{Refusal, Span};

pub(super) const HEADER_LEN: usize = 12;

/// Bit of the flags: the answer was cut.
pub(super) const FLAG_TC: u16 = 0x0200;
/// Bit of the flags: the server vouches for the answer (RFC 4035 section 3.2.3).
pub(super) const FLAG_AD: u16 = 0x0020;

pub(super) const CLASS_IN: u16 = 1;

/// Types of records and questions.
pub(super) mod kind {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const SIG: u16 = 24;
    pub const OPT: u16 = 41;
    pub const RRSIG: u16 = 46;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
}

/// What a message is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// Questions and answers.
    Query,
    /// Stateful operations (RFC 8490): either end begins.
    Stateful,
    /// Another one that exists.
    Other,
}

/// What the first twelve bytes say.
pub(super) struct Header {
    pub id: u16,
    pub flags: u16,
    pub opcode: Opcode,
    question_count: usize,
    record_count: usize,
}

impl Header {
    /// Reads the header of a message of `len` bytes; none if no such message exists.
    pub(super) fn read(bytes: &[u8], len: usize) -> Option<Header> {
        let &[i0, i1, f0, f1, q0, q1, counts @ ..] = bytes.first_chunk::<HEADER_LEN>()?;
        let flags = u16::from_be_bytes([f0, f1]);
        let opcode = match (flags >> 11) & 0xf {
            0 => Opcode::Query,
            1 | 2 | 4 | 5 => Opcode::Other,
            6 => Opcode::Stateful,
            _ => return None,
        };
        let question_count = usize::from(u16::from_be_bytes([q0, q1]));
        let record_count =
            counts.chunks_exact(2).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        // A question has 5 bytes at least, a record 11.
        let len_min = HEADER_LEN + 5 * question_count + 11 * record_count;
        (len_min <= len).then_some(Header {
            id: u16::from_be_bytes([i0, i1]),
            flags,
            opcode,
            question_count,
            record_count,
        })
    }

    pub(super) fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Part of a zone transfer's answer that does not repeat the question.
    pub(super) fn has_no_question(&self) -> bool {
        self.question_count == 0
    }
}

/// A question or a record.
pub(super) struct Entry {
    /// The name's own bytes.
    pub name: Span,
    pub kind: u16,
    pub class: u16,
    /// What records have and questions have not.
    pub body: Option<Body>,
}

/// What a record has behind its class.
pub(super) struct Body {
    pub ttl_s: u32,
    /// Where the time to live is; the length of the data is 4 bytes behind, the data 6 bytes behind.
    pub ttl_at: usize,
    pub data: Span,
}

impl Entry {
    /// All of it.
    pub(super) fn span(&self) -> Span {
        let end = self.body.as_ref().map_or(self.name.end + 4, |body| body.data.end);
        Span { start: self.name.start, end }
    }
}

/// The entries of a message, in order.
pub(super) struct Entries<'m> {
    bytes: &'m [u8],
    at: usize,
    question_count: usize,
    record_count: usize,
}

impl<'m> Entries<'m> {
    pub(super) fn new(bytes: &'m [u8], header: &Header) -> Self {
        let Header { question_count, record_count, .. } = *header;
        Entries { bytes, at: HEADER_LEN, question_count, record_count }
    }

    fn entry(&mut self, has_body: bool) -> Result<Entry, Refusal> {
        let name = name::own_span(self.bytes, self.at)?;
        let kind = u16_at(self.bytes, name.end)?;
        let class = u16_at(self.bytes, name.end + 2)?;
        let body = if has_body { Some(body(self.bytes, name.end + 4)?) } else { None };
        let entry = Entry { name, kind, class, body };
        self.at = entry.span().end;
        Ok(entry)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_question = self.question_count > 0;
        let left = if is_question { &mut self.question_count } else { &mut self.record_count };
        *left = left.checked_sub(1)?;
        Some(self.entry(!is_question))
    }
}

fn body(bytes: &[u8], ttl_at: usize) -> Result<Body, Refusal> {
    let ttl_s = u32::from(u16_at(bytes, ttl_at)?) << 16 | u32::from(u16_at(bytes, ttl_at + 2)?);
    let start = ttl_at + 6;
    let end = start + usize::from(u16_at(bytes, ttl_at + 4)?);
    if end > bytes.len() {
        return Err(Refusal::Malformed);
    }
    Ok(Body { ttl_s, ttl_at, data: Span { start, end } })
}

/// The two bytes at a position, as a number.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Refusal::Malformed),
    }
}
