use std::ffi::CString;
use std::mem::zeroed;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dataplane::port::device::DeviceStatistics;
use dpdk_sys::{rte_eth_conf, rte_eth_dev_info, rte_ether_addr};

use crate::devargs::Devargs;
use crate::error::cause_of;
use crate::{DpdkError, Mempool, log};

/// The longest IPv4 packet without fragments is 1500 bytes; two more VLAN tags fit where the device allows.
const MTU_BYTES: u32 = 1500 + 2 * 4;
/// Ethernet header and frame check sequence.
const OVERHEAD_BYTES: u32 = 14 + 4;
/// Descriptors of each queue, where the device allows.
const DESCRIPTORS: u16 = 1024;

/// Held while devices come and go, which DPDK does not promise to do on several threads at once.
static HOTPLUG: Mutex<()> = Mutex::new(());

/// A device that DPDK has probed: stopped, closed and removed when dropped.
#[derive(Debug)]
pub(crate) struct Probed {
    /// DPDK's port identifier.
    pub port: u16,
    device: String,
    name: CString,
    is_pci: bool,
    unusable: AtomicU64,
    promiscuous: bool,
}

impl Probed {
    pub fn probe(devargs: &Devargs) -> Result<Probed, DpdkError> {
        let Devargs { device, is_pci, .. } = devargs;
        let (c_name, c_devargs) = devargs.c_strings();
        let mut probed = Probed {
            port: 0,
            device: device.clone(),
            name: c_name,
            is_pci: *is_pci,
            unusable: AtomicU64::new(0),
            promiscuous: false,
        };
        // EAL probed the allow-listed PCI devices when it started.
        if probed.find_port() {
            return Ok(probed);
        }
        let (result, said) = {
            let _held = HOTPLUG.lock();
            // SAFETY: EAL is started, and the devargs are a C string.
            log::captured(|| unsafe { dpdk_sys::rte_dev_probe(c_devargs.as_ptr()) })
        };
        if result >= 0 && probed.find_port() {
            return Ok(probed);
        }
        let device = device.clone();
        // The bus knows by the driver's name alone whether a virtual device is its own.
        if result == -nix::libc::EFAULT && !is_pci {
            return Err(DpdkError::UnknownDriver { device });
        }
        if let Some(missing) = devargs.missing_permission(&said) {
            return Err(DpdkError::PermissionDenied { device, missing });
        }
        let result = if result >= 0 { -nix::libc::ENODEV } else { result };
        Err(DpdkError::Device { device, step: "be probed", cause: cause_of(result), said })
    }

