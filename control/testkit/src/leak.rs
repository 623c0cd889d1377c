//! Inside addresses in the payload of what left by the outside.
//!
//! [`find`] is the finder. A [`Tap`] is shown packets as they left, puts the bytes of each connection together by their
//! numbers, since an address may be cut anywhere, and tells every inside address in them. Some pass by design: each such
//! thing is a [`Row`], which is a row of `docs/algs-safety.md`, and whoever lets it pass names it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;

use crate::packet::{SYN, TCP, UDP};

/// Why an inside address may leave in a payload: a row of `docs/algs-safety.md`, below "What passes".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// A message that its gateway refuses.
    Refused,
    /// Words that announce nothing.
    Words,
    /// A command that its client promised not to use.
    Promised,
    /// What stands where encrypted bytes are expected.
    Encrypted,
    /// An answer of DNS with a signature.
    Signed,
    /// An address of an answer that no configuration maps.
    Unmapped,
    /// Data of no connection that shook hands.
    Unshaken,
    /// A gateway that configuration switches off.
    SwitchedOff,
}

impl Row {
    /// All.
    pub const ALL: [Row; 8] = [
        Row::Refused,
        Row::Words,
        Row::Promised,
        Row::Encrypted,
        Row::Signed,
        Row::Unmapped,
        Row::Unshaken,
        Row::SwitchedOff,
    ];

    /// Its name in the document.
    pub fn name(self) -> &'static str {
        match self {
            Row::Refused => "refused messages",
            Row::Words => "words that announce nothing",
            Row::Promised => "`PORT` behind `EPSV ALL`",
            Row::Encrypted => "behind encryption",
            Row::Signed => "signed answers",
            Row::Unmapped => "unmapped addresses",
            Row::Unshaken => "data without a handshake",
            Row::SwitchedOff => "gateways that are off",
        }
    }
}

/// How an address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `10.0.0.2`, as in SDP, RTSP and `EPRT`.
    Dots,
    /// `10,0,0,2`, as in `PORT` and 227.
    Commas,
    /// The data of a record of DNS: type A, class IN, four bytes.
    Record,
}

/// An inside address in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Where it begins.
    pub at: usize,
    /// The address.
    pub addr: Ipv4Addr,
    /// How it is written.
    pub form: Form,
}

/// Type A, class IN, a TTL, four bytes of data.
const RECORD_LEN: usize = 14;
/// How far from new bytes an address may begin or end that they complete.
const REACH: usize = 24;

/// The inside addresses that begin in a range of these bytes, of which some may not be known yet. An address is whole
/// numbers, and none that only begins or ends a longer row of dotted ones; where it is unknown what comes before it, it is none yet.
pub fn find(bytes: &[Option<u8>], range: Range<usize>, is_inside: impl Fn(Ipv4Addr) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    for at in range.start..range.end.min(bytes.len()) {
        let texts = [(b'.', Form::Dots), (b',', Form::Commas)];
        let texts = texts.map(|(mark, form)| (text_at(bytes, at, mark), form));
        let all = texts.into_iter().chain([(record_at(bytes, at), Form::Record)]);
        let inside = all.filter_map(|(addr, form)| Some(Found { at, addr: addr?, form }));
        found.extend(inside.filter(|found| is_inside(found.addr)));
    }
    found
}

fn at(bytes: &[Option<u8>], at: usize) -> Option<u8> {
    bytes.get(at).copied().flatten()
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

/// Four numbers with marks between them that begin here.
fn text_at(bytes: &[Option<u8>], start: usize, mark: u8) -> Option<Ipv4Addr> {
    let before = |count: usize| start.checked_sub(count).map(|at| bytes[at]);
    let follows_dot = mark == b'.' && before(1) == Some(Some(b'.')) && before(2).is_some_and(is_digit);
    if matches!(before(1), Some(None)) || before(1).is_some_and(is_digit) || follows_dot {
        return None;
    }
    let mut octets = [0; 4];
    let mut next = start;
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            (at(bytes, next) == Some(mark)).then_some(())?;
            next += 1;
        }
        let len = (0..4).take_while(|ahead| is_digit(at(bytes, next + ahead))).count();
        let digits: String = (0..len).filter_map(|ahead| at(bytes, next + ahead)).map(char::from).collect();
        *octet = digits.parse().ok().filter(|_| len <= 3)?;
        next += len;
    }
    let goes_on = mark == b'.' && at(bytes, next) == Some(mark) && is_digit(at(bytes, next + 1));
    (!goes_on).then(|| octets.into())
}

