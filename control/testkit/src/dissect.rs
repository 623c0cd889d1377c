//! Taking packets apart: which field, stretch of bytes and checksum lies where.
//!
//! Whatever is there is named, as far as it is there: a quoted packet that ends after eight bytes of TCP has ports
//! and a sequence number. Nothing is refused.

use std::ops::Range;

/// A named number in a packet. `depth` is 0 for the packet itself and 1 for one that an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// How deep the packet is quoted.
    pub depth: u8,
    /// What the notation calls it.
    pub name: &'static str,
    /// Position of its first bit.
    pub at: usize,
    /// Its width in bits, at most 48.
    pub width: usize,
}

/// A named stretch of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How deep the packet is quoted.
    pub depth: u8,
    /// What the notation calls it.
    pub name: &'static str,
    /// Where it is, perhaps empty.
    pub range: Range<usize>,
}

/// Whose checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// An IPv4 header's.
    Ipv4,
    /// UDP, with its pseudo header.
    Udp,
    /// TCP, with its pseudo header.
    Tcp,
    /// ICMP.
    Icmp,
}

/// A checksum: where it is and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// How deep the packet is quoted.
    pub depth: u8,
    /// Whose.
    pub kind: SiteKind,
    /// Position of its two bytes.
    pub at: usize,
    /// Position of the IPv4 header it belongs to.
    pub ip_at: usize,
    /// What it covers, as far as that is there.
    pub range: Range<usize>,
    /// Whether all it covers is there.
    pub is_whole: bool,
}

/// A packet or frame taken apart.
#[derive(Clone, Debug, Default)]
pub struct Dissection {
    /// Numbers, in the order of the packet.
    pub fields: Vec<Field>,
    /// Stretches of bytes.
    pub stretches: Vec<Stretch>,
    /// Checksums, inner ones first.
    pub sites: Vec<Site>,
    /// Where the IPv4 packet lies, in frames that hold one.
    pub ipv4: Option<Range<usize>>,
}

type Table = &'static [(&'static str, usize, usize)];

const ETHERNET: Table = &[("to", 0, 48), ("from", 48, 48), ("ethertype", 96, 16)];
const TAGGED: Table = &[
    ("to", 0, 48),
    ("from", 48, 48),
    ("tag", 96, 16),
    ("priority", 112, 4),
    ("vlan", 116, 12),
    ("ethertype", 128, 16),
];
const ARP: Table = &[
    ("hardware", 0, 16),
    ("network", 16, 16),
    ("address-lengths", 32, 16),
    ("operation", 48, 16),
    ("sender-mac", 64, 48),
    ("sender", 112, 32),
    ("target-mac", 144, 48),
    ("target", 192, 32),
];
const IPV4: Table = &[
    ("version", 0, 4),
    ("ihl", 4, 4),
    ("tos", 8, 8),
    ("total-length", 16, 16),
    ("ip-id", 32, 16),
    ("reserved", 48, 1),
    ("df", 49, 1),
    ("mf", 50, 1),
    ("frag", 51, 13),
    ("ttl", 64, 8),
    ("protocol", 72, 8),
    ("ip-checksum", 80, 16),
    ("src", 96, 32),
    ("dst", 128, 32),
];
const UDP: Table = &[("sport", 0, 16), ("dport", 16, 16), ("udp-length", 32, 16), ("checksum", 48, 16)];
const TCP: Table = &[
    ("sport", 0, 16),
    ("dport", 16, 16),
    ("seq", 32, 32),
    ("ack", 64, 32),
    ("tcp-offset", 96, 4),
    ("tcp-reserved", 100, 4),
    ("flags", 104, 8),
    ("win", 112, 16),
    ("checksum", 128, 16),
    ("urg", 144, 16),
];
const ICMP_QUERY: Table =
    &[("type", 0, 8), ("code", 8, 8), ("checksum", 16, 16), ("id", 32, 16), ("seq", 48, 16)];
const ICMP_UNREACHABLE: Table =
    &[("type", 0, 8), ("code", 8, 8), ("checksum", 16, 16), ("unused", 32, 16), ("mtu", 48, 16)];