    /// Looks the port up by the device's name.
    fn find_port(&mut self) -> bool {
        // SAFETY: the name is a C string, and the identifier is ours to write.
        unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(self.name.as_ptr(), &raw mut self.port) == 0 }
    }

    /// Sets up a queue pair for each mempool that the device has one for; returns how many.
    pub fn configure(&self, mempools: &[Mempool]) -> Result<usize, DpdkError> {
        // SAFETY: the structure is plain C data, for which zero is valid.
        let mut info: rte_eth_dev_info = unsafe { zeroed() };
        self.attempt("be queried", || {
            // SAFETY: the port is ours, and the structure too.
            unsafe { dpdk_sys::rte_eth_dev_info_get(self.port, &raw mut info) }
        })?;
        let queues = mempools.len().min(usize::from(info.max_rx_queues.min(info.max_tx_queues)));
        let conf = configuration(&info, queues);
        let (mut rx, mut tx) = (DESCRIPTORS, DESCRIPTORS);
        self.attempt("be configured", || {
            // SAFETY: the port is ours and stopped; the pointers are to live values.
            unsafe {
                match dpdk_sys::rte_eth_dev_configure(
                    self.port,
                    queues as u16,
                    queues as u16,
                    &raw const conf,
                ) {
                    0 => dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.port, &raw mut rx, &raw mut tx),
                    refused => refused,
                }
            }
        })?;
        // SAFETY: the port is ours.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.port) } as u32;
        for (queue, mempool) in mempools.iter().take(queues).enumerate() {
            let (queue, none) = (queue as u16, ptr::null());
            self.attempt("set up a receive queue", || {
                // SAFETY: the port is ours and configured, and the mempool lives as long as the process.
                unsafe {
                    dpdk_sys::rte_eth_rx_queue_setup(self.port, queue, rx, socket, none, mempool.as_ptr())
                }
            })?;
            self.attempt("set up a transmit queue", || {
                // SAFETY: the port is ours and configured.
                unsafe { dpdk_sys::rte_eth_tx_queue_setup(self.port, queue, tx, socket, ptr::null()) }
            })?;
        }
        Ok(queues)
    }

    pub fn mac(&self) -> Result<[u8; 6], DpdkError> {
        let mut mac = rte_ether_addr { addr_bytes: [0; 6] };
        self.attempt("tell its address", || {
            // SAFETY: the port is ours, and the address too.
            unsafe { dpdk_sys::rte_eth_macaddr_get(self.port, &raw mut mac) }
        })?;
        Ok(mac.addr_bytes)
    }

    /// Lets the device receive what is sent to `mac`. A NIC is given the address; a virtual device shows us every frame
    /// instead.
    pub fn answer_to(&mut self, mac: [u8; 6]) -> Result<(), DpdkError> {
        let mut mac = rte_ether_addr { addr_bytes: mac };
        // SAFETY: the port is ours and the address is copied.
        if self.is_pci && unsafe { dpdk_sys::rte_eth_dev_default_mac_addr_set(self.port, &raw mut mac) } == 0
        {
            return Ok(());
        }
        self.attempt("be made promiscuous", || {
            // SAFETY: the port is ours.
            match unsafe { dpdk_sys::rte_eth_promiscuous_enable(self.port) } {
                // A virtual device without the notion receives everything.
                refused if refused == -nix::libc::ENOTSUP && !self.is_pci => 0,
                result => result,
            }
        })?;
        self.promiscuous = true;
        Ok(())
    }

    /// Makes an error of a DPDK call that returns a negative value.
    fn attempt(&self, step: &'static str, call: impl FnOnce() -> i32) -> Result<(), DpdkError> {
        match log::captured(call) {
            (0.., _) => Ok(()),
            (result, said) => {
                Err(DpdkError::Device { device: self.device.clone(), step, cause: cause_of(result), said })
            }
        }
    }

    pub fn link_is_up(&self) -> bool {
        // SAFETY: the port is open.
        unsafe { dpdk_sys::shim_link_is_up(self.port) }
    }

    pub fn count_unusable(&self) {
        self.unusable.fetch_add(1, Ordering::Relaxed);
    }

    pub fn start(&self) -> Result<(), DpdkError> {
        self.attempt("start", || {
            // SAFETY: the port is ours and configured.
            unsafe { dpdk_sys::rte_eth_dev_start(self.port) }
        })
    }

    pub fn statistics(&self) -> DeviceStatistics {
        // SAFETY: the structure is plain integers, for which zero is valid.
        let mut stats: dpdk_sys::rte_eth_stats = unsafe { zeroed() };
        // SAFETY: the port is open and the structure is ours.
        unsafe { dpdk_sys::rte_eth_stats_get(self.port, &raw mut stats) };
        DeviceStatistics {
            received: stats.ipackets,
            received_bytes: stats.ibytes,
            sent: stats.opackets,
            sent_bytes: stats.obytes,
            missed: stats.imissed,
            receive_errors: stats.ierrors,
            transmit_errors: stats.oerrors,
            no_buffer: stats.rx_nombuf,
            giants: 0,
            unusable: self.unusable.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        let _held = HOTPLUG.lock();
        let bus = if self.is_pci { c"pci" } else { c"vdev" };
        // SAFETY: no queue is in use any more, as each would keep this alive. What was never probed or started
        // is refused, which does no harm.
        unsafe {
            if self.find_port() {
                if self.promiscuous {
                    dpdk_sys::rte_eth_promiscuous_disable(self.port);
                }
                dpdk_sys::rte_eth_dev_stop(self.port);
                dpdk_sys::rte_eth_dev_close(self.port);
                dpdk_sys::rte_eal_hotplug_remove(bus.as_ptr(), self.name.as_ptr());
            }
        }
    }
}

/// One frame to a buffer, no offloads; several queues share the frames by IPv4 addresses and ports where the
/// device can.
fn configuration(info: &rte_eth_dev_info, queues: usize) -> rte_eth_conf {
    // SAFETY: the structure is plain C data, for which zero is valid and means the default.
    let mut conf: rte_eth_conf = unsafe { zeroed() };
    conf.rxmode.mtu = mtu(info);
    let hashed = dpdk_sys::shim_rss_ipv4 & info.flow_type_rss_offloads;
    if queues > 1 && hashed != 0 {
        conf.rxmode.mq_mode = dpdk_sys::shim_rx_rss;
        conf.rx_adv_conf.rss_conf.rss_hf = hashed;
    }
    conf
}

/// The MTU to ask for, within what the device can do.
fn mtu(info: &rte_eth_dev_info) -> u32 {
    let max = u32::from(info.max_mtu);
    let overhead = match info.max_rx_pktlen.checked_sub(max) {
        Some(overhead) if info.max_mtu != u16::MAX && overhead > 0 => overhead,
        _ => OVERHEAD_BYTES,
    };
    MTU_BYTES.min(max).min(info.max_rx_pktlen.saturating_sub(overhead))
}
