use std::io;

use thiserror::Error;

/// What can go wrong with DPDK, each with what to do about it.
#[derive(Debug, Error)]
pub enum DpdkError {
    /// EAL was started before in this process, whether it succeeded or not.
    #[error("DPDK can be started once per process and was started before; restart the process")]
    AlreadyStarted,

    /// Fewer huge pages are free than the configured memory needs. Sizes in MiB.
    #[error(
        "{wanted_mib} MiB of huge pages are configured and {free_mib} MiB are free; run deploy/setup or write \
         {pages} to /proc/sys/vm/nr_hugepages, or configure less `memory` or `no hugepages` under `platform dpdk`",
        pages = wanted_mib.div_ceil(2)
    )]
    HugePages {
        /// Memory asked for.
        wanted_mib: usize,
        /// Huge pages not in use.
        free_mib: usize,
    },

    /// How many huge pages are free cannot be read.
    #[error(
        "free huge pages cannot be counted: {cause}; run as root, or configure `no hugepages` under `platform dpdk`"
    )]
    HugePagesUnread {
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// EAL did not start for a reason that only DPDK knows.
    #[error(
        "DPDK did not start: {said}; check `memory` and `cores` under `platform dpdk` against what the machine has"
    )]
    Start {
        /// DPDK's own words.
        said: String,
    },

    /// The device's devargs cannot be understood.
    #[error(
        "device {device}: {reason}; give a PCI address (0000:3b:00.0) or a virtual device with its \
         arguments (net_af_packet0,iface=eth1)"
    )]
    Devargs {
        /// The device as configured.
        device: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// There is no such PCI device.
    #[error(
        "device {device}: no such PCI device in this machine; `dpdk-devbind.py --status-dev net` lists them"
    )]
    DeviceNotFound {
        /// The device as configured.
        device: String,
    },

    /// No driver of DPDK knows a virtual device of this name.
    #[error(
        "device {device}: no DPDK driver has this name (some that have: net_af_packet, net_memif, net_tap, \
         net_pcap, net_null), or its driver is not installed; run deploy/setup"
    )]
    UnknownDriver {
        /// The device as configured.
        device: String,
    },

    /// The kernel's driver holds the PCI device.
    #[error(
        "device {device}: the kernel's driver {driver} holds it; bind it to vfio-pci with \
         `dpdk-devbind.py --bind=vfio-pci {address}`"
    )]
    KernelDriver {
        /// The device as configured.
        device: String,
        /// Its PCI address.
        address: String,
        /// The kernel driver's name, or "none".
        driver: String,
    },

    /// A virtual device names a kernel interface that is not there.
    #[error(
        "device {device}: interface {interface} does not exist in this network namespace; `ip link` lists those \
         that do"
    )]
    InterfaceNotFound {
        /// The device as configured.
        device: String,
        /// The kernel interface it names.
        interface: String,
    },

    /// The process may not open the device, or not even look for it.
    #[error("device {device}: permission denied; run as root or with {missing}")]
    PermissionDenied {
        /// The device as configured.
        device: String,
        /// What the process lacks: a Linux capability, or access to a file.
        missing: String,
    },

    /// The kernel refused an interface.
    #[error("device {device}: the kernel refuses its interface: {cause}; `ip link` shows its state")]
    KernelInterface {
        /// The device as configured.
        device: String,
        /// The kernel's error.
        #[source]
        cause: io::Error,
    },

    /// The device is already open in this process.
    #[error("device {device}: already in use; configure it under one interface only")]
    DeviceInUse {
        /// The device as configured.
        device: String,
    },

    /// The device's driver refused for a reason that only DPDK knows.
    #[error("device {device} cannot {step}: {cause}; DPDK says: {said}")]
    Device {
        /// The device as configured.
        device: String,
        /// What was tried, as a verb.
        step: &'static str,
        /// The driver's error.
        #[source]
        cause: io::Error,
        /// DPDK's own words.
        said: String,
    },

    /// A mempool does not fit in DPDK's memory.
    #[error(
        "no memory for {count} packet buffers ({mib} MiB): {cause}; raise `memory` under `platform dpdk` and \
         reserve huge pages for it, or lower the number of workers"
    )]
    Mempool {
        /// Buffers asked for.
        count: usize,
        /// The memory they take.
        mib: usize,
        /// DPDK's error.
        #[source]
        cause: io::Error,
    },

    /// The thread could not be made known to DPDK.
    #[error(
        "the thread cannot be registered with DPDK: {cause}; at most 127 threads can be, so lower `workers`"
    )]
    Thread {
        /// DPDK's error.
        #[source]
        cause: io::Error,
    },
}

/// The error of a DPDK call that returned a negative errno, or -1 and left it in `rte_errno`.
pub(crate) fn cause_of(result: i32) -> io::Error {
    // SAFETY: reads a variable of the calling thread.
    let left_behind = unsafe { dpdk_sys::shim_errno() };
    let code = if result == -1 && left_behind != 0 { left_behind } else { result.abs() };
    io::Error::from_raw_os_error(code)
}
