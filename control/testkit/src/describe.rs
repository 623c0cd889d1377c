//! Packets in readable words, for messages.

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::dissect::Dissection;
use crate::notation::names::{FLAGS, ICMP_TYPES, PROTOCOLS};
use crate::stations::Arp;

/// A frame on one line, in the notation as far as it goes.
pub fn frame(bytes: &[u8]) -> String {
    let layout = Dissection::of_frame(bytes);
    let mut text = String::new();
    match (&layout.ipv4, Arp::of_frame(bytes)) {
        (Some(range), _) => text.push_str(&packet(&bytes[range.clone()])),
        (None, Some(arp)) if arp.operation == 1 => {
            let _ = write!(text, "arp who-has {} tell {}", arp.target.1, arp.sender.1);
        }
        (None, Some(arp)) => {
            let _ = write!(text, "arp {} is-at {} tell {}", arp.sender.1, mac(arp.sender.0), arp.target.1);
        }
        (None, None) => text.push_str("raw"),
    }
    for name in ["to", "from", "vlan"] {
        if let Some(value) = layout.value(bytes, 0, name) {
            let _ = write!(text, " {name} {}", number(name, value));
        }
    }
    let _ = write!(text, "\n             {}", hex(bytes));
    text
}

/// An IPv4 packet on one line.
pub fn packet(bytes: &[u8]) -> String {
    describe(bytes, &Dissection::of_packet(bytes), 0)
}

fn describe(bytes: &[u8], layout: &Dissection, depth: u8) -> String {
    let value = |name| layout.value(bytes, depth, name);
    let addr = |name| value(name).map_or("?".into(), |value| number(name, value));
    let ports = value("sport").zip(value("dport"));
    let mut text = match (value("protocol"), ports) {
        (Some(protocol), Some((sport, dport))) => {
            format!("{} {}:{sport} > {}:{dport}", protocol_name(protocol), addr("src"), addr("dst"))
        }
        (Some(1), _) if value("type").is_some() => {
            let kind = (value("type").unwrap_or(0), value("code").unwrap_or(0));
            format!("icmp {} {} > {}", icmp_name(kind), addr("src"), addr("dst"))
        }
        (protocol, _) => {
            format!("ip {} {} > {}", protocol_name(protocol.unwrap_or(0)), addr("src"), addr("dst"))
        }
    };
    for name in ["flags", "id", "seq", "ack", "win", "mtu", "pointer", "ttl", "tos", "ip-id", "frag"] {
        match value(name) {
            None | Some(0) if !matches!(name, "ttl" | "flags") => {}
            None => {}
            Some(value) if name == "flags" => {
                let _ = write!(text, " {}", number(name, value));
            }
            Some(value) => {
                let _ = write!(text, " {name} {value}");
            }
        }
    }
    for name in ["df", "mf"] {
        if value(name) == Some(1) {
            let _ = write!(text, " {name}");
        }
    }
    if layout.field(depth + 1, "version").is_some() {
        let _ = write!(text, " quote {{ {} }}", describe(bytes, layout, depth + 1));
    }
    for (stretch, word) in [("ip-options", "ip-options"), ("tcp-options", "tcp-options"), ("data", "")] {
        let content = layout.range(depth, stretch).map_or(&[][..], |range| &bytes[range]);
        if !content.is_empty() {
            let _ = write!(text, " {word}{}{}", if word.is_empty() { "" } else { " " }, bytes_text(content));
        }
    }
    text
}

fn protocol_name(protocol: u64) -> String {
    let known = PROTOCOLS.iter().find(|(_, number)| u64::from(*number) == protocol);
    known.map_or_else(|| protocol.to_string(), |(name, _)| (*name).into())
}

fn icmp_name((kind, code): (u64, u64)) -> String {
    let known = ICMP_TYPES.iter().find(|&&(_, k, c)| (u64::from(k), u64::from(c)) == (kind, code));
    known.map_or_else(|| format!("{kind}/{code}"), |(name, ..)| (*name).into())
}

/// A field's value as the notation writes it.
pub fn number(name: &str, value: u64) -> String {
    match name {
        "src" | "dst" | "sender" | "target" => Ipv4Addr::from_bits(value as u32).to_string(),
        "to" | "from" | "sender-mac" | "target-mac" => {
            let bytes = value.to_be_bytes();
            mac([bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
        }
        "flags" => {
            let set: Vec<&str> =
                FLAGS.iter().filter(|(_, bit)| value & bit != 0).map(|(name, _)| *name).collect();
            if set.is_empty() { "no-flags".into() } else { set.join(",") }
        }
        "checksum" | "ip-checksum" | "ethertype" => format!("0x{value:04x}"),
        _ => value.to_string(),
    }
}

/// An Ethernet address.
pub fn mac(bytes: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = bytes;
    format!("{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}")
}

/// Bytes as text where they are that, else as hexadecimal digits.
pub fn bytes_text(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let is_text = bytes.iter().all(|byte| (0x20..0x7f).contains(byte) || b"\r\n\t".contains(byte));
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    if is_text && !bytes.is_empty() {
        format!("\"{}\"{more}", shown.escape_ascii())
    } else {
        format!("hex {}{more}", hex(shown))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
