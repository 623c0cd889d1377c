//! A port in memory: tests and benches hold the other end of its wire.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use mem::{Packet, Slab};

use super::{Burst, Port};

/// The worker's end.
pub struct MemoryPort {
    index: usize,
    slab: Slab,
    wire: Arc<Queues>,
}

/// The outside world's end.
#[derive(Clone)]
pub struct Wire {
    index: usize,
    slab: Slab,
    queues: Arc<Queues>,
}

struct Queues {
    to_port: ArrayQueue<Packet>,
    from_port: ArrayQueue<Packet>,
}

/// Makes port number `index` and the other end of its wire, which holds `depth` frames in each direction.
/// Both take their buffers from `slab`.
pub fn memory_port(index: usize, slab: &Slab, depth: usize) -> (MemoryPort, Wire) {
    let queues = Arc::new(Queues { to_port: ArrayQueue::new(depth), from_port: ArrayQueue::new(depth) });
    let port = MemoryPort { index, slab: slab.clone(), wire: Arc::clone(&queues) };
    (port, Wire { index, slab: slab.clone(), queues })
}

impl Port for MemoryPort {
    fn receive(&mut self, burst: &mut Burst) {
        while !burst.is_full()
            && let Some(packet) = self.wire.to_port.pop()
        {
            burst.push(packet);
        }
    }

    fn transmit(&mut self, burst: &mut Burst) {
        let room = self.wire.from_port.capacity() - self.wire.from_port.len();
        for packet in burst.drain(..room.min(burst.len())) {
            // Only this port pushes, so the room just counted is there.
            let _ = self.wire.from_port.push(packet);
        }
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.slab.allocate(self.index)
    }
}

impl Wire {
    /// Puts a frame on the wire towards the port. Returns false when the wire or the slab is full.
    #[must_use]
    pub fn send(&self, frame: &[u8]) -> bool {
        self.slab.copy_of(frame, self.index).is_some_and(|packet| self.queues.to_port.push(packet).is_ok())
    }

    /// Takes the next frame that the port sent.
    pub fn receive(&self) -> Option<Packet> {
        self.queues.from_port.pop()
    }
}
