//! Capture files: pcap and pcapng are read, pcap is written, and folders are searched for both.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{PcapError, TsResolution};
use thiserror::Error;

pub use pcap_file::DataLink;

/// Links whose frames begin with the IP header; tools number "raw IP" in several ways.
const RAW: [DataLink; 3] = [DataLink::RAW, DataLink::IPV4, DataLink::Unknown(12)];
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
/// How the names of capture files end.
const EXTENSIONS: [&str; 3] = ["pcap", "pcapng", "cap"];

/// Why a capture cannot be read or written.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is damaged or not a capture.
    #[error("{path}: not a readable pcap or pcapng file: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: PcapError,
    },
    /// The frames are of a link that the reader does not want.
    #[error("{path}: link type {link:?}")]
    Link {
        /// The file.
        path: PathBuf,
        /// Its link type.
        link: DataLink,
    },
}

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What it was captured on.
    pub link: DataLink,
    /// The frame, from the link's header on.
    pub bytes: Vec<u8>,
}

/// Whether [`Captured::carried`] knows the frames of a link: Ethernet, Linux "cooked", raw IP.
pub fn is_known(link: DataLink) -> bool {
    matches!(link, DataLink::ETHERNET | DataLink::LINUX_SLL) || RAW.contains(&link)
}

impl Captured {
    /// The EtherType of what the frame carries, behind VLAN tags if there are any, and that: without Ethernet's padding if
    /// it is IPv4. None for a link that is not known.
    pub fn carried(&self) -> Option<(u16, &[u8])> {
        let word =
            |at: usize| self.bytes.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
        let (ethertype, start) = match self.link {
            DataLink::ETHERNET => {
                let mut at = 12;
                while word(at) == ETHERTYPE_VLAN {
                    at += 4;
                }
                (word(at), at + 2)
            }
            DataLink::LINUX_SLL => (word(14), 16),
            link if RAW.contains(&link) => {
                let is_ipv4 = self.bytes.first().is_some_and(|first| first >> 4 == 4);
                (if is_ipv4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 }, 0)
            }
            _ => return None,
        };
        let carried = self.bytes.get(start..).unwrap_or_default();
        let is_padded = ethertype == ETHERTYPE_IPV4 && carried.len() >= 4;
        let len = if is_padded { usize::from(word(start + 2)).max(20) } else { carried.len() };
        Some((ethertype, &carried[..len.min(carried.len())]))
    }

    /// The IPv4 packet that the frame carries, if it does.
    pub fn ipv4(&self) -> Option<&[u8]> {
        self.carried().filter(|(ethertype, _)| *ethertype == ETHERTYPE_IPV4).map(|(_, packet)| packet)
    }
}

/// Reads a whole capture, pcap or pcapng, in the order of the file.
///
/// # Errors
/// The file and what is wrong with it: a link that is not wanted, too.
pub fn read(path: &Path, is_wanted: fn(DataLink) -> bool) -> Result<Vec<Captured>, Error> {
    let file_error = |source| Error::File { path: path.into(), source };
    let mut file = File::open(path).map_err(file_error)?;
    let mut magic = [0; 4];
    let is_pcapng = file.read_exact(&mut magic).is_ok() && magic == [0x0a, 0x0d, 0x0d, 0x0a];
    file.rewind().map_err(file_error)?;
    let (reader, own) = (BufReader::new(file), Reading { path, is_wanted });
    if is_pcapng { own.pcapng(reader) } else { own.pcap(reader) }
}

/// A capture that is being read.
struct Reading<'p> {
    path: &'p Path,
    is_wanted: fn(DataLink) -> bool,
}