fn record_at(bytes: &[Option<u8>], start: usize) -> Option<Ipv4Addr> {
    let record = bytes.get(start..start + RECORD_LEN)?;
    match *record {
        [Some(0), Some(1), Some(0), Some(1), _, _, _, _, Some(0), Some(4), a, b, c, d] => {
            Some([a?, b?, c?, d?].into())
        }
        _ => None,
    }
}

/// Bytes with an inside address in them that may pass, and the row that says why.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Why.
    pub row: Row,
    /// The bytes, as they may be read.
    pub bytes: Vec<u8>,
}

impl Pass {
    /// Whether what was found is of these bytes, as far as what stands there is known.
    fn covers(&self, found: &Found, known: &[Option<u8>]) -> bool {
        let written: Vec<_> = self.bytes.iter().copied().map(Some).collect();
        // Of the last number some digits may be still to come.
        let own = find(&written, 0..written.len(), |_| true);
        own.into_iter().filter(|own| own.form == found.form).any(|own| {
            // Of a packet that is read alone, the beginning may be missing.
            (0..written.len()).all(|ahead| {
                let place = (found.at + ahead).checked_sub(own.at);
                place.and_then(|place| at(known, place)).is_none_or(|byte| Some(byte) == written[ahead])
            })
        })
    }
}

/// Source, destination and protocol of a packet.
type Flow = ((Ipv4Addr, u16), (Ipv4Addr, u16), u8);

/// An inside address that left.
#[derive(Clone, Debug)]
pub struct Leak {
    flow: Flow,
    found: Found,
    around: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Leak { flow: (from, to, _), found, around }, addr) = (self, self.found.addr);
        let ((from, from_port), (to, to_port)) = (from, to);
        write!(
            f,
            "{addr} as {:?} left from {from}:{from_port} to {to}:{to_port}, byte {}: {around}",
            found.form, found.at
        )
    }
}

/// What is known of the bytes that one end of a connection sent.
#[derive(Default)]
struct SentBytes {
    start: u32,
    bytes: Vec<Option<u8>>,
}

/// Looks at what left.
pub struct Tap {
    is_inside: fn(Ipv4Addr) -> bool,
    sent: HashMap<Flow, SentBytes>,
    told: HashSet<(Flow, Found)>,
    /// What may pass.
    pub passes: Vec<Pass>,
    /// What has passed, by row.
    pub passed: BTreeMap<Row, u64>,
    /// Packets with a payload that were read.
    pub read: u64,
}

/// A connection's numbers that are further from its beginning are of no packet that belongs to it.
const BYTES_MAX: usize = 1 << 22;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])))
}

impl Tap {
    /// A tap that nothing may pass.
    pub fn new(is_inside: fn(Ipv4Addr) -> bool) -> Tap {
        let (sent, told, passes) = (HashMap::new(), HashSet::new(), Vec::new());
        Tap { is_inside, sent, told, passes, passed: BTreeMap::new(), read: 0 }
    }

    /// An IPv4 packet left. Inside addresses in its payload, or completed by it, that nothing allows.
    pub fn packet(&mut self, packet: &[u8]) -> Vec<Leak> {
        self.payload(packet).unwrap_or_default()
    }

