use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io};

use dataplane::port::{BURST, Burst};
use dpdk_sys::{RTE_PKTMBUF_HEADROOM, rte_mempool};
use mem::Packet;

use crate::mbuf;
use crate::{DpdkError, Eal};

/// Bytes of a buffer: head room, and a full frame with its tags and room to grow.
const BUFFER_BYTES: usize = RTE_PKTMBUF_HEADROOM as usize + 2176;
/// Bytes that a buffer takes with its mbuf, the mempool's own header and its place on the free list.
const ELEMENT_BYTES: usize = BUFFER_BYTES + 256;
/// The same without huge pages: no buffer may cross a page, so each takes a page of its own.
const ELEMENT_BYTES_SMALL_PAGES: usize = 4096 + 64;
/// Buffers that each thread keeps to itself.
const CACHE_SIZE: usize = 256;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A worker's packet buffers. Cheap to clone; the buffers live as long as the process. A buffer may be
/// released on any thread.
#[derive(Clone, Debug)]
pub struct Mempool {
    pool: NonNull<rte_mempool>,
    count: usize,
}

// SAFETY: a mempool may be used by any number of threads at once; its caches are per registered thread.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// A mempool of `count` buffers, in the memory next to the worker's `core` where there is any.
    ///
    /// # Errors
    /// When DPDK's memory is too small.
    pub fn create(eal: Eal, count: usize, core: Option<usize>) -> Result<Mempool, DpdkError> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("worker{number}")).expect("no zero byte");
        let cache = CACHE_SIZE.min(count / 4);
        let create = |socket| {
            // SAFETY: EAL is started and the name is a C string.
            NonNull::new(unsafe {
                let (count, cache) = (count as u32, cache as u32);
                dpdk_sys::rte_pktmbuf_pool_create(name.as_ptr(), count, cache, 0, BUFFER_BYTES as u16, socket)
            })
        };
        let near = core.and_then(numa_node).and_then(create);
        match near.or_else(|| create(dpdk_sys::shim_socket_any)) {
            Some(pool) => Ok(Mempool { pool, count }),
            None => {
                // SAFETY: reads a variable of the calling thread.
                let cause = io::Error::from_raw_os_error(unsafe { dpdk_sys::shim_errno() });
                Err(DpdkError::Mempool { count, mib: (count * element_bytes(eal)) >> 20, cause })
            }
        }
    }

    /// How many buffers each of `workers` mempools can have: together they take three quarters of EAL's memory,
    /// as queues and DPDK itself need some.
    pub fn count_for(eal: Eal, workers: usize) -> usize {
        (eal.memory_mib << 20) / 4 * 3 / element_bytes(eal) / workers.max(1)
    }

    /// Buffers in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Buffers not in use. Walks every thread's cache: not for the packet path.
    pub fn available(&self) -> usize {
        // SAFETY: the mempool lives as long as the process.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.pool.as_ptr()) as usize }
    }

    /// An empty packet with head room, as if received on the port of that index.
    #[inline]
    pub(crate) fn allocate(&self, port: u16) -> Option<Packet> {
        // SAFETY: the mempool lives as long as the process; a fresh mbuf is plain and ours.
        unsafe {
            let fresh = NonNull::new(dpdk_sys::shim_allocate(self.pool.as_ptr()))?;
            Some(mbuf::into_packet(fresh, port))
        }
    }

    /// Appends `count` empty packets to `burst`, as far as it has room; none when there are fewer buffers.
    #[inline]
    pub(crate) fn allocate_burst(&self, port: u16, burst: &mut Burst, count: usize) {
        let mut mbufs = [ptr::null_mut(); BURST];
        let count = count.min(burst.remaining_capacity());
        // SAFETY: the mempool lives as long as the process, and the array has the room.
        if !unsafe { dpdk_sys::shim_allocate_bulk(self.pool.as_ptr(), mbufs.as_mut_ptr(), count as u16) } {
            return;
        }
        for &mbuf in &mbufs[..count] {
            // SAFETY: all of them were allocated; fresh mbufs are plain and ours.
            burst.push(unsafe { mbuf::into_packet(NonNull::new_unchecked(mbuf), port) });
        }
    }

    /// A packet holding a copy of `packet`, if there is a buffer and it is long enough.
    pub(crate) fn copy_of(&self, packet: &Packet) -> Option<Packet> {
        let mut copy = self.allocate(packet.port() as u16)?;
        // A frame that grew into its head room needs the copy's as well.
        let excess = packet.len().saturating_sub(copy.tailroom());
        if !copy.shift_front(-(excess as isize)) || !copy.resize(packet.len()) {
            return None;
        }
        copy.bytes_mut().copy_from_slice(packet.bytes());
        Some(copy)
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }
}

fn element_bytes(eal: Eal) -> usize {
    if eal.hugepages { ELEMENT_BYTES } else { ELEMENT_BYTES_SMALL_PAGES }
}

/// The NUMA node of a core.
fn numa_node(core: usize) -> Option<i32> {
    let directory = fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")).ok()?;
    directory.flatten().find_map(|entry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok())
}
