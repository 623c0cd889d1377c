//! Reading captures: IPv4 packets out of frames of any link that the captures at hand were taken on.

use std::fs::File;
use std::path::Path;

use pcap_file::DataLink;
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};

/// Links whose frames begin with the IP header; tools number "raw IP" in several ways.
const RAW: [DataLink; 3] = [DataLink::RAW, DataLink::IPV4, DataLink::Unknown(12)];
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_VLAN: u16 = 0x8100;

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What its link header says that it carries.
    pub ethertype: u16,
    /// What it carries; without Ethernet's padding if it is IPv4.
    pub packet: Vec<u8>,
}

impl Taken {
    /// Whether it carries IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.ethertype == ETHERTYPE_IPV4
    }
}

/// Reads a capture in pcap format: Ethernet with or without VLAN tags, Linux "cooked", or raw IP.
///
/// # Errors
/// The file and what is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Taken>, String> {
    let of = |why: String| format!("{}: {why}", path.display());
    let file = File::open(path).map_err(|error| of(error.to_string()))?;
    let mut reader = PcapReader::new(file).map_err(|error| of(error.to_string()))?;
    let link = reader.header().datalink;
    let mut taken = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let PcapPacket { timestamp, data, .. } = packet.map_err(|error| of(error.to_string()))?;
        let (ethertype, start) = carried(link, &data).ok_or_else(|| of(format!("link type {link:?}")))?;
        let mut packet = data.get(start..).unwrap_or_default().to_vec();
        if ethertype == ETHERTYPE_IPV4
            && let Some(&[high, low]) = packet.get(2..4).and_then(<[u8]>::first_chunk)
        {
            let total_len = usize::from(u16::from_be_bytes([high, low]));
            packet.truncate(total_len.max(20));
        }
        taken.push(Taken { at_us: timestamp.as_micros() as u64, ethertype, packet });
    }
    Ok(taken)
}

/// What a frame carries, and where that begins; none for a link that is not known here.
fn carried(link: DataLink, frame: &[u8]) -> Option<(u16, usize)> {
    let word = |at: usize| frame.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
    match link {
        DataLink::ETHERNET => {
            let mut at = 12;
            while word(at) == ETHERTYPE_VLAN {
                at += 4;
            }
            Some((word(at), at + 2))
        }
        DataLink::LINUX_SLL => Some((word(14), 16)),
        link if RAW.contains(&link) => {
            let is_ipv4 = frame.first().is_some_and(|first| first >> 4 == 4);
            Some((if is_ipv4 { ETHERTYPE_IPV4 } else { 0x86dd }, 0))
        }
        _ => None,
    }
}

/// Writes IPv4 packets as a capture of raw IP, ten milliseconds apart: for tests that bring their own.
///
/// # Errors
/// The file and what is wrong with it.
pub fn write(path: &Path, packets: &[Vec<u8>]) -> Result<(), String> {
    let of = |why: String| format!("{}: {why}", path.display());
    let file = File::create(path).map_err(|error| of(error.to_string()))?;
    let header = pcap_file::pcap::PcapHeader { datalink: DataLink::RAW, ..Default::default() };
    let mut writer = PcapWriter::with_header(file, header).map_err(|error| of(error.to_string()))?;
    for (n, packet) in packets.iter().enumerate() {
        let at = std::time::Duration::from_millis(1_700_000_000_000 + 10 * n as u64);
        let packet = PcapPacket::new(at, packet.len() as u32, packet);
        writer.write_packet(&packet).map_err(|error| of(error.to_string()))?;
    }
    Ok(())
}
