use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use crate::packet::{Packet, RawPacket, Source};

/// Bytes kept free before a new frame.
const HEADROOM: usize = 128;

/// A fixed number of packet buffers in ordinary memory, for ports without DPDK.
///
/// Cloning gives another handle to the same buffers. The memory lives until the last handle and the last
/// packet are gone.
#[derive(Clone)]
pub struct Slab {
    free: Arc<FreeList>,
}

type FreeList = ArrayQueue<Box<Slot>>;

/// A buffer and, while a packet is made of it, the list it returns to.
struct Slot {
    home: Option<Arc<FreeList>>,
    bytes: Box<[u8]>,
}

static SOURCE: Source = Source { release: release_slot };

/// Returns the slot behind `handle` to its list.
///
/// # Safety
/// `handle` must come from [`Slab::allocate`] and must not be used again.
unsafe fn release_slot(handle: NonNull<()>) {
    // SAFETY: `allocate` made the handle with `Box::into_raw` from a `Box<Slot>`.
    let mut slot = unsafe { Box::from_raw(handle.cast::<Slot>().as_ptr()) };
    if let Some(home) = slot.home.take() {
        // The list was made as large as the number of slots, so there is always room.
        let _ = home.push(slot);
    }
}

impl Slab {
    /// A slab of `count` buffers for frames of at most `frame_bytes_max` bytes (below 65,400).
    pub fn new(count: usize, frame_bytes_max: usize) -> Slab {
        let bytes = (HEADROOM + frame_bytes_max).min(usize::from(u16::MAX));
        let free = ArrayQueue::new(count.max(1));
        for _ in 0..count {
            let _ = free.push(Box::new(Slot { home: None, bytes: vec![0; bytes].into_boxed_slice() }));
        }
        Slab { free: Arc::new(free) }
    }

    /// Buffers not in use.
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// An empty packet as if received on `port`, or nothing when every buffer is in use.
    pub fn allocate(&self, port: usize) -> Option<Packet> {
        let mut slot = self.free.pop()?;
        slot.home = Some(Arc::clone(&self.free));
        let slot = Box::leak(slot);
        let room = slot.bytes.len() - HEADROOM;
        // SAFETY: every buffer is at least HEADROOM bytes long.
        let data = unsafe { NonNull::from(&mut *slot.bytes).cast::<u8>().add(HEADROOM) };
        let raw = RawPacket {
            data,
            handle: NonNull::from(slot).cast(),
            len: 0,
            headroom: HEADROOM as u16,
            tailroom: room as u16,
            port: port as u16,
        };
        // SAFETY: the slot belongs to this packet alone until `release_slot`, and the room adds up to its size.
        Some(unsafe { Packet::from_raw(raw, &SOURCE) })
    }

    /// A packet holding a copy of `frame`, or nothing when it is too long or every buffer is in use.
    pub fn copy_of(&self, frame: &[u8], port: usize) -> Option<Packet> {
        let mut packet = self.allocate(port)?;
        if !packet.resize(frame.len()) {
            return None;
        }
        packet.bytes_mut().copy_from_slice(frame);
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_run_out() {
        let slab = Slab::new(2, 1514);
        let first = slab.copy_of(b"first", 3).unwrap();
        let second = slab.copy_of(b"second", 4).unwrap();
        assert!(slab.allocate(0).is_none());
        assert_eq!((first.bytes(), first.port()), (&b"first"[..], 3));
        drop(first);
        assert_eq!(slab.available(), 1);
        assert_eq!(second.bytes(), b"second");
    }

    #[test]
    fn a_packet_outlives_its_slab() {
        let slab = Slab::new(1, 1514);
        let mut packet = slab.copy_of(b"abc", 0).unwrap();
        drop(slab);
        packet.bytes_mut()[0] = b'x';
        assert_eq!(packet.bytes(), b"xbc");
    }

    #[test]
    fn room_is_checked_at_both_ends() {
        let slab = Slab::new(1, 1514);
        let mut packet = slab.copy_of(b"abcdef", 0).unwrap();
        assert!(packet.shift_front(2));
        assert_eq!(packet.bytes(), b"cdef");
        assert!(!packet.shift_front(5), "cannot drop more than there is");
        assert!(packet.shift_front(-2));
        assert_eq!(packet.bytes(), b"abcdef");
        assert!(packet.shift_front(-(HEADROOM as isize)));
        assert!(!packet.shift_front(-1), "no room before the buffer");
        let capacity = packet.len() + packet.tailroom();
        assert!(packet.resize(capacity) && !packet.resize(capacity + 1));
    }
}