    fn payload(&mut self, packet: &[u8]) -> Option<Vec<Leak>> {
        let packet = packet.get(..word(packet, 2)?)?;
        let (header_len, protocol) = (usize::from(packet.first()? & 0x0f) * 4, *packet.get(9)?);
        let addr = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let rest = packet.get(header_len..)?;
        let is_later_fragment = word(packet, 6)? & 0x1fff != 0;
        let has_ports = !is_later_fragment && matches!(protocol, TCP | UDP);
        let port = |at: usize| if has_ports { word(rest, at).unwrap_or(0) as u16 } else { 0 };
        let flow = ((addr(12)?, port(0)), (addr(16)?, port(2)), protocol);
        if has_ports && protocol == TCP {
            return self.segment(flow, rest);
        }
        let payload = rest.get(if has_ports { 8 } else { 0 }..).filter(|payload| !payload.is_empty())?;
        self.read += 1;
        Some(self.loose(flow, payload))
    }

    fn segment(&mut self, flow: Flow, segment: &[u8]) -> Option<Vec<Leak>> {
        let seq = u32::from_be_bytes(*segment.get(4..)?.first_chunk()?);
        let payload = segment.get(usize::from(*segment.get(12)? >> 4) * 4..)?;
        let has_syn = segment.get(13)? & SYN != 0;
        let start = if has_syn { seq.wrapping_add(1) } else { seq };
        let new = || SentBytes { start, bytes: Vec::new() };
        let sent = self.sent.entry(flow).or_insert_with(new);
        if has_syn && sent.start != start {
            *sent = new();
        }
        if payload.is_empty() {
            return None;
        }
        self.read += 1;
        let offset = start.wrapping_sub(sent.start) as usize;
        let end = offset + payload.len();
        if end > BYTES_MAX {
            return Some(self.loose(flow, payload));
        }
        if sent.bytes.len() < end {
            sent.bytes.resize(end, None);
        }
        sent.bytes[offset..end].iter_mut().zip(payload).for_each(|(known, byte)| *known = Some(*byte));
        let bytes = std::mem::take(&mut sent.bytes);
        let leaks = self.judge(flow, &bytes, offset.saturating_sub(REACH)..end + REACH);
        if let Some(sent) = self.sent.get_mut(&flow) {
            sent.bytes = bytes;
        }
        Some(leaks)
    }

    fn loose(&mut self, flow: Flow, payload: &[u8]) -> Vec<Leak> {
        let bytes: Vec<_> = payload.iter().copied().map(Some).collect();
        self.judge(flow, &bytes, 0..bytes.len())
    }

    fn judge(&mut self, flow: Flow, bytes: &[Option<u8>], range: Range<usize>) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for found in find(bytes, range, self.is_inside) {
            if let Some(pass) = self.passes.iter().find(|pass| pass.covers(&found, bytes)) {
                *self.passed.entry(pass.row).or_default() += 1;
            } else if self.told.insert((flow, found)) {
                let around = found.at.saturating_sub(60)..(found.at + 40).min(bytes.len());
                let around: Vec<u8> = bytes[around].iter().map(|byte| byte.unwrap_or(b'?')).collect();
                leaks.push(Leak { flow, found, around: around.escape_ascii().to_string() });
            }
        }
        leaks
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::*;
    use crate::packet;

    fn is_inside(addr: Ipv4Addr) -> bool {
        addr.octets()[..3] == [10, 0, 0]
    }

    fn found(bytes: impl AsRef<[u8]>) -> Vec<(usize, u8, Form)> {
        let bytes: Vec<_> = bytes.as_ref().iter().copied().map(Some).collect();
        let all = find(&bytes, 0..bytes.len(), is_inside);
        all.into_iter().map(|found| (found.at, found.addr.octets()[3], found.form)).collect()
    }

