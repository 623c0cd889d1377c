//! DPDK under the packet path: one [`Eal`] per process, a [`Mempool`] per worker, [`Device`]s given by their
//! devargs, and a [`DpdkPort`] for each of a device's queue pairs. Kernel interfaces are devices too, without DPDK.
//!
//! Packet buffers live as long as the process: a packet may be released long after the device that received
//! it is gone, so neither mempools nor EAL are ever torn down.
#![deny(unsafe_op_in_unsafe_fn)]

mod devargs;
mod device;
mod eal;
mod error;
mod kernel;
mod log;
mod mbuf;
mod mempool;
mod port;
mod probed;

pub use device::{Device, DeviceOptions};
pub use eal::{Eal, EalOptions, WorkerThread};
pub use error::DpdkError;
pub use log::LogLevel;
pub use mempool::Mempool;
pub use port::DpdkPort;
