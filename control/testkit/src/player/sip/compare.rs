//! A message as it was said beside what was heard of it: they may differ in the places that the reader finds, and nowhere else.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::read::{Message, Place, Role};
use crate::player::shown::excerpt;

/// What was heard in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The place's number.
    pub place: usize,
    /// Where it stands in what was heard.
    pub heard: Range<usize>,
    /// The address, if one is written.
    pub addr: Option<Ipv4Addr>,
    /// The port or number, if one is written.
    pub port: Option<u16>,
}

/// Compares a message with what was heard of it.
///
/// # Errors
/// A difference outside of all places, or a place that makes no sense.
pub fn compare(message: &Message, heard: &[u8]) -> Result<Vec<Read>, String> {
    let (mut said_at, mut heard_at, mut reads) = (0, 0, Vec::new());
    for (n, place) in message.places.iter().enumerate() {
        heard_at = same(&message.bytes[..place.at.start], heard, said_at, heard_at)?;
        let (len, addr, port) = value(message, place, &heard[heard_at..]).ok_or_else(|| {
            let (was, is) = (excerpt(&message.bytes[place.at.clone()]), excerpt(&heard[heard_at..]));
            format!("in place of '{was}' there is '{is}'")
        })?;
        reads.push(Read { place: n, heard: heard_at..heard_at + len, addr, port });
        (said_at, heard_at) = (place.at.end, heard_at + len);
    }
    let end = same(message.bytes, heard, said_at, heard_at)?;
    match &heard[end..] {
        [] => Ok(reads),
        more => Err(format!("{} more bytes were not said ({})", more.len(), excerpt(more))),
    }
}

/// Nothing changes from here to the end of what was said. Returns where that is in what was heard.
fn same(said: &[u8], heard: &[u8], said_at: usize, heard_at: usize) -> Result<usize, String> {
    let (expected, is) = (&said[said_at..], heard.get(heard_at..).unwrap_or_default());
    if is.starts_with(expected) {
        return Ok(heard_at + expected.len());
    }
    let at = expected.iter().zip(is).take_while(|(one, other)| one == other).count();
    let from = at.saturating_sub(30);
    Err(format!(
        "byte {} became another: '{}' instead of '{}'",
        said_at + at,
        excerpt(&is[from.min(is.len())..]),
        excerpt(&expected[from..])
    ))
}

/// What stands in a place: how long it is, the address, the number.
fn value(message: &Message, place: &Place, heard: &[u8]) -> Option<(usize, Option<Ipv4Addr>, Option<u16>)> {
    if let Role::MayTellReports(_) = place.role {
        let Some(rest) = heard.strip_prefix(b"a=rtcp:") else { return Some((0, None, None)) };
        let (len, port) = number(rest)?;
        let end = rest[len..].starts_with(b"\r\n").then_some(2)?;
        return Some((b"a=rtcp:".len() + len + end, None, Some(port)));
    }
    let mut at = 0;
    let mut addr = None;
    if let Some(host) = &place.host {
        at = heard.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        addr = Some(std::str::from_utf8(&heard[..at]).ok()?.parse().ok()?);
        let between = match &place.number {
            Some(number) => &message.bytes[host.end..number.start],
            None => b":",
        };
        let has_port = heard[at..].strip_prefix(between).is_some_and(|rest| number(rest).is_some());
        // An address alone gets a port, and loses it again, where a URI may have one.
        if !has_port || matches!(place.role, Role::Received | Role::Host) {
            let is_lost = place.number.is_some() && !matches!(place.role, Role::Candidate);
            return (place.number.is_none() || is_lost).then_some((at, addr, None));
        }
        at += between.len();
    }
    let (len, port) = match place.role {
        Role::Length => (digits(&heard[at..]), None),
        _ => number(&heard[at..]).map(|(len, port)| (len, Some(port)))?,
    };
    Some((at + len, addr, port))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(bytes: &[u8]) -> Option<(usize, u16)> {
    let len = digits(bytes);
    Some((len, std::str::from_utf8(&bytes[..len]).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:b@198.51.100.7 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.2;branch=z10.0.0.2\r\nCall-ID: 1@10.0.0.2\r\n\
        Contact: \"A, B\" <sip:10.0.0.2@10.0.0.2:5062>;expires=9\r\nl: 60\r\nc: application/sdp\r\n\r\n\
        v=0\r\ns=10.0.0.2\r\nc=IN IP4 10.0.0.2\r\nm=audio 6000 RTP/AVP 0\r\nm=audio 6002 RTP/AVP 0\r\n";

    type Shown = (Role, Option<Ipv4Addr>, Option<u16>);

    fn reads(heard: &str) -> Result<Vec<Shown>, String> {
        let message = Message::read(INVITE.as_bytes(), false).expect("a message");
        let reads = compare(&message, heard.as_bytes())?;
        Ok(reads.iter().map(|read| (message.places[read.place].role, read.addr, read.port)).collect())
    }

    #[test]
    fn endpoints_are_read_in_their_places() {
        let heard = INVITE
            .replace("UDP 10.0.0.2", "UDP 203.0.113.1:1024")
            .replace("@10.0.0.2:5062", "@203.0.113.1:5063")
            .replace("IP4 10.0.0.2", "IP4 203.0.113.1")
            .replace("m=audio 6000 RTP/AVP 0\r\n", "m=audio 7000 RTP/AVP 0\r\na=rtcp:7003\r\n");
        let global = Some(Ipv4Addr::new(203, 0, 113, 1));
        let expected = [
            (Role::RequestUri, Some(Ipv4Addr::new(198, 51, 100, 7)), None),
            (Role::Via { is_answered_there: true }, global, Some(1024)),
            (Role::Contact, global, Some(5063)),
            (Role::Length, None, None),
            (Role::Host, global, None),
            (Role::Media(0), None, Some(7000)),
            // The body ends here.
            (Role::MayTellReports(0), None, Some(7003)),
        ];
        assert_eq!(reads(&heard), Ok(expected.to_vec()));
    }

    #[test]
    fn all_else_must_stay() {
        for (was, is) in [
            ("1@10.0.0.2", "1@203.0.113.1"),
            ("z10.0.0.2", "z203.0.113.1"),
            ("sip:10.0.0.2@", "sip:203.0.113.1@"),
            ("s=10.0.0.2", "s=203.0.113.1"),
            ("m=audio 6002", "m=audio 6004"),
        ] {
            assert!(INVITE.contains(was) && reads(&INVITE.replace(was, is)).is_err(), "{was}");
        }
        assert!(reads(&format!("{INVITE}x")).is_err());
    }
}
