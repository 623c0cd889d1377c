//! Requests and responses of RTSP and SIP, cut from the stream and read to slices: a first line, headers, an empty line, a
//! body (RFC 2326 section 4, RFC 3261 section 7).

use nom::bytes::complete::take_while_m_n;
use nom::character::complete::char;
use nom::combinator::{all_consuming, map_opt, opt, rest};
use nom::{IResult, Parser};

use crate::slice::Slice;
use crate::text::decimal;
use crate::{Framing, Refusal};

/// No first line is longer.
pub const LINE_LEN_MAX: usize = 4096;
/// From this many bytes of a first line it is known whether it may be one.
const BEGINNING_LEN_MAX: usize = 64;
/// No head is longer.
pub const HEAD_LEN_MAX: usize = 16384;
/// No head has more lines.
const HEAD_LINES_MAX: usize = 128;
/// No message is longer.
pub const MESSAGE_LEN_MAX: usize = 65535;

/// What tells the messages of one protocol from others.
#[derive(Clone, Copy)]
pub struct Grammar {
    /// How the version looks: 9 stands for any digit.
    pub version: &'static [u8],
    /// Whether a method may have this byte.
    pub is_of_method: fn(u8) -> bool,
    /// The names of the header that tells how long the body is.
    pub length: &'static [&'static str],
    /// The body of a message that does not tell its length is the rest of it, and so is a head without an empty line.
    pub has_rest: bool,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'m> {
    /// A request with this method.
    Request(&'m [u8]),
    /// A response with this code.
    Response(u32),
}

/// A message, read.
#[derive(Clone, Copy, Debug)]
pub struct Parsed<'m> {
    /// What it is.
    pub start: Start<'m>,
    /// The first line, without its end.
    line: Slice<'m>,
    headers: Slice<'m>,
    /// The body, empty if there is none.
    pub body: Slice<'m>,
}

/// A header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'m> {
    /// Its name.
    pub name: Slice<'m>,
    /// Its value, which may go on over several lines.
    pub value: Slice<'m>,
}

impl<'m> Parsed<'m> {
    /// Reads a whole message.
    pub fn read(grammar: &Grammar, message: Slice<'m>) -> Result<Parsed<'m>, Refusal> {
        let line = message.lines().next().unwrap_or(message);
        let start = start_line(grammar, line.bytes).ok_or(Refusal::Foreign)?;
        let head_len = match head_len(message.bytes) {
            HeadLen::Whole(len) => len,
            HeadLen::Long(_) => return Err(Refusal::TooLong),
            // Some hosts end a datagram with its last header.
            HeadLen::Unended if grammar.has_rest => message.bytes.len(),
            HeadLen::Unended => return Err(Refusal::Malformed),
        };
        let (head, behind) = message.split(head_len);
        let headers = head.skip(line_len(message.bytes));
        let rest_len = if grammar.has_rest { behind.bytes.len() } else { 0 };
        let body_len = content_length(grammar, headers)?.unwrap_or(rest_len);
        if head_len + body_len > MESSAGE_LEN_MAX {
            return Err(Refusal::TooLong);
        }
        if body_len > behind.bytes.len() {
            return Err(Refusal::Malformed);
        }
        Ok(Parsed { start, line, headers, body: behind.split(body_len).0 })
    }

    /// What a request is about: the URI between its method and its version.
    pub fn target(&self) -> Option<Slice<'m>> {
        let Start::Request(method) = self.start else { return None };
        let end = self.line.bytes.iter().rposition(|byte| *byte == b' ')?;
        Some(self.line.split(end).0.skip(method.len()).trim())
    }

    /// All headers.
    pub fn headers(&self) -> impl Iterator<Item = Header<'m>> + Clone + use<'m> {
        headers(self.headers)
    }

    /// The values of all headers of this name.
    pub fn named(&self, name: &'static str) -> impl Iterator<Item = Slice<'m>> + Clone + use<'m> {
        named(self.headers, name)
    }
}

fn headers<'m>(lines: Slice<'m>) -> impl Iterator<Item = Header<'m>> + Clone + use<'m> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        while !rest.bytes.is_empty() {
            let mut len = line_len(rest.bytes);
            while matches!(rest.bytes.get(len), Some(b' ' | b'\t')) {
                len += line_len(&rest.bytes[len..]);
            }
            let line;
            (line, rest) = rest.split(len);
            if let (name, Some(value)) = line.cut(b':') {
                return Some(Header { name: name.trim(), value: value.trim() });
            }
        }
        None
    })
}

fn named<'m>(lines: Slice<'m>, name: &'static str) -> impl Iterator<Item = Slice<'m>> + Clone + use<'m> {
    headers(lines).filter(move |header| header.name.is(name)).map(|header| header.value)
}

/// The length of the body, which all headers about it must agree on; none if none tells it.
fn content_length(grammar: &Grammar, lines: Slice) -> Result<Option<usize>, Refusal> {
    let mut found = None;
    let names = |header: &Header| grammar.length.iter().any(|name| header.name.is(name));
    for Header { value, .. } in headers(lines).filter(names) {
        let (_, len) = all_consuming(decimal(u32::MAX)).parse(value.bytes).map_err(|_| Refusal::Malformed)?;
        if found.is_some_and(|before| before != len) {
            return Err(Refusal::Malformed);
        }
        found = Some(len);
    }
    Ok(found.map(|len| len as usize))
}

