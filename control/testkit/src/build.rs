//! Makes packets: new ones from their description, and expected ones from the packet that went in.

use crate::checksum;
use crate::dissect::{self, Dissection, Site, SiteKind};
use crate::packet::{ICMP, TCP, UDP};
use crate::spec::{PacketSpec, Quote, Shape, Value};

/// The longest IPv4 packet that an ICMP error of a router's own quotes, in bytes: the error stays within 576
/// (RFC 1812 section 4.3.2.3).
pub const QUOTE_LEN_MAX: usize = 576 - 28;

/// Builds an IPv4 packet. Quotes of sent packets must have been replaced by their bytes.
///
/// # Errors
/// What the description lacks or contradicts.
pub fn packet(spec: &PacketSpec) -> Result<Vec<u8>, String> {
    if let Some(name) = spec.unknown() {
        return Err(format!("{name} must be a number here"));
    }
    let options = spec.ip_options.clone().unwrap_or_default();
    let (protocol, transport) = transport(spec)?;
    let total_len = 20 + options.len() + transport.len();
    let mut bytes = vec![0x45 + (options.len() / 4) as u8, 0];
    bytes.extend((total_len as u16).to_be_bytes());
    bytes.extend([0, 1, 0, 0, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.extend(transport);
    let layout = Dissection::of_packet(&bytes);
    apply(&mut bytes, &layout, spec, 0)?;
    // A quoted packet has its checksums already. A transport that is given as bytes keeps the checksum in those bytes.
    let is_own = |site: &&Site| site.depth == 0 && (spec.shape != Shape::Ip || site.kind == SiteKind::Ipv4);
    let own: Vec<Site> = layout.sites.iter().filter(is_own).cloned().collect();
    checksum::seal(&mut bytes, &own);
    spoil(&mut bytes, &layout, spec, 0);
    Ok(bytes)
}

/// The protocol number, and the transport header and payload without addresses, ports and checksums.
fn transport(spec: &PacketSpec) -> Result<(u8, Vec<u8>), String> {
    let data = spec.data.clone().unwrap_or_default();
    let mut bytes = Vec::new();
    let protocol = match spec.shape {
        Shape::Udp => {
            bytes.extend([0; 4]);
            bytes.extend((8 + data.len() as u16).to_be_bytes());
            bytes.extend([0; 2]);
            UDP
        }
        Shape::Tcp => {
            let options = spec.tcp_options.clone().unwrap_or_default();
            // The sequence numbers of a connection that has sent no data yet.
            let has = |flag| spec.number("flags").is_some_and(|flags| flags & flag != 0);
            let (seq, ack) = (u32::from(!has(0x02)), u32::from(has(0x10)));
            bytes.extend([0; 4]);
            bytes.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
            bytes.extend([(5 + options.len() / 4) as u8 * 16, 0, 0x20, 0, 0, 0, 0, 0]);
            bytes.extend(options);
            TCP
        }
        Shape::Icmp => {
            let number = |name, default| spec.number(name).unwrap_or(default) as u8;
            bytes.extend([number("type", 0), number("code", 0), 0, 0, 0, 0, 0, 0]);
            match bytes[0] {
                0 | 8 | 13..=18 => bytes[4..8].copy_from_slice(&[0, 1, 0, 1]),
                _ => {}
            }
            bytes.extend(quoted(spec)?);
            ICMP
        }
        Shape::Ip => spec.number("protocol").unwrap_or(0) as u8,
        Shape::Arp | Shape::Raw => return Err("not an IPv4 packet".into()),
    };
    bytes.extend(data);
    Ok((protocol, bytes))
}

fn quoted(spec: &PacketSpec) -> Result<Vec<u8>, String> {
    match &spec.quote {
        None => Ok(Vec::new()),
        Some(Quote::Bytes(bytes)) => Ok(bytes.clone()),
        Some(Quote::Sent(_)) => Err("no packet was sent that could be quoted".into()),
        Some(Quote::Packet(inner)) => {
            let mut bytes = packet(inner)?;
            finish(&mut bytes, inner)?;
            Ok(bytes)
        }
    }
}

/// Applies patches and the cut. They come last, and do not change lengths or checksums.
///
/// # Errors
/// A patch that lies outside.
pub fn finish(bytes: &mut Vec<u8>, spec: &PacketSpec) -> Result<(), String> {
    for (at, patch) in &spec.patches {
        let place = bytes.get_mut(*at..at + patch.len());
        place.ok_or_else(|| format!("at {at}: outside of the packet"))?.copy_from_slice(patch);
    }
    if let Some(len) = spec.cut {
        bytes.truncate(len);
    }
    Ok(())
}

fn apply(bytes: &mut [u8], layout: &Dissection, spec: &PacketSpec, depth: u8) -> Result<(), String> {
    for (name, value) in &spec.settings {
        if matches!(*name, "to" | "from" | "vlan" | "ethertype") {
            continue;
        }
        if let Value::Is(value) = value {
            let field = layout.field(depth, name);
            let field = field.ok_or_else(|| format!("the packet has no field {name}"))?;
            dissect::set(bytes, field, *value);
        }
    }
    Ok(())
}

/// Writes the checksums that are given as a number or as wrong, after all others were computed.
fn spoil(bytes: &mut [u8], layout: &Dissection, spec: &PacketSpec, depth: u8) {
    for name in ["ip-checksum", "checksum"] {
        let (Some(setting), Some(field)) = (spec.setting(name), layout.field(depth, name)) else { continue };
        match setting {
            Value::Is(value) => dissect::set(bytes, field, *value),
            Value::Wrong => {
                let right = dissect::value(bytes, field);
                // Flipping some bits, but not all, never makes another right checksum. The second mask avoids zero.
                let wrong = if right == 0x0101 { 0x1010 } else { right ^ 0x0101 };
                dissect::set(bytes, field, wrong);
            }
            _ => {}
        }
    }
}

/// The packet expected out when `before` went in. Whatever `spec` does not name stays as it was, except for the TTL, which
/// is one less, and the checksums.
///
/// # Errors
/// What cannot be expected of this packet.
pub fn forwarded(before: &[u8], spec: &PacketSpec) -> Result<Vec<u8>, String> {
    let layout = Dissection::of_packet(before);
    if layout.ipv4.is_none() {
        return Err("what went in is no IPv4 packet: nothing can come out of it".into());
    }
    same_protocol(before, &layout, spec)?;
    let mut bytes = replaced(before, &layout, spec);
    let edited = Dissection::of_packet(&bytes);
    if spec.setting("ttl").is_none()
        && let Some(ttl) = edited.field(0, "ttl")
    {
        let value = dissect::value(&bytes, ttl);
        dissect::set(&mut bytes, ttl, value.saturating_sub(1));
    }
    apply(&mut bytes, &edited, spec, 0)?;
    match &spec.quote {
        Some(Quote::Packet(inner)) => apply(&mut bytes, &edited, inner, 1)?,
        Some(_) => return Err("a forwarded error's quote is written as { PACKET }".into()),
        None => {}
    }
    checksum::reseal(&mut bytes, &edited.sites, before, &layout.sites);
    spoil(&mut bytes, &edited, spec, 0);
    if let Some(Quote::Packet(inner)) = &spec.quote {
        spoil(&mut bytes, &edited, inner, 1);
    }
    Ok(bytes)
}

fn same_protocol(before: &[u8], layout: &Dissection, spec: &PacketSpec) -> Result<(), String> {
    let went_in = layout.value(before, 0, "protocol");
    let comes_out = match spec.shape {
        Shape::Udp => Some(u64::from(UDP)),
        Shape::Tcp => Some(u64::from(TCP)),
        Shape::Icmp => Some(u64::from(ICMP)),
        _ => spec.number("protocol"),
    };
    if went_in == comes_out {
        Ok(())
    } else {
        Err("'out' is what becomes of the packet before it, but the protocols differ; \
             for packets of the appliance's own write 'own'"
            .into())
    }
}

/// The packet with its options and payload replaced where `spec` names them, and its lengths adjusted.
fn replaced(before: &[u8], layout: &Dissection, spec: &PacketSpec) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let named = [("data", &spec.data), ("tcp-options", &spec.tcp_options), ("ip-options", &spec.ip_options)];
    // From the end to the front, so that the ranges still to come stay valid.
    for (name, content) in named {
        let (Some(content), Some(range)) = (content, layout.range(0, name)) else { continue };
        let growth = content.len() as i64 - range.len() as i64;
        bytes.splice(range, content.iter().copied());
        let mut lengthen = |name, growth: i64| {
            if let Some(field) = layout.field(0, name) {
                let len = dissect::value(&bytes, field) as i64 + growth;
                dissect::set(&mut bytes, field, len as u64);
            }
        };
        lengthen("total-length", growth);
        match name {
            "data" => lengthen("udp-length", growth),
            "tcp-options" => lengthen("tcp-offset", growth / 4),
            _ => lengthen("ihl", growth / 4),
        }
    }
    bytes
}
