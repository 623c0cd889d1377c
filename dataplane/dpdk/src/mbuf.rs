//! Between DPDK's mbufs and [`Packet`]s. Everything read and written here lies in an mbuf's first cache line.

use std::ptr::{self, NonNull};

use dpdk_sys::rte_mbuf;
use mem::{Packet, RawPacket, Source};

/// Packets whose handle is an mbuf.
static MBUFS: Source = Source { release };

/// # Safety
/// `handle` must be an mbuf that is not used again.
unsafe fn release(handle: NonNull<()>) {
    // SAFETY: the caller gives the mbuf up, and its mempool lives as long as the process.
    unsafe { dpdk_sys::shim_free(handle.cast().as_ptr()) }
}

/// The field of type `T` at one of the `shim_at_` offsets.
///
/// # Safety
/// `mbuf` must be live, and `T` the type of the field at `offset`.
#[inline(always)]
unsafe fn field<T>(mbuf: NonNull<rte_mbuf>, offset: usize) -> *mut T {
    // SAFETY: the offset lies inside the mbuf.
    unsafe { mbuf.as_ptr().byte_add(offset).cast() }
}

/// Whether the mbuf is one contiguous buffer that nobody else refers to.
///
/// # Safety
/// `mbuf` must be live.
#[inline(always)]
pub(crate) unsafe fn is_plain(mbuf: NonNull<rte_mbuf>) -> bool {
    // SAFETY: both fields are u16 and set in every mbuf that a driver hands out.
    unsafe {
        *field::<u16>(mbuf, dpdk_sys::shim_at_nb_segs) == 1
            && *field::<u16>(mbuf, dpdk_sys::shim_at_refcnt) == 1
    }
}

/// Makes a packet of an mbuf.
///
/// # Safety
/// `mbuf` must be live, plain (see [`is_plain`]), and owned by the caller, who gives it up.
#[inline(always)]
pub(crate) unsafe fn into_packet(mbuf: NonNull<rte_mbuf>, port: u16) -> Packet {
    // SAFETY: a live mbuf has these fields, and `data_off` plus `data_len` stay within `buf_len`, so the room
    // at both ends is in the buffer; being plain, it is the buffer's only user.
    unsafe {
        let headroom = *field::<u16>(mbuf, dpdk_sys::shim_at_data_off);
        let len = *field::<u16>(mbuf, dpdk_sys::shim_at_data_len);
        let buffer_bytes = *field::<u16>(mbuf, dpdk_sys::shim_at_buf_len);
        let buffer = *field::<*mut u8>(mbuf, dpdk_sys::shim_at_buf_addr);
        let data = NonNull::new_unchecked(buffer.add(usize::from(headroom)));
        let tailroom = buffer_bytes.wrapping_sub(headroom).wrapping_sub(len);
        let raw = RawPacket { data, handle: mbuf.cast(), len, headroom, tailroom, port };
        Packet::from_raw(raw, &MBUFS)
    }
}

/// Whether the packet is an mbuf.
#[inline(always)]
pub(crate) fn is_mbuf(packet: &Packet) -> bool {
    ptr::eq(packet.source(), &MBUFS)
}

/// Writes the packet's place and length into its mbuf, which must be one, and returns the mbuf. The packet
/// still owns it.
#[inline(always)]
pub(crate) fn update(packet: &mut Packet) -> *mut rte_mbuf {
    debug_assert!(is_mbuf(packet));
    let mbuf = packet.handle().cast::<rte_mbuf>();
    // SAFETY: an mbuf packet's handle is its live mbuf, borrowed mutably with the packet; headroom and length
    // come from u16 and still describe the same buffer.
    unsafe {
        *field::<u16>(mbuf, dpdk_sys::shim_at_data_off) = packet.headroom() as u16;
        *field::<u16>(mbuf, dpdk_sys::shim_at_data_len) = packet.len() as u16;
        *field::<u32>(mbuf, dpdk_sys::shim_at_pkt_len) = packet.len() as u32;
    }
    mbuf.as_ptr()
}
