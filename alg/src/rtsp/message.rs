//! Requests and responses, cut from the stream and read to slices.

use nom::bytes::complete::{tag, take_while_m_n};
use nom::character::complete::{char, satisfy};
use nom::combinator::{all_consuming, map_opt, opt, rest};
use nom::{IResult, Parser};

use crate::slice::Slice;
use crate::text::decimal;
use crate::{Framing, Refusal};

/// No first line is longer.
const LINE_LEN_MAX: usize = 4096;
/// From this many bytes of a first line it is known whether it may be one.
const BEGINNING_LEN_MAX: usize = 64;
/// No head is longer.
const HEAD_LEN_MAX: usize = 16384;
/// No head has more lines.
const HEAD_LINES_MAX: usize = 128;
/// No message is longer.
pub const MESSAGE_LEN_MAX: usize = 65535;

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
    pub fn read(bytes: &'m [u8]) -> Result<Parsed<'m>, Refusal> {
        let message = Slice::whole(bytes);
        let line = message.lines().next().unwrap_or(message);
        let start = start_line(line.bytes).ok_or(Refusal::Foreign)?;
        let head_len = match head_len(bytes) {
            HeadLen::Whole(len) => len,
            HeadLen::Long(_) => return Err(Refusal::TooLong),
            HeadLen::Unended => return Err(Refusal::Malformed),
        };
        let (head, behind) = message.split(head_len);
        let headers = head.skip(line_len(bytes));
        let body_len = content_length(headers)?;
        if head_len + body_len > MESSAGE_LEN_MAX {
            return Err(Refusal::TooLong);
        }
        if body_len > behind.bytes.len() {
            return Err(Refusal::Malformed);
        }
        Ok(Parsed { start, headers, body: behind.split(body_len).0 })
    }

    /// Whether it tells how long its body is.
    pub fn has_length(&self) -> bool {
        self.named("content-length").next().is_some()
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

/// The length of the body, which all headers about it must agree on.
fn content_length(lines: Slice) -> Result<usize, Refusal> {
    let mut found = None;
    for value in named(lines, "content-length") {
        let (_, len) = all_consuming(decimal(u32::MAX)).parse(value.bytes).map_err(|_| Refusal::Malformed)?;
        if found.is_some_and(|before| before != len) {
            return Err(Refusal::Malformed);
        }
        found = Some(len);
    }
    Ok(found.unwrap_or(0) as usize)
}

/// What the beginning of a stream is, whose first bytes are no frame of data. What [`Parsed::read`] refuses is a
/// message here, as far as it is known to be refused.
pub fn framing(bytes: &[u8]) -> Framing {
    match bytes.iter().take(LINE_LEN_MAX).position(|byte| *byte == b'\n') {
        None if bytes.len() >= LINE_LEN_MAX || !may_begin(bytes) => return Framing::Foreign,
        None if bytes.len() >= BEGINNING_LEN_MAX => return Framing::Line(LINE_LEN_MAX),
        None => return Framing::Incomplete,
        Some(end) => {
            let line = &bytes[..end];
            if start_line(line.strip_suffix(b"\r").unwrap_or(line)).is_none() {
                return Framing::Foreign;
            }
        }
    }
    let head_len = match head_len(bytes) {
        HeadLen::Whole(len) => len,
        HeadLen::Long(len) => return Framing::Message(len),
        HeadLen::Unended => return Framing::Line(HEAD_LEN_MAX),
    };
    match content_length(Slice::whole(&bytes[..head_len]).skip(line_len(bytes))) {
        Ok(len) if head_len + len > MESSAGE_LEN_MAX => Framing::Message(head_len),
        Ok(len) => Framing::Message(head_len + len),
        Err(_) => Framing::Message(head_len),
    }
}

/// Whether bytes are a line of a description. None such begins a message.
pub fn is_description(bytes: &[u8]) -> bool {
    matches!(bytes, [b'a'..=b'z', b'=', ..])
}

/// The whole lines of a description whose length nobody told; none if something else follows.
pub fn description_framing(bytes: &[u8]) -> Option<Framing> {
    if !is_description(bytes) {
        return matches!(bytes, [b'a'..=b'z']).then_some(Framing::Incomplete);
    }
    let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let mut len = 0;
    while is_description(&bytes[len..])
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
fn may_begin(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (word, behind) = bytes.split_at(end);
    let is_printed = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    let behind = behind.strip_suffix(b"\r").unwrap_or(behind);
    behind.iter().all(is_printed) && (is_method(word) || may_be_version(word))
}

fn is_method(word: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    !word.is_empty() && word.len() <= 32 && word.iter().all(is_letter)
}

fn may_be_version(word: &[u8]) -> bool {
    word.iter().enumerate().all(|(n, byte)| match b"RTSP/9.9".get(n) {
        Some(b'9') => byte.is_ascii_digit(),
        Some(expected) => byte == expected,
        None => false,
    })
}

fn start_line(line: &[u8]) -> Option<Start<'_>> {
    if !may_begin(line) {
        return None;
    }
    response(line).map_or_else(|_| request(line), |(_, code)| Some(Start::Response(code)))
}

fn version(input: &[u8]) -> IResult<&[u8], ()> {
    let digit = || satisfy(|c| c.is_ascii_digit());
    (tag(&b"RTSP/"[..]), digit(), char('.'), digit()).map(|_| ()).parse(input)
}

/// A version, a code, and perhaps a reason.
fn response(line: &[u8]) -> IResult<&[u8], u32> {
    let three = take_while_m_n(3, 3, |byte: u8| byte.is_ascii_digit());
    let code = map_opt(three, |digits| decimal(999)(digits).ok().map(|(_, code)| code));
    let reason = opt((char(' '), rest));
    all_consuming((version, char(' '), code, reason)).map(|(_, _, code, _)| code).parse(line)
}

/// A method, a URL with whatever is in it, a version.
fn request(line: &[u8]) -> Option<Start<'_>> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    let last = line.iter().rposition(|byte| *byte == b' ')?;
    let (method, version_word) = (&line[..end], &line[last + 1..]);
    let is_version = all_consuming(version).parse(version_word).is_ok();
    (last > end + 1 && is_method(method) && is_version).then_some(Start::Request(method))
}
