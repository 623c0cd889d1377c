//! Captures as the player takes them: what their frames carry.

use std::path::Path;

use capture_file::{DataLink, Writer, is_known};

const ETHERTYPE_IPV4: u16 = 0x0800;
/// When captures begin that tests write, in microseconds since 1970.
const START_US: u64 = 1_700_000_000_000_000;

/// What one captured frame carries.
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

/// Reads a capture of any link that is known.
///
/// # Errors
/// The file and what is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Taken>, String> {
    let frames = capture_file::read(path, is_known).map_err(|error| error.to_string())?;
    let taken = frames.iter().filter_map(|frame| {
        let (ethertype, packet) = frame.carried()?;
        Some(Taken { at_us: frame.at_us, ethertype, packet: packet.to_vec() })
    });
    Ok(taken.collect())
}

/// Writes packets as a capture, of raw IP or as frames, ten milliseconds apart: for tests that bring their own.
///
/// # Errors
/// The file and what is wrong with it.
pub fn write(path: &Path, link: DataLink, packets: &[Vec<u8>]) -> Result<(), String> {
    let mut writer = Writer::create(path, link).map_err(|error| error.to_string())?;
    for (n, packet) in packets.iter().enumerate() {
        let at_us = START_US + 10_000 * n as u64;
        writer.write(at_us, packet).map_err(|error| error.to_string())?;
    }
    Ok(())
}
