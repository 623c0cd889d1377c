//! ICMP errors that the appliance itself sends about a packet it dropped.

use alg::Side;

use super::facts::{ICMP, INSIDE_ADDRESS, OUTSIDE_ADDRESS};
use super::view::{Kind, View};
use crate::checksum;
use crate::dissect::{Dissection, SiteKind};

/// Why the sender may be told, and with which ICMP type and code.
const TOLD: &[(&str, u8, u8)] = &[
    ("pool-exhausted", 3, 1),
    ("port-share", 3, 1),
    ("sessions-full", 3, 1),
    ("session-share", 3, 1),
    ("destination-share", 3, 1),
    ("limit-host", 3, 1),
    ("limit-group", 3, 1),
    ("no-local-service", 3, 3),
    ("ttl-exceeded", 11, 0),
];

/// Whether a packet is the box's own answer to one that came in.
pub(super) fn is_own(sent: &[u8], packet: &[u8]) -> bool {
    let (answer, asked) = (View::of(sent), View::of(packet));
    let is_from_box = [INSIDE_ADDRESS, OUTSIDE_ADDRESS].contains(&answer.src.0);
    let is_to_sender = answer.protocol == ICMP && answer.dst.0 == asked.src.0;
    let is_about = match answer.kind {
        Kind::Error => {
            let quoted = View::quoted(sent);
            (quoted.src, quoted.dst, quoted.id) == (asked.src, asked.dst, asked.id)
        }
        _ => asked.is_request() && answer.src.0 == asked.dst.0,
    };
    is_from_box && is_to_sender && is_about
}

/// Verifies what was told about a drop: at most one error, of the right type, about the packet as it came.
pub(super) fn verify(
    reason: &str,
    side: Side,
    packet: &[u8],
    notices: &[&(Side, Vec<u8>)],
) -> Result<(), String> {
    let [(_, notice)] = notices else {
        return if notices.is_empty() {
            Ok(())
        } else {
            Err(format!("{} errors about one drop", notices.len()))
        };
    };
    let text = crate::describe::packet(notice);
    let Some((_, kind, code)) = TOLD.iter().find(|(told, ..)| *told == reason) else {
        return Err(format!("dropped as {reason}, its sender was told {text}"));
    };
    let layout = Dissection::of_packet(notice);
    let value = |name| layout.value(notice, 0, name).unwrap_or(u64::MAX);
    if (value("type"), value("code")) != (u64::from(*kind), u64::from(*code)) {
        return Err(format!("dropped as {reason}, its sender was told {text}"));
    }
    let own = if side == Side::Inside { INSIDE_ADDRESS } else { OUTSIDE_ADDRESS };
    if View::of(notice).src.0 != own {
        return Err(format!("the error {text} is not from {own}"));
    }
    let sites = layout.sites.iter().filter(|site| site.depth == 0);
    if let Some(site) = sites.clone().find(|site| !checksum::is_correct(notice, site)) {
        return Err(format!("wrong {:?} checksum in {text}", site.kind));
    }
    if !sites.clone().any(|site| site.kind == SiteKind::Icmp) {
        return Err(format!("{text} is too short"));
    }
    // The quote is the packet as it came, but perhaps for its TTL and header checksum.
    let quote = &notice[28..];
    let len = packet.len().min(quote.len());
    let is_same = |at: &usize| matches!(at, 8 | 10 | 11) || quote.get(*at) == packet.get(*at);
    if quote.len() < packet.len().min(28) || quote.len() > packet.len() || !(0..len).all(|at| is_same(&at)) {
        return Err(format!("{text} does not quote what came"));
    }
    Ok(())
}
