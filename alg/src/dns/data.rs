//! What is read of records' data: names that may be compressed, and addresses.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;

use super::message::{kind, u16_at};
use super::name;
use crate::{Refusal, Span};

const KEY_IPV4HINT: u16 = 4;

/// The names in a record's data, of the types where they may be compressed (RFC 1035 section 3.3, RFC 3597 section 4),
/// or where some servers compress them though they should not. In other data names are spelled in full, and stay.
pub(super) fn names(bytes: &[u8], kind: u16, data: Span) -> Result<ArrayVec<Span, 2>, Refusal> {
    let (start, count) = match kind {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME.
        2..=5 | 7..=9 | 12 | 39 => (data.start, 1),
        // SOA, MINFO, RP.
        kind::SOA | 14 | 17 => (data.start, 2),
        // MX, AFSDB, RT, KX.
        15 | 18 | 21 | 36 | kind::SVCB | kind::HTTPS => (data.start + 2, 1),
        // PX.
        26 => (data.start + 2, 2),
        // SRV.
        33 => (data.start + 6, 1),
        // NAPTR: behind two numbers and three strings.
        35 => (behind_strings(bytes, data.start + 4, 3)?, 1),
        _ => return Ok(ArrayVec::new()),
    };
    let mut found = ArrayVec::new();
    let mut at = start;
    for _ in 0..count {
        let span = name::own_span(bytes, at)?;
        if span.end > data.end {
            return Err(Refusal::Malformed);
        }
        at = span.end;
        found.push(span);
    }
    Ok(found)
}

fn behind_strings(bytes: &[u8], start: usize, count: usize) -> Result<usize, Refusal> {
    (0..count).try_fold(start, |at, _| {
        let len = *bytes.get(at).ok_or(Refusal::Malformed)?;
        Ok(at + 1 + usize::from(len))
    })
}

/// The addresses in a record's data, and where they are.
pub(super) fn addresses(
    bytes: &[u8],
    kind: u16,
    data: Span,
) -> Result<impl Iterator<Item = (usize, Ipv4Addr)> + '_, Refusal> {
    let span = match kind {
        kind::A if data.end - data.start != 4 => return Err(Refusal::Malformed),
        kind::A => data,
        kind::SVCB | kind::HTTPS => ipv4_hints(bytes, data)?,
        _ => Span { start: data.start, end: data.start },
    };
    match bytes.get(span.start..span.end).unwrap_or_default().as_chunks::<4>() {
        (chunks, []) => Ok(chunks
            .iter()
            .enumerate()
            .map(move |(index, octets)| (span.start + 4 * index, Ipv4Addr::from(*octets)))),
        _ => Err(Refusal::Malformed),
    }
}

/// The value of the parameter `ipv4hint` (RFC 9460 section 7.3), which comes once at most.
fn ipv4_hints(bytes: &[u8], data: Span) -> Result<Span, Refusal> {
    let mut at = name::own_span(bytes, data.start + 2)?.end;
    while at < data.end {
        let key = u16_at(bytes, at)?;
        let value = Span { start: at + 4, end: at + 4 + usize::from(u16_at(bytes, at + 2)?) };
        if value.end > data.end {
            return Err(Refusal::Malformed);
        }
        if key == KEY_IPV4HINT {
            return Ok(value);
        }
        at = value.end;
    }
    Ok(Span { start: at, end: at })
}
