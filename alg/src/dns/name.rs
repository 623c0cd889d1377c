//! Names: labels, the pointers that compress them (RFC 1035 section 4.1.4), and addresses spelled backwards.
//!
//! A pointer must lead to before the run of labels that it ends, so every walk comes to an end.

use std::net::Ipv4Addr;

use crate::{Refusal, Span};

/// Pointers reach no further than 14 bits can say.
pub(super) const POINTER_REACH: usize = 1 << 14;

/// The longest name in bytes, with its lengths and its root.
pub(super) const NAME_LEN_MAX: usize = 255;

const HEADER_LEN: usize = 12;
const POINTER_BITS: u8 = 0xc0;
const JUMPS_MAX: u8 = 32;

/// A label of a name, or the root behind its last label.
pub(super) struct Label<'m> {
    /// Where the rest of the name, from this label on, is first found: at the label, or at a pointer to it.
    pub at: usize,
    /// It is in the name's own bytes, not behind a pointer.
    pub is_own: bool,
    /// Its text; empty for the root.
    pub text: &'m [u8],
}

/// The labels of a name and its root, through all pointers. It yields nothing behind an error or the root.
pub(super) struct Labels<'m> {
    bytes: &'m [u8],
    at: usize,
    run_start: usize,
    jumps: u8,
    len: usize,
    is_over: bool,
}

impl<'m> Labels<'m> {
    pub(super) fn new(bytes: &'m [u8], start: usize) -> Self {
        Labels { bytes, at: start, run_start: start, jumps: 0, len: 0, is_over: false }
    }

    fn step(&mut self) -> Result<Label<'m>, Refusal> {
        let mut found_at = None;
        loop {
            match element(self.bytes, self.at, self.run_start)? {
                Element::Pointer(target) => {
                    self.jumps += 1;
                    if self.jumps > JUMPS_MAX {
                        return Err(Refusal::Malformed);
                    }
                    (self.at, self.run_start) = (target, target);
                    found_at = found_at.or(Some(target));
                }
                Element::Label(text) => {
                    let at = found_at.unwrap_or(self.at);
                    self.at += 1 + text.len();
                    self.len += 1 + text.len();
                    if self.len > NAME_LEN_MAX {
                        return Err(Refusal::Malformed);
                    }
                    self.is_over = text.is_empty();
                    return Ok(Label { at, is_own: self.jumps == 0, text });
                }
            }
        }
    }
}

impl<'m> Iterator for Labels<'m> {
    type Item = Result<Label<'m>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step();
        self.is_over |= step.is_err();
        Some(step)
    }
}

enum Element<'m> {
    Label(&'m [u8]),
    Pointer(usize),
}

fn element(bytes: &[u8], at: usize, run_start: usize) -> Result<Element<'_>, Refusal> {
    let first = *bytes.get(at).ok_or(Refusal::Malformed)?;
    match first & POINTER_BITS {
        0 => {
            let text = bytes.get(at + 1..at + 1 + usize::from(first)).ok_or(Refusal::Malformed)?;
            Ok(Element::Label(text))
        }
        POINTER_BITS => {
            let low = *bytes.get(at + 1).ok_or(Refusal::Malformed)?;
            let target = usize::from(u16::from_be_bytes([first & !POINTER_BITS, low]));
            if (HEADER_LEN..run_start).contains(&target) {
                Ok(Element::Pointer(target))
            } else {
                Err(Refusal::Malformed)
            }
        }
        _ => Err(Refusal::Malformed),
    }
}

/// The name's own bytes: up to behind its root or its first pointer.
pub(super) fn own_span(bytes: &[u8], start: usize) -> Result<Span, Refusal> {
    let mut at = start;
    loop {
        match element(bytes, at, start)? {
            Element::Pointer(_) => return Ok(Span { start, end: at + 2 }),
            Element::Label([]) => return Ok(Span { start, end: at + 1 }),
            Element::Label(text) => at += 1 + text.len(),
        }
        if at - start > NAME_LEN_MAX {
            return Err(Refusal::Malformed);
        }
    }
}

/// The address that a name `d.c.b.a.in-addr.arpa` spells; none if it is another name.
pub(super) fn reverse_address(bytes: &[u8], start: usize) -> Option<Ipv4Addr> {
    let mut labels = Labels::new(bytes, start).map_while(Result::ok);
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        *octet = decimal(labels.next()?.text)?;
    }
    let is_reverse = labels.next()?.text.eq_ignore_ascii_case(b"in-addr")
        && labels.next()?.text.eq_ignore_ascii_case(b"arpa")
        && labels.next()?.text.is_empty();
    is_reverse.then_some(Ipv4Addr::from(octets))
}

/// An octet as names spell it: without leading zeros.
fn decimal(text: &[u8]) -> Option<u8> {
    let is_plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.iter().all(u8::is_ascii_digit);
    if is_plain { str::from_utf8(text).ok()?.parse().ok() } else { None }
}
