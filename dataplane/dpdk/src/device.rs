use std::ffi::CString;
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dpdk_sys::{rte_eth_conf, rte_eth_dev_info, rte_ether_addr};

use crate::devargs::Devargs;
use crate::error::cause_of;
use crate::{DpdkError, Eal, Mempool, log};

/// The longest IPv4 packet without fragments is 1500 bytes; two more VLAN tags fit where the device allows.
const MTU_BYTES: u32 = 1500 + 2 * 4;
/// Ethernet header and frame check sequence.
const OVERHEAD_BYTES: u32 = 14 + 4;
/// Descriptors of each queue, where the device allows.
const DESCRIPTORS: u16 = 1024;

/// Names of the devices that are open: DPDK would hand one out twice. Held while devices come and go, which
/// DPDK does not promise to do on several threads at once.
static IN_USE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How a device is opened.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    /// The mempool of each worker, which receives into it: a queue pair each, if the device has as many. At
    /// least one.
    pub mempools: Vec<Mempool>,
    /// The address frames are sent to; the device's own otherwise.
    pub mac: Option<[u8; 6]>,
}

/// What a device has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Frames received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Frames sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Frames lost because the receive queue was full.
    pub missed: u64,
    /// Frames received with an error.
    pub receive_errors: u64,
    /// Frames that failed to be sent.
    pub transmit_errors: u64,
    /// Times the mempool had no buffer to receive into.
    pub no_buffer: u64,
    /// Frames received in several segments that do not fit in one buffer, dropped.
    pub unusable: u64,
}

/// An open device. It stays open until this and every port made of it are dropped.
#[derive(Debug)]
pub struct Device {
    pub(crate) opened: Arc<Opened>,
    mac: [u8; 6],
}

/// A device that DPDK has probed: stopped, closed and removed when dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    /// DPDK's port identifier.
    pub port: u16,
    device: String,
    name: CString,
    is_pci: bool,
    /// One per queue pair: whether a port has it.
    pub queues_taken: Vec<AtomicBool>,
    unusable: AtomicU64,
    promiscuous: bool,
}

impl Device {
    /// Opens and starts a device given by its devargs: a PCI address (`0000:3b:00.0`) or a virtual device
    /// (`net_af_packet0,iface=eth1`). Kernel interfaces are those of the calling thread's network namespace.
    ///
    /// # Errors
    /// Each reason that is an operator's to remedy has its own variant.
    ///
    /// # Panics
    /// When no mempool is given.
    pub fn open(_eal: Eal, devargs: &str, options: &DeviceOptions) -> Result<Device, DpdkError> {
        assert!(!options.mempools.is_empty(), "a device without queues");
        let devargs = Devargs::parse(devargs)?;
        devargs.check()?;
        let mut opened = Opened::probe(&devargs)?;
        let queues = opened.configure(&options.mempools)?;
        opened.queues_taken.resize_with(queues, AtomicBool::default);
        opened.attempt("start", || {
            // SAFETY: the port is ours and configured.
            unsafe { dpdk_sys::rte_eth_dev_start(opened.port) }
        })?;
        let own = opened.mac()?;
        let mac = options.mac.unwrap_or(own);
        if mac != own {
            opened.answer_to(mac)?;
        }
        Ok(Device { opened: Arc::new(opened), mac })
    }

    /// The address that frames for this device carry: the configured one, or the device's own.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Queue pairs: as many as mempools were given, unless the device has fewer.
    pub fn queue_count(&self) -> usize {
        self.opened.queues_taken.len()
    }

    /// Whether the link is up, as far as the device knows.
    pub fn link_is_up(&self) -> bool {
        self.opened.link_is_up()
    }

    /// What the device has counted.
    pub fn statistics(&self) -> DeviceStatistics {
        // SAFETY: the structure is plain integers, for which zero is valid.
        let mut stats: dpdk_sys::rte_eth_stats = unsafe { zeroed() };
        // SAFETY: the port is open and the structure is ours.
        unsafe { dpdk_sys::rte_eth_stats_get(self.opened.port, &raw mut stats) };
        DeviceStatistics {
            received: stats.ipackets,
            received_bytes: stats.ibytes,
            sent: stats.opackets,
            sent_bytes: stats.obytes,
            missed: stats.imissed,
            receive_errors: stats.ierrors,
            transmit_errors: stats.oerrors,
            no_buffer: stats.rx_nombuf,
            unusable: self.opened.unusable.load(Ordering::Relaxed),
        }
    }
}

impl Opened {
    fn probe(devargs: &Devargs) -> Result<Opened, DpdkError> {
        let Devargs { device, name, is_pci, .. } = devargs;
        claim(name, device)?;
        let (c_name, c_devargs) = devargs.c_strings();
        let mut opened = Opened {
            port: 0,
            device: device.clone(),
            name: c_name,
            is_pci: *is_pci,
            queues_taken: Vec::new(),
            unusable: AtomicU64::new(0),
            promiscuous: false,
        };
        // EAL probed the allow-listed PCI devices when it started.
        if opened.find_port() {
            return Ok(opened);
        }
        let (result, said) = {
            let _held = in_use();
            // SAFETY: EAL is started, and the devargs are a C string.
            log::captured(|| unsafe { dpdk_sys::rte_dev_probe(c_devargs.as_ptr()) })
        };
        if result >= 0 && opened.find_port() {
            return Ok(opened);
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
    fn configure(&self, mempools: &[Mempool]) -> Result<usize, DpdkError> {
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

    fn mac(&self) -> Result<[u8; 6], DpdkError> {
        let mut mac = rte_ether_addr { addr_bytes: [0; 6] };
        self.attempt("tell its address", || {
            // SAFETY: the port is ours, and the address too.
            unsafe { dpdk_sys::rte_eth_macaddr_get(self.port, &raw mut mac) }
        })?;
        Ok(mac.addr_bytes)
    }

    /// Lets the device receive what is sent to `mac`. A NIC is given the address; a kernel interface keeps its
    /// own, or the kernel would answer beside us, and shows us every frame instead.
    fn answer_to(&mut self, mac: [u8; 6]) -> Result<(), DpdkError> {
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

    pub fn release_queue(&self, queue: u16) {
        self.queues_taken[usize::from(queue)].store(false, Ordering::Release);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut in_use = in_use();
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
        let name = self.name.to_string_lossy();
        in_use.retain(|used| *used != name);
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

fn in_use() -> MutexGuard<'static, Vec<String>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a device of this name is open.
fn claim(name: &str, device: &str) -> Result<(), DpdkError> {
    let mut in_use = in_use();
    if in_use.iter().any(|used| used == name) {
        return Err(DpdkError::DeviceInUse { device: device.to_owned() });
    }
    in_use.push(name.to_owned());
    Ok(())
}
