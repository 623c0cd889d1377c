//! Internet checksums, computed the plain way from RFC 1071.

use crate::dissect::{Site, SiteKind};

/// One's complement addition of two 16-bit words.
pub fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// The one's complement sum of bytes as 16-bit words; an odd last byte is the high half of a word.
pub fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u16::from(pair[0]) << 8 | u16::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).fold(0, add)
}

/// What a site's checksum covers, summed: pseudo header and bytes, but not the checksum itself.
fn covered(bytes: &[u8], site: &Site) -> u16 {
    let mut copy = bytes[site.range.clone()].to_vec();
    let at = site.at - site.range.start;
    copy[at..at + 2].fill(0);
    let ip = site.ip_at;
    let pseudo = match site.kind {
        SiteKind::Ipv4 | SiteKind::Icmp => 0,
        SiteKind::Udp | SiteKind::Tcp => {
            let len = copy.len() as u16;
            [sum(&bytes[ip + 12..ip + 20]), u16::from(bytes[ip + 9]), len].into_iter().fold(0, add)
        }
    };
    add(pseudo, sum(&copy))
}

fn stored(bytes: &[u8], site: &Site) -> u16 {
    u16::from_be_bytes([bytes[site.at], bytes[site.at + 1]])
}

/// A UDP checksum that computes to zero is sent as ones: zero says that there is none (RFC 768).
fn as_sent(site: &Site, value: u16) -> u16 {
    if site.kind == SiteKind::Udp && value == 0 { 0xffff } else { value }
}

/// The checksum a site should have.
pub fn correct(bytes: &[u8], site: &Site) -> u16 {
    as_sent(site, !covered(bytes, site))
}

/// Whether a site's checksum is right, or there is rightly none.
pub fn is_correct(bytes: &[u8], site: &Site) -> bool {
    let stored = stored(bytes, site);
    stored == correct(bytes, site) || (site.kind == SiteKind::Udp && stored == 0)
}

fn store(bytes: &mut [u8], site: &Site, value: u16) {
    bytes[site.at..site.at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes every checksum of a new packet. Sites come inner ones first.
pub fn seal(bytes: &mut [u8], sites: &[Site]) {
    for site in sites {
        let value = correct(bytes, site);
        store(bytes, site, value);
    }
}

/// Writes every checksum of a packet that was edited: what was right is right again, what was none stays none,
/// what was wrong or cannot be verified stays off by as much as it was.
pub fn reseal(bytes: &mut [u8], sites: &[Site], before: &[u8], sites_before: &[Site]) {
    for site in sites {
        let Some(old) = sites_before.iter().find(|old| (old.depth, old.kind) == (site.depth, site.kind))
        else {
            continue;
        };
        let was = stored(before, old);
        let value = if site.kind == SiteKind::Udp && was == 0 {
            0
        } else if old.is_whole && is_correct(before, old) {
            correct(bytes, site)
        } else {
            let change = add(!covered(before, old), covered(bytes, site));
            as_sent(site, !add(!was, change))
        };
        store(bytes, site, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn an_odd_byte_is_the_high_half_of_a_word() {
        assert_eq!(sum(&[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
        assert_eq!(add(0xffff, 0x0001), 0x0001);
    }
}
