//! Session descriptions (SDP, RFC 4566 and 8866), which RTSP and SIP carry.

use crate::message::{HEAD_LEN_MAX, LINE_LEN_MAX};
use crate::realm::{translate_address, translate_urls};
use crate::slice::Slice;
use crate::{Context, Framing, Refusal, Side};

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
