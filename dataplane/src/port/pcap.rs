//! A port on capture files: frames come from one file and go to another, on the captures' own clock.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mem::{Packet, Slab};
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};
use thiserror::Error;

use super::{Burst, Port};

/// The longest frame a capture may hold, in bytes: offloading makes them longer than any wire does.
const FRAME_BYTES_MAX: usize = 65_000;
/// Buffers of one port: more than a round can hold on to.
const BUFFER_COUNT: usize = 1024;

/// Why a capture cannot be played.
#[derive(Debug, Error)]
pub enum CaptureError {
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
    /// The frames are not Ethernet.
    #[error("{path}: link type {link:?}, but only Ethernet captures can be played; convert it first")]
    NotEthernet {
        /// The file.
        path: PathBuf,
        /// Its link type.
        link: DataLink,
    },
    /// A frame is longer than any buffer.
    #[error("{path}: a frame of {len} bytes, but at most {FRAME_BYTES_MAX} can be played")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The frame's length in bytes.
        len: usize,
    },
}

/// A frame with the time it was captured at, in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Time of capture.
    pub at_us: u64,
    /// The frame from its Ethernet header on.
    pub bytes: Vec<u8>,
}

/// Reads a whole capture, pcap or pcapng, in the order of the file.
pub fn read_capture(path: &Path) -> Result<Vec<Frame>, CaptureError> {
    let file_error = |source| CaptureError::File { path: path.into(), source };
    let mut file = File::open(path).map_err(file_error)?;
    let mut magic = [0; 4];
    let is_pcapng = file.read_exact(&mut magic).is_ok() && magic == [0x0a, 0x0d, 0x0d, 0x0a];
    file.rewind().map_err(file_error)?;
    let reader = BufReader::new(file);
    let frames = if is_pcapng { read_pcapng(reader, path) } else { read_pcap(reader, path) }?;
    match frames.iter().map(|frame| frame.bytes.len()).find(|&len| len > FRAME_BYTES_MAX) {
        Some(len) => Err(CaptureError::TooLong { path: path.into(), len }),
        None => Ok(frames),
    }
}

fn check_link(link: DataLink, path: &Path) -> Result<(), CaptureError> {
    if link == DataLink::ETHERNET {
        Ok(())
    } else {
        Err(CaptureError::NotEthernet { path: path.into(), link })
    }
}

fn read_pcap(reader: impl Read, path: &Path) -> Result<Vec<Frame>, CaptureError> {
    let format = |source| CaptureError::Format { path: path.into(), source };
    let mut reader = PcapReader::new(reader).map_err(format)?;
    check_link(reader.header().datalink, path)?;
    let per_us = if reader.header().ts_resolution == TsResolution::NanoSecond { 1000 } else { 1 };
    let mut frames = Vec::new();
    // Raw packets: times and lengths that contradict the file header are common and harmless.
    while let Some(packet) = reader.next_raw_packet() {
        let packet = packet.map_err(format)?;
        let at_us = u64::from(packet.ts_sec) * 1_000_000 + u64::from(packet.ts_frac) / per_us;
        frames.push(Frame { at_us, bytes: packet.data.into_owned() });
    }
    Ok(frames)
}

fn read_pcapng(reader: impl Read, path: &Path) -> Result<Vec<Frame>, CaptureError> {
    let format = |source| CaptureError::Format { path: path.into(), source };
    let mut reader = PcapNgReader::new(reader).map_err(format)?;
    let mut interfaces: Vec<InterfaceDescriptionBlock<'static>> = Vec::new();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.map_err(format)? {
            Block::SectionHeader(_) => interfaces.clear(),
            Block::InterfaceDescription(interface) => interfaces.push(interface.into_owned()),
            Block::EnhancedPacket(packet) => {
                let unknown = || format(PcapError::InvalidInterfaceId(packet.interface_id));
                let interface = interfaces.get(packet.interface_id as usize).ok_or_else(unknown)?;
                check_link(interface.linktype, path)?;
                // The reader hands on the raw count of time units as if they were nanoseconds.
                let at_us = microseconds(packet.timestamp.as_nanos() as u64, interface);
                frames.push(Frame { at_us, bytes: packet.data.into_owned() });
            }
            Block::SimplePacket(packet) => {
                let at_us = frames.last().map_or(0, |frame: &Frame| frame.at_us);
                frames.push(Frame { at_us, bytes: packet.data.into_owned() });
            }
            _ => {}
        }
    }
    Ok(frames)
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

/// The time that all pcap ports of a replay agree on, in microseconds since 1970.
#[derive(Clone, Default)]
pub struct CaptureClock(Arc<AtomicU64>);

impl CaptureClock {
    /// The time now.
    pub fn now_us(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Moves the clock.
    pub fn set_us(&self, at_us: u64) {
        self.0.store(at_us, Relaxed);
    }
}

/// A port that receives a capture's frames when their time has come, and writes what is sent to a file.
pub struct PcapPort {
    index: usize,
    clock: CaptureClock,
    slab: Slab,
    frames: std::iter::Peekable<std::vec::IntoIter<Frame>>,
    output: PcapWriter<BufWriter<File>>,
}

impl PcapPort {
    /// Port number `index`, fed with `frames` and writing to a new file at `output`.
    pub fn new(
        index: usize,
        clock: CaptureClock,
        frames: Vec<Frame>,
        output: &Path,
    ) -> Result<PcapPort, CaptureError> {
        let file =
            File::create(output).map_err(|source| CaptureError::File { path: output.into(), source })?;
        let output = PcapWriter::new(BufWriter::new(file))
            .map_err(|source| CaptureError::Format { path: output.into(), source })?;
        let slab = Slab::new(BUFFER_COUNT, FRAME_BYTES_MAX);
        Ok(PcapPort { index, clock, slab, frames: frames.into_iter().peekable(), output })
    }
}

impl Port for PcapPort {
    fn receive(&mut self, burst: &mut Burst) {
        let now_us = self.clock.now_us();
        while !burst.is_full()
            && let Some(frame) = self.frames.next_if(|frame| frame.at_us <= now_us)
            && let Some(packet) = self.slab.copy_of(&frame.bytes, self.index)
        {
            burst.push(packet);
        }
    }

    fn transmit(&mut self, burst: &mut Burst) {
        let at = Duration::from_micros(self.clock.now_us());
        for packet in burst.drain(..) {
            let frame = PcapPacket::new(at, packet.len() as u32, packet.bytes());
            // A full disk shows when the file is closed; the path has no use for it.
            let _ = self.output.write_packet(&frame);
        }
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.slab.allocate(self.index)
    }
}
