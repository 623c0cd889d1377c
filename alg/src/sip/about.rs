//! What a message is about: its method, its number, its call.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::uri::parameter;
use crate::message::{Parsed, Start};
use crate::slice::Slice;
use crate::text::decimal;

/// What a message is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'m> {
    /// The method, of a response that of its request.
    pub method: &'m [u8],
    /// The code of a response.
    pub code: Option<u32>,
    /// The number of its transaction (`CSeq`).
    pub number: u32,
    /// A hash of its `Call-ID`.
    pub call: Option<u64>,
    /// How long what it asks for or grants is to last, in seconds (`Expires`).
    pub expires_s: Option<u32>,
    /// The sender of a request will not send another one about this (`Subscription-State: terminated`).
    pub is_last: bool,
}

/// What both ends must see unchanged is compared as it is.
fn hash(value: Slice) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.bytes.hash(&mut hasher);
    hasher.finish()
}

impl<'m> About<'m> {
    /// Reads what a message is about.
    pub fn read(parsed: &Parsed<'m>) -> About<'m> {
        let value = |name, compact| parsed.named(name).chain(parsed.named(compact)).next();
        let sequence = value("cseq", "cseq");
        let (number, of) = match sequence.map(|value| decimal(u32::MAX)(value.bytes)) {
            Some(Ok((of, number))) => (number, of.trim_ascii()),
            _ => (0, &b""[..]),
        };
        let (method, code) = match parsed.start {
            Start::Request(method) => (method, None),
            Start::Response(code) => (of, Some(code)),
        };
        let expires = value("expires", "expires").and_then(|value| decimal(u32::MAX)(value.bytes).ok());
        let state = value("subscription-state", "subscription-state");
        About {
            method,
            code,
            number,
            call: value("call-id", "i").map(hash),
            expires_s: expires.map(|(_, expires_s)| expires_s),
            is_last: state.is_some_and(|state| state.cut(b';').0.trim().is("terminated")),
        }
    }

    /// A hash of its method and number, which is never 0.
    pub fn transaction(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        (self.method, self.number).hash(&mut hasher);
        (hasher.finish() as u32).max(1)
    }

    /// It is a request of this method.
    pub fn requests(&self, method: &str) -> bool {
        self.code.is_none() && self.method == method.as_bytes()
    }

    /// It is a response to a request of one of these methods.
    pub fn answers(&self, methods: &[&str]) -> Option<u32> {
        self.code.filter(|_| methods.iter().any(|method| self.method == method.as_bytes()))
    }
}

/// The session descriptions of a message: its body, or parts of it (RFC 2046 section 5.1.1). What is compressed stays.
pub fn descriptions<'m>(parsed: &Parsed<'m>) -> impl Iterator<Item = Slice<'m>> + use<'m> {
    let value = |name, compact| parsed.named(name).chain(parsed.named(compact)).next();
    let is_encoded = value("content-encoding", "e").is_some_and(|value| !value.trim().is("identity"));
    let kind = value("content-type", "c").filter(|_| !is_encoded);
    let (kind, parameters) = kind.map_or((None, None), |kind| {
        let (kind, parameters) = kind.cut(b';');
        (Some(kind.trim()), parameters)
    });
    let body = parsed.body;
    let whole = kind.filter(|kind| kind.is("application/sdp")).map(|_| body);
    let is_multipart = kind
        .is_some_and(|kind| kind.bytes.get(..10).is_some_and(|of| of.eq_ignore_ascii_case(b"multipart/")));
    let boundary = parameters.filter(|_| is_multipart).and_then(|all| parameter(all, "boundary"));
    let parts = boundary.into_iter().flat_map(move |boundary| parts(body, unquoted(boundary)));
    whole.into_iter().chain(parts.filter_map(description_of))
}

fn unquoted(value: Slice) -> Slice {
    match value.bytes {
        [b'"', .., b'"'] => value.skip(1).split(value.bytes.len() - 2).0,
        _ => value,
    }
}

/// What is between the delimiters of a body: `--` and the boundary at the beginning of a line.
fn parts<'m>(body: Slice<'m>, boundary: Slice<'m>) -> impl Iterator<Item = Slice<'m>> {
    let mut rest = next_delimiter(body, boundary).map(|(_, behind)| behind);
    std::iter::from_fn(move || {
        let part = rest?;
        let (part, behind) = next_delimiter(part, boundary)?;
        rest = Some(behind);
        Some(part)
    })
}

/// What is ahead of the next delimiter, and what is behind its line.
fn next_delimiter<'m>(body: Slice<'m>, boundary: Slice<'m>) -> Option<(Slice<'m>, Slice<'m>)> {
    let mut at = 0;
    while at < body.bytes.len() {
        let line = body.bytes[at..].split_inclusive(|byte| *byte == b'\n').next()?;
        if line.strip_prefix(b"--").is_some_and(|line| line.starts_with(boundary.bytes)) {
            // The line end ahead of a delimiter is the delimiter's.
            let ahead = &body.bytes[..at];
            let ahead = ahead.strip_suffix(b"\n").unwrap_or(ahead);
            let ahead = ahead.strip_suffix(b"\r").unwrap_or(ahead);
            return Some((body.split(ahead.len()).0, body.skip(at + line.len())));
        }
        at += line.len();
    }
    None
}

/// The description in a part: its headers end with an empty line.
fn description_of(part: Slice) -> Option<Slice> {
    let (mut is_sdp, mut is_encoded) = (false, false);
    let mut rest = part;
    while !rest.bytes.is_empty() {
        let (line, behind) = rest.cut(b'\n');
        rest = behind.unwrap_or(line.skip(line.bytes.len()));
        let line = line.trim();
        if line.bytes.is_empty() {
            return Some(rest).filter(|_| is_sdp && !is_encoded);
        }
        let (name, value) = line.cut(b':');
        let value = value.map(|value| value.cut(b';').0.trim());
        let says = |word| value.is_some_and(|value: Slice| value.is(word));
        is_sdp |= name.trim().is("content-type") && says("application/sdp");
        is_encoded |= name.trim().is("content-encoding") && !says("identity");
    }
    None
}