impl Reading<'_> {
    fn format(&self, source: PcapError) -> Error {
        Error::Format { path: self.path.into(), source }
    }

    fn check(&self, link: DataLink) -> Result<(), Error> {
        if (self.is_wanted)(link) { Ok(()) } else { Err(Error::Link { path: self.path.into(), link }) }
    }

    fn pcap(&self, reader: impl Read) -> Result<Vec<Captured>, Error> {
        let mut reader = PcapReader::new(reader).map_err(|source| self.format(source))?;
        let link = reader.header().datalink;
        self.check(link)?;
        let per_us = if reader.header().ts_resolution == TsResolution::NanoSecond { 1000 } else { 1 };
        let mut frames = Vec::new();
        // Raw packets: times and lengths that contradict the file header are common and harmless.
        while let Some(packet) = reader.next_raw_packet() {
            let packet = packet.map_err(|source| self.format(source))?;
            let at_us = u64::from(packet.ts_sec) * 1_000_000 + u64::from(packet.ts_frac) / per_us;
            frames.push(Captured { at_us, link, bytes: packet.data.into_owned() });
        }
        Ok(frames)
    }

    fn pcapng(&self, reader: impl Read) -> Result<Vec<Captured>, Error> {
        let mut reader = PcapNgReader::new(reader).map_err(|source| self.format(source))?;
        let mut interfaces: Vec<InterfaceDescriptionBlock<'static>> = Vec::new();
        let mut frames: Vec<Captured> = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.map_err(|source| self.format(source))? {
                Block::SectionHeader(_) => interfaces.clear(),
                Block::InterfaceDescription(interface) => interfaces.push(interface.into_owned()),
                Block::EnhancedPacket(packet) => {
                    let unknown = || self.format(PcapError::InvalidInterfaceId(packet.interface_id));
                    let interface = interfaces.get(packet.interface_id as usize).ok_or_else(unknown)?;
                    let link = interface.linktype;
                    self.check(link)?;
                    // The reader hands on the raw count of time units as if they were nanoseconds.
                    let at_us = microseconds(packet.timestamp.as_nanos() as u64, interface);
                    frames.push(Captured { at_us, link, bytes: packet.data.into_owned() });
                }
                Block::SimplePacket(packet) => {
                    let at_us = frames.last().map_or(0, |frame| frame.at_us);
                    // It is of the first interface.
                    let link = interfaces.first().map_or(DataLink::ETHERNET, |first| first.linktype);
                    frames.push(Captured { at_us, link, bytes: packet.data.into_owned() });
                }
                _ => {}
            }
        }
        Ok(frames)
    }
}

/// Converts a time in an interface's units: a power of ten, or with the top bit set a power of two.
fn microseconds(units: u64, interface: &InterfaceDescriptionBlock) -> u64 {
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(exponent) => Some(*exponent),
        _ => None,
    });
    let exponent = resolution.unwrap_or(6);
    let base: u128 = if exponent & 0x80 == 0 { 10 } else { 2 };
    let per_second = base.checked_pow(u32::from(exponent & 0x7f)).unwrap_or(u128::MAX);
    (u128::from(units) * 1_000_000 / per_second) as u64
}

/// A capture that is being written, in pcap format.
pub struct Writer {
    path: PathBuf,
    inner: PcapWriter<BufWriter<File>>,
}

impl Writer {
    /// A new file for frames of this link.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn create(path: &Path, link: DataLink) -> Result<Writer, Error> {
        let file = File::create(path).map_err(|source| Error::File { path: path.into(), source })?;
        let header = PcapHeader { datalink: link, ..PcapHeader::default() };
        let inner = PcapWriter::with_header(BufWriter::new(file), header)
            .map_err(|source| Error::Format { path: path.into(), source })?;
        Ok(Writer { path: path.into(), inner })
    }

    /// Writes a frame that was captured then, in microseconds since 1970.
    ///
    /// # Errors
    /// Why it cannot be written. A full disk may show later, when the file is closed.
    pub fn write(&mut self, at_us: u64, bytes: &[u8]) -> Result<(), Error> {
        let packet = PcapPacket::new(Duration::from_micros(at_us), bytes.len() as u32, bytes);
        let written = self.inner.write_packet(&packet);
        written.map(|_| ()).map_err(|source| Error::Format { path: self.path.clone(), source })
    }
}

/// The captures below a folder, in order of their names.
///
/// # Errors
/// The folder that cannot be read.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.into(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_dir() {
            found.append(&mut below(&path)?);
        } else if EXTENSIONS.contains(&extension.as_str()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The folder of captures of real traffic, which are no part of the project: `PORTICO_CAPTURES` names it. Whoever has none is
/// told so.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTICO_CAPTURES").map(PathBuf::from);
    if folder.is_none() {
        println!("PORTICO_CAPTURES is not set: no captures of real traffic are played");
    }
    folder
}
