//! Addresses on their way to the other side: of the two hosts, and what policy maps; in URLs and in SDP.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::piece::Piece;
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

/// Translates a piece that is an address. Returns by how much the message grows.
pub fn translate_address(context: &mut dyn Context, from: Side, piece: Piece) -> Result<isize, Refusal> {
    let translated = text::whole_address(piece.bytes).and_then(|addr| counterpart(context, from, addr));
    match translated {
        Some(addr) => replace(context, piece, format_args!("{addr}")),
        None => Ok(0),
    }
}

/// Translates the hosts of all URLs in a piece. Returns by how much the message grows.
pub fn translate_urls(context: &mut dyn Context, from: Side, piece: Piece) -> Result<isize, Refusal> {
    let (mut rest, mut growth) = (piece, 0);
    while let Some(at) = rest.bytes.windows(3).position(|window| window == b"://") {
        rest = rest.skip(at + 3);
        let end = rest.bytes.iter().position(|byte| b"/?#\",;<> \t\r\n".contains(byte));
        let authority;
        (authority, rest) = rest.split(end.unwrap_or(rest.bytes.len()));
        let host = authority.bytes.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        growth += translate_host(context, from, authority.skip(host))?;
    }
    Ok(growth)
}

/// Translates a host with its port, if it has one.
fn translate_host(context: &mut dyn Context, from: Side, piece: Piece) -> Result<isize, Refusal> {
    let (host, port) = piece.cut(b':');
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
        Some(after) if after.port() != before.port() => replace(context, piece, format_args!("{after}")),
        _ => replace(context, host, format_args!("{translated}")),
    }
}

/// Translates the addresses of a description: its origins, its connections, and the URLs of its controls. Returns
/// by how much it grows.
pub fn translate_sdp(context: &mut dyn Context, from: Side, body: Piece) -> Result<isize, Refusal> {
    let mut growth = 0;
    for line in body.lines() {
        let mut words = line.skip(2).fields(b' ');
        growth += match line.bytes {
            [b'c', b'=', ..] => translate_connection(context, from, &mut words)?,
            [b'o', b'=', ..] => translate_connection(context, from, &mut words.skip(3))?,
            [b'a', b'=', ..] if line.skip(2).cut(b':').0.is("control") => {
                translate_urls(context, from, line)?
            }
            _ => 0,
        };
    }
    Ok(growth)
}

/// Translates `IN IP4 address`, where lengths of life may follow the address.
fn translate_connection<'m>(
    context: &mut dyn Context,
    from: Side,
    words: &mut dyn Iterator<Item = Piece<'m>>,
) -> Result<isize, Refusal> {
    match (words.next(), words.next(), words.next()) {
        (Some(net), Some(family), Some(addr)) if net.is("IN") && family.is("IP4") => {
            translate_address(context, from, addr.cut(b'/').0.trim())
        }
        _ => Ok(0),
    }
}

/// Replaces a piece. Returns by how much the message grows.
pub fn replace(
    context: &mut dyn Context,
    piece: Piece,
    arguments: std::fmt::Arguments,
) -> Result<isize, Refusal> {
    let text = written(arguments);
    if text.as_bytes() == piece.bytes {
        return Ok(0);
    }
    context.replace(piece.span(), text.as_bytes())?;
    Ok(text.len() as isize - piece.bytes.len() as isize)
}
