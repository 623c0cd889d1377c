use std::fmt;
use std::ptr::NonNull;

/// Where packet buffers come from and go back to: one static value per kind of buffer.
pub struct Source {
    /// Gives one buffer back to its pool. Called exactly once per packet, from any thread.
    pub release: unsafe fn(handle: NonNull<()>),
}

/// One frame in one contiguous buffer, with room to grow at both ends.
///
/// A packet owns its buffer: dropping the packet returns the buffer to its pool, so that no path through the
/// code can leak one. A port that hands the buffer to hardware takes it out with [`Packet::into_raw`].
///
/// Invariant: `headroom` bytes before `data`, `len` bytes from it, and `tailroom` bytes after those are one
/// live allocation that nothing else reads or writes until the packet is dropped or taken apart.
pub struct Packet {
    data: NonNull<u8>,
    handle: NonNull<()>,
    source: &'static Source,
    len: u16,
    headroom: u16,
    tailroom: u16,
    port: u16,
}

const _: () = assert!(size_of::<Packet>() == 32, "two packets share a cache line");

/// A packet taken apart, as a port gives and takes it.
pub struct RawPacket {
    /// First byte of the frame.
    pub data: NonNull<u8>,
    /// What the buffer's [`Source`] knows it by: an mbuf, a slab slot.
    pub handle: NonNull<()>,
    /// Frame length in bytes.
    pub len: u16,
    /// Free bytes before the frame.
    pub headroom: u16,
    /// Free bytes after the frame.
    pub tailroom: u16,
    /// Index of the port the frame was received on.
    pub port: u16,
}

// SAFETY: a packet is the only owner of its buffer, and `Source::release` may be called from any thread.
unsafe impl Send for Packet {}

impl Packet {
    /// Makes a packet of a buffer.
    ///
    /// # Safety
    /// The invariant of [`Packet`] must hold for `raw`, and `source.release(raw.handle)` must be valid to call
    /// once when the packet is dropped.
    #[inline]
    pub unsafe fn from_raw(raw: RawPacket, source: &'static Source) -> Packet {
        let RawPacket { data, handle, len, headroom, tailroom, port } = raw;
        Packet { data, handle, source, len, headroom, tailroom, port }
    }

    /// Takes the packet apart without releasing its buffer: the caller owns the buffer from here on.
    #[inline]
    pub fn into_raw(self) -> RawPacket {
        let raw = RawPacket {
            data: self.data,
            handle: self.handle,
            len: self.len,
            headroom: self.headroom,
            tailroom: self.tailroom,
            port: self.port,
        };
        std::mem::forget(self);
        raw
    }

    /// The kind of buffer this packet lives in; a port compares it with its own.
    #[inline]
    pub fn source(&self) -> &'static Source {
        self.source
    }

    /// What the [`Source`] knows the buffer by. The packet keeps owning it.
    #[inline]
    pub fn handle(&self) -> NonNull<()> {
        self.handle
    }

    /// The frame.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: by the invariant, `len` bytes from `data` are live and ours.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), usize::from(self.len)) }
    }

    /// The frame, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant, `len` bytes from `data` are live and ours, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), usize::from(self.len)) }
    }

    /// Frame length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether the frame has no byte at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Index of the port the frame was received on.
    #[inline]
    pub fn port(&self) -> usize {
        usize::from(self.port)
    }

    /// Free bytes before the frame.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.headroom)
    }

    /// Free bytes after the frame.
    #[inline]
    pub fn tailroom(&self) -> usize {
        usize::from(self.tailroom)
    }

    /// Moves the frame's start by `delta` bytes: forward (positive) drops bytes, backward opens room whose
    /// content is undefined but initialised. Returns false, changing nothing, where there is no such room.
    #[inline]
    #[must_use]
    pub fn shift_front(&mut self, delta: isize) -> bool {
        let headroom = self.headroom() as isize + delta;
        let len = self.len() as isize - delta;
        let (Ok(headroom), Ok(len)) = (u16::try_from(headroom), u16::try_from(len)) else { return false };
        // SAFETY: both bounds were checked: the new start lies between the buffer's start and the frame's end.
        self.data = unsafe { self.data.offset(delta) };
        (self.headroom, self.len) = (headroom, len);
        true
    }

    /// Sets the frame's length, growing into the tail room or cutting the end off. Returns false, changing
    /// nothing, where there is no such room.
    #[inline]
    #[must_use]
    pub fn resize(&mut self, len: usize) -> bool {
        let capacity = self.len() + self.tailroom();
        if len > capacity || len > usize::from(u16::MAX) {
            return false;
        }
        (self.len, self.tailroom) = (len as u16, (capacity - len) as u16);
        true
    }

    /// Makes these bytes the frame. Returns false, changing nothing, where there is no room for them.
    #[must_use]
    pub fn fill(&mut self, frame: &[u8]) -> bool {
        let has_room = self.resize(frame.len());
        if has_room {
            self.bytes_mut().copy_from_slice(frame);
        }
        has_room
    }
}

impl Drop for Packet {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `from_raw` promised that the handle may be released once, and a packet is dropped once.
        unsafe { (self.source.release)(self.handle) }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet(port {}, {} bytes)", self.port, self.len)
    }
}
