use std::mem::forget;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataplane::port::{BURST, Burst, Port};
use dpdk_sys::rte_mbuf;
use mem::{Packet, prefetch};

use crate::device::{Device, Driver, Opened};
use crate::{Mempool, mbuf};

/// One queue pair of a device. The device stays open until its last port is dropped.
pub struct DpdkPort {
    device: Arc<Opened>,
    queue: u16,
    index: u16,
    mempool: Mempool,
    /// Empty packets for the next frames of a kernel interface, each as long as its buffer.
    empty: Burst,
}

impl Device {
    /// The port for a queue pair, to be used by one worker. Its packets carry `index` as the port that they came from, and
    /// their buffers are from `mempool`. None if there is no such queue, or if another port has it.
    pub fn queue(&self, queue: usize, mempool: &Mempool, index: usize) -> Option<DpdkPort> {
        let taken = self.opened.queues_taken.get(queue)?;
        let index = u16::try_from(index).ok()?;
        if taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let device = Arc::clone(&self.opened);
        Some(DpdkPort { device, queue: queue as u16, index, mempool: mempool.clone(), empty: Burst::new() })
    }
}

impl Port for DpdkPort {
    #[inline]
    fn receive(&mut self, burst: &mut Burst) {
        let device = match &self.device.driver {
            Driver::Dpdk(probed) => probed,
            Driver::Kernel(interface) => {
                fill(&mut self.empty, &self.mempool, self.index);
                return interface.receive(self.queue, &mut self.empty, burst);
            }
        };
        let mut mbufs = [ptr::null_mut(); BURST];
        let room = burst.remaining_capacity() as u16;
        // SAFETY: the device is started and this port is the queue's only user; the array has the room.
        let count = unsafe { dpdk_sys::shim_receive(device.port, self.queue, mbufs.as_mut_ptr(), room) };
        for &mbuf in &mbufs[..usize::from(count)] {
            // SAFETY: drivers return live mbufs and give them up.
            let mbuf = unsafe { NonNull::new_unchecked(mbuf) };
            // SAFETY: as above.
            if unsafe { mbuf::is_plain(mbuf) } {
                // SAFETY: it is plain, live and ours.
                let packet = unsafe { mbuf::into_packet(mbuf, self.index) };
                prefetch(packet.bytes());
                burst.push(packet);
            } else if let Some(packet) = self.linearise(mbuf) {
                burst.push(packet);
            } else {
                device.count_unusable();
            }
        }
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst) {
        let device = match &self.device.driver {
            Driver::Dpdk(probed) => probed,
            Driver::Kernel(interface) => return interface.transmit(self.queue, burst),
        };
        let mut mbufs = [ptr::null_mut(); BURST];
        let mut count = 0;
        for packet in burst.iter_mut() {
            if !mbuf::is_mbuf(packet) {
                let Some(copy) = self.mempool.copy_of(packet) else { break };
                *packet = copy;
            }
            mbufs[count] = mbuf::update(packet);
            count += 1;
        }
        if count == 0 {
            return;
        }
        // SAFETY: the device is started and this port is the queue's only user; the first `count` mbufs are
        // live, and those sent are forgotten below.
        let sent =
            unsafe { dpdk_sys::shim_transmit(device.port, self.queue, mbufs.as_mut_ptr(), count as u16) };
        burst.drain(..usize::from(sent)).for_each(forget);
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.mempool.allocate(self.index)
    }

    fn is_up(&self) -> bool {
        self.device.link_is_up()
    }
}

impl DpdkPort {
    /// Appends `count` empty packets to `burst`, as far as it has room; none when there are fewer buffers.
    #[inline]
    pub fn allocate_burst(&mut self, burst: &mut Burst, count: usize) {
        self.mempool.allocate_burst(self.index, burst, count);
    }

    /// Empties `burst` and gives all its buffers back in one call. Dropping the packets takes a call for each.
    #[inline]
    pub fn release_burst(&mut self, burst: &mut Burst) {
        let mut mbufs = [ptr::null_mut(); BURST];
        let mut count = 0;
        for packet in burst.drain(..).filter(mbuf::is_mbuf) {
            mbufs[count] = packet.into_raw().handle.cast::<rte_mbuf>().as_ptr();
            count += 1;
        }
        // SAFETY: the first `count` mbufs are live, and their packets were taken apart.
        unsafe { dpdk_sys::rte_pktmbuf_free_bulk(mbufs.as_mut_ptr(), count as u32) }
    }

    /// Copies a frame in several segments, or one whose buffer is shared, into a buffer of its own. Such
    /// frames are not asked for, but some virtual devices yield them.
    #[cold]
    fn linearise(&self, mbuf: NonNull<rte_mbuf>) -> Option<Packet> {
        // SAFETY: the mbuf is live and ours, is read by the copy and then freed.
        let copy = unsafe {
            let copy = dpdk_sys::rte_pktmbuf_copy(mbuf.as_ptr(), self.mempool.as_ptr(), 0, u32::MAX);
            dpdk_sys::shim_free(mbuf.as_ptr());
            NonNull::new(copy)
        };
        // SAFETY: the copy is live and ours; whichever way it goes, it goes once.
        copy.and_then(|copy| unsafe {
            if mbuf::is_plain(copy) {
                return Some(mbuf::into_packet(copy, self.index));
            }
            dpdk_sys::shim_free(copy.as_ptr());
            None
        })
    }
}

/// Adds empty packets to `empty` until it is full.
#[inline]
fn fill(empty: &mut Burst, mempool: &Mempool, port: u16) {
    if empty.is_full() {
        return;
    }
    let before = empty.len();
    mempool.allocate_burst(port, empty, empty.remaining_capacity());
    for packet in &mut empty[before..] {
        let _ = packet.resize(packet.tailroom());
    }
}

impl Drop for DpdkPort {
    fn drop(&mut self) {
        self.device.release_queue(self.queue);
    }
}