/// What the beginning of a stream is, whose first bytes are no frame of data. What [`Parsed::read`] refuses is a
/// message here, as far as it is known to be refused.
pub fn framing(grammar: &Grammar, bytes: &[u8]) -> Framing {
    match bytes.iter().take(LINE_LEN_MAX).position(|byte| *byte == b'\n') {
        None if bytes.len() >= LINE_LEN_MAX || !may_begin(grammar, bytes) => return Framing::Foreign,
        None if bytes.len() >= BEGINNING_LEN_MAX => return Framing::Line(LINE_LEN_MAX),
        None => return Framing::Incomplete,
        Some(end) => {
            let line = &bytes[..end];
            if start_line(grammar, line.strip_suffix(b"\r").unwrap_or(line)).is_none() {
                return Framing::Foreign;
            }
        }
    }
    let head_len = match head_len(bytes) {
        HeadLen::Whole(len) => len,
        HeadLen::Long(len) => return Framing::Message(len),
        HeadLen::Unended => return Framing::Line(HEAD_LEN_MAX),
    };
    let headers = Slice::whole(&bytes[..head_len]).skip(line_len(bytes));
    match content_length(grammar, headers).map(Option::unwrap_or_default) {
        Ok(len) if head_len + len > MESSAGE_LEN_MAX => Framing::Message(head_len),
        Ok(len) => Framing::Message(head_len + len),
        Err(_) => Framing::Message(head_len),
    }
}

/// How far a head is.
enum HeadLen {
    /// It ends with an empty line, so many bytes on.
    Whole(usize),
    /// So many bytes are too many, or have too many lines.
    Long(usize),
    /// Its end has not come.
    Unended,
}

/// The length of the head with its empty line.
fn head_len(bytes: &[u8]) -> HeadLen {
    let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let (mut at, mut line_count) = (0, 0);
    while at < bytes.len() {
        at += line_len(&bytes[at..]);
        line_count += 1;
        match (bytes.get(at.wrapping_sub(1)), &bytes[at..]) {
            (Some(b'\n'), [b'\n', ..]) => return HeadLen::Whole(at + 1),
            (Some(b'\n'), [b'\r', b'\n', ..]) => return HeadLen::Whole(at + 2),
            // It may be half an empty line.
            (Some(b'\n'), [b'\r']) => {}
            (Some(b'\n'), [_, ..]) if line_count == HEAD_LINES_MAX => return HeadLen::Long(at),
            _ => {}
        }
    }
    if bytes.len() == HEAD_LEN_MAX { HeadLen::Long(HEAD_LEN_MAX) } else { HeadLen::Unended }
}

/// The length of the first line with its end.
fn line_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1)
}

/// Whether a first line may begin like this.
fn may_begin(grammar: &Grammar, bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (word, behind) = bytes.split_at(end);
    let is_printed = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    let behind = behind.strip_suffix(b"\r").unwrap_or(behind);
    behind.iter().all(is_printed) && (is_method(grammar, word) || may_be_version(grammar, word))
}

fn is_method(grammar: &Grammar, word: &[u8]) -> bool {
    !word.is_empty() && word.len() <= 32 && word.iter().all(|byte| (grammar.is_of_method)(*byte))
}

fn may_be_version(grammar: &Grammar, word: &[u8]) -> bool {
    word.iter().enumerate().all(|(n, byte)| match grammar.version.get(n) {
        Some(b'9') => byte.is_ascii_digit(),
        Some(expected) => byte.eq_ignore_ascii_case(expected),
        None => false,
    })
}

fn is_version(grammar: &Grammar, word: &[u8]) -> bool {
    word.len() == grammar.version.len() && may_be_version(grammar, word)
}

fn start_line<'l>(grammar: &Grammar, line: &'l [u8]) -> Option<Start<'l>> {
    if !may_begin(grammar, line) {
        return None;
    }
    response(grammar, line).map(Start::Response).or_else(|| request(grammar, line))
}

/// A version, a code, and perhaps a reason.
fn response(grammar: &Grammar, line: &[u8]) -> Option<u32> {
    let (version, behind) = line.split_at_checked(grammar.version.len())?;
    let three = take_while_m_n(3, 3, |byte: u8| byte.is_ascii_digit());
    let code = map_opt(three, |digits| decimal(999)(digits).ok().map(|(_, code)| code));
    let reason = opt((char(' '), rest));
    let read: IResult<&[u8], u32> =
        all_consuming((char(' '), code, reason)).map(|(_, code, _)| code).parse(behind);
    read.ok().filter(|_| is_version(grammar, version)).map(|(_, code)| code)
}

/// A method, a URL with whatever is in it, a version.
fn request<'l>(grammar: &Grammar, line: &'l [u8]) -> Option<Start<'l>> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    let last = line.iter().rposition(|byte| *byte == b' ')?;
    let (method, version) = (&line[..end], &line[last + 1..]);
    let is_request = last > end + 1 && is_method(grammar, method) && is_version(grammar, version);
    is_request.then_some(Start::Request(method))
}