    #[test]
    fn addresses_are_found_in_every_form() {
        for (text, at, last, form) in [
            ("c=IN IP4 10.0.0.2\r\n", 9, 2, Form::Dots),
            ("10.0.0.2", 0, 2, Form::Dots),
            ("rtsp://10.0.0.21:554/", 7, 21, Form::Dots),
            ("EPRT |1|10.0.0.2|5000|", 8, 2, Form::Dots),
            ("It is 10.0.0.2.", 6, 2, Form::Dots),
            ("PORT 10,0,0,2,4,1", 5, 2, Form::Commas),
            ("227 =10,0,0,2,4,1\n", 5, 2, Form::Commas),
            ("LPRT 4,4,10,0,0,2,2,4,1", 9, 2, Form::Commas),
            ("PORT 010,000,000,002,4,1", 5, 2, Form::Commas),
        ] {
            assert_eq!(found(text), [(at, last, form)], "{text}");
        }
        let record = *b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x0a\x00\x00\x02";
        assert_eq!(found(record), [(2, 2, Form::Record)]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "110.0.0.2",
            "10.0.0.256",
            "10.0.0.2.5",
            "1.10.0.0.2",
            "10.0.1.2",
            "10.0.0",
            "10.0.0.0002",
            "PORT 110,0,0,2,4,1",
            "10, 0, 0, 2",
            "198,51,100,10,0,0",
            "10.0,0.2",
            "10..0.0.2",
            "",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
        let record = *b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x0a\x00\x00\x02";
        for (at, byte) in [(3, 28), (5, 3), (11, 16), (12, 11)] {
            let mut other = record;
            other[at] = byte;
            assert_eq!(found(other), [], "byte {at} is {byte}");
        }
        // 10.0.0.2 and 10.0.0.21 are told apart.
        let of = |text: &str| {
            find(&text.bytes().map(Some).collect::<Vec<_>>(), 0..9, |addr| addr.octets()[3] == 2)
        };
        assert_eq!((of("10.0.0.2 ").len(), of("10.0.0.21").len()), (1, 0));
    }

    fn segment(seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [from, to] = [([203, 0, 113, 1], 40_000), ([198, 51, 100, 1], 21)];
        let end = |(addr, port): ([u8; 4], u16)| SocketAddrV4::new(addr.into(), port);
        packet::segment((end(from), end(to)), (seq, 0, flags), &[], payload)
    }

    fn leaks(tap: &mut Tap, segments: &[(u32, &[u8])]) -> usize {
        assert!(tap.packet(&segment(u32::MAX, SYN, b"")).is_empty());
        segments.iter().map(|(at, payload)| tap.packet(&segment(*at, 0x18, payload)).len()).sum()
    }

    #[test]
    fn an_address_is_found_however_it_is_cut() {
        let text = b"PORT 10,0,0,2,4,1\r\n";
        for cut in 1..text.len() {
            let (first, second) = (&text[..cut], &text[cut..]);
            let in_order = [(0, first), (cut as u32, second)];
            assert_eq!(leaks(&mut Tap::new(is_inside), &in_order), 1, "{cut}");
            let reversed = [(cut as u32, second), (0, first)];
            assert_eq!(leaks(&mut Tap::new(is_inside), &reversed), 1, "{cut}");
        }
        let other = b"PORT 110,0,0,2,4,1\r\n";
        for cut in 1..other.len() {
            let (first, second) = (&other[..cut], &other[cut..]);
            let reversed = [(cut as u32, second), (0, first)];
            assert_eq!(leaks(&mut Tap::new(is_inside), &reversed), 0, "{cut}");
        }
    }

    #[test]
    fn what_was_right_first_may_leak_when_it_is_said_again() {
        let mut tap = Tap::new(is_inside);
        assert_eq!(leaks(&mut tap, &[(0, b"227 (203,0,113,1,4,1)"), (5, b"10,0,0,2,4,1)")]), 1);
        assert_eq!(tap.read, 2);
    }

    #[test]
    fn what_may_pass_is_nothing_but_that() {
        let mut tap = Tap::new(is_inside);
        tap.passes.push(Pass { row: Row::Refused, bytes: b"PORT 10,0,0,2,3,255".to_vec() });
        assert_eq!(leaks(&mut tap, &[(0, b"PORT 10,0,0,2"), (13, b",3,255\r\n")]), 0);
        assert!(tap.passed[&Row::Refused] > 0);
        tap.passes.push(Pass { row: Row::Words, bytes: b"CWD 10,0,0,21".to_vec() });
        assert_eq!(leaks(&mut tap, &[(40, b"CWD 10,0,0,2"), (52, b"1\r\n")]), 0);
        assert_eq!(leaks(&mut tap, &[(21, b"PORT 10,0,0,2,4,1\r\n")]), 1);
    }
}
