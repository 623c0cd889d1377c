//! Ports: where frames come from and go to. The path sees this trait and never what is behind it.

pub mod device;
pub mod memory;
pub mod pcap;

use arrayvec::ArrayVec;
use mem::Packet;

/// Frames taken from a port in one go: so many that what a burst costs beside its packets hardly shows, and so few
/// that all their lines stay in the nearest cache.
pub const BURST: usize = 64;

/// Packets on their way between a port and the path.
pub type Burst = ArrayVec<Packet, BURST>;

/// The ports of one worker, in the order of port indexes.
pub type Ports = Vec<Box<dyn Port>>;

/// One queue pair of one device, owned by one worker.
pub trait Port: Send {
    /// Appends received frames to `burst`, as many as are waiting and fit. Never blocks. Each packet carries
    /// this port's index, given when the port was made.
    fn receive(&mut self, burst: &mut Burst);

    /// Takes frames from the front of `burst` and sends them. What the device has no room for stays in
    /// `burst`; the worker counts and drops it.
    fn transmit(&mut self, burst: &mut Burst);

    /// An empty packet with head room, for a frame that Portico makes itself; none when buffers ran out.
    fn allocate(&mut self) -> Option<Packet>;

    /// Whether the link is up.
    fn is_up(&self) -> bool {
        true
    }
}
