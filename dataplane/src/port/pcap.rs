//! A port on capture files: frames come from one file and go to another, on the captures' own clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use capture_file::{DataLink, Writer};
use mem::{Packet, Slab};
use thiserror::Error;

use super::{Burst, Port};

/// The longest frame a capture may hold, in bytes: offloading makes them longer than any wire does.
const FRAME_BYTES_MAX: usize = 65_000;
/// Buffers of one port: more than a round can hold on to.
const BUFFER_COUNT: usize = 1024;

/// Why a capture cannot be played.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(capture_file::Error),
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

/// Reads a whole capture of Ethernet, pcap or pcapng, in the order of the file.
pub fn read_capture(path: &Path) -> Result<Vec<Frame>, CaptureError> {
    let frames = capture_file::read(path, |link| link == DataLink::ETHERNET)?;
    match frames.iter().map(|frame| frame.bytes.len()).find(|&len| len > FRAME_BYTES_MAX) {
        Some(len) => Err(CaptureError::TooLong { path: path.into(), len }),
        None => {
            Ok(frames.into_iter().map(|frame| Frame { at_us: frame.at_us, bytes: frame.bytes }).collect())
        }
    }
}

impl From<capture_file::Error> for CaptureError {
    fn from(error: capture_file::Error) -> CaptureError {
        match error {
            capture_file::Error::Link { path, link } => CaptureError::NotEthernet { path, link },
            other => CaptureError::File(other),
        }
    }
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
    output: Writer,
}

impl PcapPort {
    /// Port number `index`, fed with `frames` and writing to a new file at `output`.
    pub fn new(
        index: usize,
        clock: CaptureClock,
        frames: Vec<Frame>,
        output: &Path,
    ) -> Result<PcapPort, CaptureError> {
        let output = Writer::create(output, DataLink::ETHERNET)?;
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
        for packet in burst.drain(..) {
            // A full disk shows when the file is closed; the path has no use for it.
            let _ = self.output.write(self.clock.now_us(), packet.bytes());
        }
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.slab.allocate(self.index)
    }
}
