//! Translates addresses and the hosts of URLs: those of the session's two hosts, and those that the policy translates.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::slice::Slice;
use crate::text::{self, written};
use crate::{Context, Refusal, Side, Transport};

/// The port of URLs that name none.
const RTSP_PORT: u16 = 554;

/// An address as the other side sees it, if it differs.
pub fn counterpart(context: &dyn Context, from: Side, addr: Ipv4Addr) -> Option<Ipv4Addr> {
    let session = context.session();
    let pairs = [
        (session.inside_local.ip(), session.inside_global.ip()),
        (session.outside_local.ip(), session.outside_global.ip()),
    ];
    let own = pairs.into_iter().find_map(|(local, global)| match from {
        Side::Inside => (addr == *local).then_some(*global),
        Side::Outside => (addr == *global).then_some(*local),
    });
    let translated = own.or_else(|| context.policy_address(from, addr).map(|counterpart| counterpart.addr));
    translated.filter(|translated| *translated != addr)
}

/// Translates a slice that is an address. Returns by how much the message grows.
pub fn translate_address(context: &mut dyn Context, from: Side, slice: Slice) -> Result<isize, Refusal> {
    let translated = text::whole_address(slice.bytes).and_then(|addr| counterpart(context, from, addr));
    match translated {
        Some(addr) => replace(context, slice, format_args!("{addr}")),
        None => Ok(0),
    }
}

/// Translates the hosts of all URLs in a slice. A host starts behind `://`. Some cameras write URLs without the scheme:
/// their host starts at the beginning of the slice or behind `url=`. Returns by how much the message grows.
pub fn translate_urls(context: &mut dyn Context, from: Side, slice: Slice) -> Result<isize, Refusal> {
    let (mut rest, mut growth) = (slice, 0);
    while let Some(at) = url_start(rest.bytes, rest == slice) {
        rest = rest.skip(at);
        let end = rest.bytes.iter().position(|byte| b"/?#\",;<> \t\r\n".contains(byte));
        let authority;
        (authority, rest) = rest.split(end.unwrap_or(rest.bytes.len()));
        let host = authority.bytes.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        growth += translate_host(context, from, authority.skip(host))?;
    }
    Ok(growth)
}

/// Where the next host of a URL starts: at the beginning of a value, or behind one of `MARKS`.
fn url_start(bytes: &[u8], is_beginning: bool) -> Option<usize> {
    const MARKS: &[&[u8]] = &[b"://", b"url="];
    let is_address = |bytes: &[u8]| matches!(text::address(bytes), Ok((rest, _)) if ends_host(rest));
    if is_beginning && is_address(bytes) {
        return Some(0);
    }
    let start_at = |at: usize| {
        let tail = &bytes[at..];
        let is_at = |mark: &&&[u8]| tail.get(..mark.len()).is_some_and(|of| of.eq_ignore_ascii_case(mark));
        let mark = MARKS.iter().find(is_at)?.len();
        let is_quoted = tail.get(mark) == Some(&b'"');
        let start = at + mark + usize::from(is_quoted);
        (tail.starts_with(b"://") || is_address(&bytes[start..])).then_some(start)
    };
    (0..bytes.len()).find_map(start_at)
}

/// Whether the address before `rest` is a whole host.
fn ends_host(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| b":/?#\",;<> \t\r\n".contains(byte))
}

/// Translates a host with its port, if it has one.
fn translate_host(context: &mut dyn Context, from: Side, slice: Slice) -> Result<isize, Refusal> {
    let (host, port) = slice.cut(b':');
    let Some(addr) = text::whole_address(host.bytes) else { return Ok(0) };
    let Some(translated) = counterpart(context, from, addr) else { return Ok(0) };
    let named = port.and_then(|port| text::port(port.bytes).ok().filter(|(rest, _)| rest.is_empty()));
    let before = SocketAddrV4::new(addr, named.map_or(RTSP_PORT, |(_, port)| port));
    let session = context.session();
    let after = match from {
        Side::Inside if before == session.inside_local => Some(session.inside_global),
        Side::Inside => context.global(Transport::Tcp, before),
        Side::Outside => None,
    };
    match after {
        Some(after) if after.port() != before.port() => replace(context, slice, format_args!("{after}")),
        _ => replace(context, host, format_args!("{translated}")),
    }
}

/// Replaces a slice. Returns by how much the message grows.
pub fn replace(
    context: &mut dyn Context,
    slice: Slice,
    arguments: std::fmt::Arguments,
) -> Result<isize, Refusal> {
    let text = written(arguments);
    if text.as_bytes() == slice.bytes {
        return Ok(0);
    }
    context.replace(slice.span(), text.as_bytes())?;
    Ok(text.len() as isize - slice.bytes.len() as isize)
}