const ICMP_PARAMETER: Table =
    &[("type", 0, 8), ("code", 8, 8), ("checksum", 16, 16), ("pointer", 32, 8), ("unused", 40, 24)];
const ICMP_OTHER: Table = &[("type", 0, 8), ("code", 8, 8), ("checksum", 16, 16), ("rest", 32, 32)];

/// Reads a field.
pub fn value(bytes: &[u8], field: &Field) -> u64 {
    (field.at..field.at + field.width)
        .fold(0, |value, bit| value << 1 | u64::from(bytes[bit / 8] >> (7 - bit % 8) & 1))
}

/// Writes a field; bits that do not fit are lost.
pub fn set(bytes: &mut [u8], field: &Field, value: u64) {
    for offset in 0..field.width {
        let bit = field.at + offset;
        let mask = 0x80 >> (bit % 8);
        match value >> (field.width - 1 - offset) & 1 {
            0 => bytes[bit / 8] &= !mask,
            _ => bytes[bit / 8] |= mask,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 2).map_or(0, |word| usize::from(word[0]) << 8 | usize::from(word[1]))
}

impl Dissection {
    /// Takes a frame apart, from its Ethernet header on.
    pub fn of_frame(bytes: &[u8]) -> Dissection {
        let mut dissection = Dissection::default();
        let is_tagged = word(bytes, 12) == 0x8100;
        let (table, header_len) = if is_tagged { (TAGGED, 18) } else { (ETHERNET, 14) };
        dissection.name(0, table, 0, bytes.len());
        if bytes.len() < header_len {
            return dissection;
        }
        match word(bytes, header_len - 2) {
            0x0800 => dissection.ipv4(bytes, header_len..bytes.len(), 0),
            0x0806 => {
                dissection.name(0, ARP, header_len, bytes.len());
                dissection.stretch(0, "padding", (header_len + 28).min(bytes.len())..bytes.len());
            }
            _ => dissection.stretch(0, "data", header_len..bytes.len()),
        }
        dissection
    }

    /// Takes an IPv4 packet apart.
    pub fn of_packet(bytes: &[u8]) -> Dissection {
        let mut dissection = Dissection::default();
        dissection.ipv4(bytes, 0..bytes.len(), 0);
        dissection
    }

    /// The field of this name.
    pub fn field(&self, depth: u8, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.depth == depth && field.name == name)
    }

    /// The stretch of this name.
    pub fn range(&self, depth: u8, name: &str) -> Option<Range<usize>> {
        let found = self.stretches.iter().find(|stretch| stretch.depth == depth && stretch.name == name);
        found.map(|stretch| stretch.range.clone())
    }

    /// The value of a field.
    pub fn value(&self, bytes: &[u8], depth: u8, name: &str) -> Option<u64> {
        self.field(depth, name).map(|field| value(bytes, field))
    }

    fn name(&mut self, depth: u8, table: Table, at: usize, end: usize) {
        let named = table.iter().map(|&(name, bit, width)| Field { depth, name, at: at * 8 + bit, width });
        self.fields.extend(named.filter(|field| field.at + field.width <= end * 8));
    }

    fn stretch(&mut self, depth: u8, name: &'static str, range: Range<usize>) {
        self.stretches.push(Stretch { depth, name, range });
    }

    fn ipv4(&mut self, bytes: &[u8], there: Range<usize>, depth: u8) {
        let (at, there_end) = (there.start, there.end);
        self.name(depth, IPV4, at, there_end);
        let header_len = bytes.get(at).map_or(0, |first| usize::from(first & 0x0f) * 4);
        let total_len = word(bytes, at + 2);
        if there_end - at < 20 || bytes[at] >> 4 != 4 || header_len < 20 || header_len > there_end - at {
            self.stretch(depth, "data", (at + 20).min(there_end)..there_end);
            return;
        }
        let end = if total_len < header_len { there_end } else { there_end.min(at + total_len) };
        if depth == 0 {
            self.ipv4 = Some(at..end);
        }
        let l4 = at + header_len;
        self.stretch(depth, "ip-options", at + 20..l4);
        let site = |kind, at_checksum, range: Range<usize>, is_whole| Site {
            depth,
            kind,
            at: at_checksum,
            ip_at: at,
            range,
            is_whole,
        };
        let fragment = word(bytes, at + 6);
        let is_whole = at + total_len <= there_end && fragment & 0x2000 == 0;
        let l4_site = match bytes[at + 9] {
            _ if fragment & 0x1fff != 0 => None,
            17 => self.udp(bytes, l4..end, depth).map(|(range, all)| (SiteKind::Udp, 6, range, all)),
            6 => self.tcp(bytes, l4..end, depth).map(|range| (SiteKind::Tcp, 16, range, true)),
            1 => self.icmp(bytes, l4..end, depth).map(|range| (SiteKind::Icmp, 2, range, true)),
            _ => None,
        };
        self.sites.push(site(SiteKind::Ipv4, at + 10, at..l4, true));
        match l4_site {
            Some((kind, offset, range, all)) => {
                self.sites.push(site(kind, l4 + offset, range, all && is_whole));
            }
            None if self.range(depth, "data").is_none() => self.stretch(depth, "data", l4..end),
            None => {}
        }
        self.stretch(depth, "padding", end..there_end);
    }

    /// Returns what the checksum covers, and whether that is all there.
    fn udp(&mut self, bytes: &[u8], there: Range<usize>, depth: u8) -> Option<(Range<usize>, bool)> {
        self.name(depth, UDP, there.start, there.end);
        self.stretch(depth, "data", (there.start + 8).min(there.end)..there.end);
        if there.len() < 8 {
            return None;
        }
        let len = word(bytes, there.start + 4);
        let end = if len < 8 { there.end } else { there.end.min(there.start + len) };
        Some((there.start..end, len >= 8 && len <= there.len()))
    }

    fn tcp(&mut self, bytes: &[u8], there: Range<usize>, depth: u8) -> Option<Range<usize>> {
        self.name(depth, TCP, there.start, there.end);
        let header_len = bytes.get(there.start + 12).map_or(20, |offset| usize::from(offset >> 4) * 4);
        let data = there.end.min(there.start + header_len.max(20));
        self.stretch(depth, "tcp-options", there.end.min(there.start + 20)..data);
        self.stretch(depth, "data", data..there.end);
        (there.len() >= 18).then_some(there)
    }

    fn icmp(&mut self, bytes: &[u8], there: Range<usize>, depth: u8) -> Option<Range<usize>> {
        let kind = bytes.get(there.start).copied().filter(|_| !there.is_empty());
        let table = match kind {
            Some(0 | 8 | 13..=18) => ICMP_QUERY,
            Some(3) => ICMP_UNREACHABLE,
            Some(12) => ICMP_PARAMETER,
            _ => ICMP_OTHER,
        };
        self.name(depth, table, there.start, there.end);
        let body = (there.start + 8).min(there.end)..there.end;
        if depth == 0 && matches!(kind, Some(3 | 4 | 5 | 11 | 12)) && body.len() >= 20 {
            self.ipv4(bytes, body, depth + 1);
            // Rewriting data would break the quote; it is named by its own parts.
            self.stretch(depth, "data", there.end..there.end);
        } else {
            self.stretch(depth, "data", body);
        }
        (there.len() >= 4).then_some(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_written_at_their_bits() {
        let field = Field { depth: 0, name: "frag", at: 3, width: 13 };
        let mut bytes = [0xff, 0xff, 0xff];
        set(&mut bytes, &field, 5);
        assert_eq!(bytes, [0xe0, 0x05, 0xff]);
        assert_eq!(value(&bytes, &field), 5);
    }

    #[test]
    fn eight_bytes_of_tcp_show_ports_and_sequence() {
        let mut packet = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0x0f, 0xa0, 0, 80, 0, 0, 0, 9]);
        let dissection = Dissection::of_packet(&packet);
        assert_eq!(dissection.value(&packet, 0, "sport"), Some(4000));
        assert_eq!(dissection.value(&packet, 0, "seq"), Some(9));
        assert_eq!(dissection.value(&packet, 0, "ack"), None);
        assert_eq!(dissection.sites.iter().map(|site| site.kind).collect::<Vec<_>>(), [SiteKind::Ipv4]);
    }
}
