//! Session descriptions (SDP, RFC 4566 and 8866), which RTSP and SIP carry.

use crate::message::{HEAD_LEN_MAX, LINE_LEN_MAX};
use crate::realm::{translate_address, translate_urls};
use crate::slice::Slice;
use crate::text;
use crate::{Context, Framing, Refusal, Side};

/// A part of a description: what is said of the session, or of one medium.
#[derive(Clone, Copy, Debug)]
pub struct Section<'m> {
    lines: Slice<'m>,
}

/// The parts of a description: the session's, then one for each `m=` line.
pub fn sections<'m>(body: Slice<'m>) -> impl Iterator<Item = Section<'m>> + Clone {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut at = 0;
        for line in whole.bytes.split_inclusive(|byte| *byte == b'\n') {
            if at > 0 && line.starts_with(b"m=") {
                break;
            }
            at += line.len();
        }
        let (lines, behind) = whole.split(at);
        rest = Some(behind).filter(|behind| !behind.bytes.is_empty());
        Some(Section { lines })
    })
}

/// An `m=` line.
#[derive(Clone, Copy, Debug)]
pub struct Medium<'m> {
    /// The port, as it is written.
    pub port: Slice<'m>,
    /// How many ports, or pairs of them.
    pub count: u16,
    /// What carries it: `RTP/AVP`, `udptl`, `TCP/MSRP` and so on.
    pub protocol: Slice<'m>,
}

impl<'m> Section<'m> {
    /// All of it.
    pub fn lines(self) -> impl Iterator<Item = Slice<'m>> + Clone + use<'m> {
        self.lines.lines()
    }

    /// Where it ends.
    pub fn end(self) -> Slice<'m> {
        self.lines.skip(self.lines.bytes.len())
    }

    /// Whether its last line has an end.
    pub fn is_ended(self) -> bool {
        self.lines.bytes.ends_with(b"\n")
    }

    /// The medium that it is about.
    pub fn medium(self) -> Option<Medium<'m>> {
        let line = self.lines().next().filter(|line| line.bytes.starts_with(b"m="))?;
        let mut words = line.skip(2).fields(b' ').map(Slice::trim).filter(|word| !word.bytes.is_empty());
        let (ports, protocol) = (words.nth(1)?, words.next()?);
        let (port, count) = ports.cut(b'/');
        let count = count.and_then(|count| text::port(count.bytes).ok()).map_or(1, |(_, count)| count);
        Some(Medium { port, count, protocol })
    }

    /// The address in its `c=` line, if that is of IPv4.
    pub fn connection(self) -> Option<Slice<'m>> {
        let line = self.lines().find(|line| line.bytes.starts_with(b"c="))?;
        let mut words = line.skip(2).fields(b' ').map(Slice::trim);
        let is_ip4 = words.next()?.is("IN") && words.next()?.is("IP4");
        words.next().filter(|_| is_ip4).map(|addr| addr.cut(b'/').0)
    }

    /// Whether it has a `c=` line, of whatever kind.
    pub fn has_connection(self) -> bool {
        self.lines().any(|line| line.bytes.starts_with(b"c="))
    }

    /// The values of an attribute, empty if it has none.
    pub fn attributes(self, name: &'static str) -> impl Iterator<Item = Slice<'m>> + Clone + use<'m> {
        self.lines().filter_map(move |line| {
            let (of, value) = line.skip(2).cut(b':');
            let is_it = line.bytes.starts_with(b"a=") && of.trim().is(name);
            is_it.then(|| value.unwrap_or(of.skip(of.bytes.len())).trim())
        })
    }
}

/// Whether bytes are a line of a description. None such begins a message.
pub fn is_line(bytes: &[u8]) -> bool {
    matches!(bytes, [b'a'..=b'z', b'=', ..])
}

/// The whole lines of a description whose length nobody told; none if something else follows.
pub fn framing(bytes: &[u8]) -> Option<Framing> {
    if !is_line(bytes) {
        return matches!(bytes, [b'a'..=b'z']).then_some(Framing::Incomplete);
    }
    let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let mut len = 0;
    while is_line(&bytes[len..])
        && let Some(end) = bytes[len..].iter().position(|byte| *byte == b'\n')
    {
        len += end + 1;
    }
    Some(match len {
        0 if bytes.len() >= LINE_LEN_MAX => Framing::Opaque(bytes.len()),
        0 => Framing::Line(LINE_LEN_MAX),
        _ => Framing::Message(len),
    })
}

/// Translates the addresses of an SDP body: those behind `IN IP4` in any line except `s=` and `i=`, and the hosts of URLs
/// in `u=` and `a=control:` lines. Returns by how much the body grows.
pub fn translate(context: &mut dyn Context, from: Side, body: Slice) -> Result<isize, Refusal> {
    let mut growth = 0;
    for line in body.lines() {
        let value = line.skip(2);
        let control = match value.cut(b':') {
            (name, Some(url)) if name.is("control") => Some(url),
            _ => None,
        };
        growth += match (line.bytes, control) {
            ([b'a', b'=', ..], Some(url)) => translate_urls(context, from, url)?,
            ([b'u', b'=', ..], _) => translate_urls(context, from, value)?,
            ([b's' | b'i', b'=', ..], _) => 0,
            ([_, b'=', ..], _) => translate_words(context, from, value)?,
            _ => 0,
        };
    }
    Ok(growth)
}

/// Translates the addresses behind `IN IP4`. A TTL (`/127`) or a port (`:5004`) may follow an address.
fn translate_words(context: &mut dyn Context, from: Side, line: Slice) -> Result<isize, Refusal> {
    let (mut growth, mut before) = (0, [None, None]);
    let mut is_behind = false;
    for word in line.fields(b' ').map(Slice::trim) {
        if is_behind {
            let end = word.bytes.iter().position(|byte| b"/:".contains(byte));
            growth += translate_address(context, from, word.split(end.unwrap_or(word.bytes.len())).0)?;
        }
        before = [before[1], Some(word)];
        is_behind |= matches!(before, [Some(net), Some(family)] if net.is("IN") && family.is("IP4"));
    }
    Ok(growth)
}
