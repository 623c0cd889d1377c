use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataplane::port::device::{self, DeviceStatistics};

use crate::devargs::Devargs;
use crate::kernel::KernelInterface;
use crate::probed::Probed;
use crate::{DpdkError, Eal, Mempool};

/// Names of the devices that are open: DPDK would hand one out twice.
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

/// An open device. It stays open until this and every port made of it are dropped.
#[derive(Debug)]
pub struct Device {
    pub(crate) opened: Arc<Opened>,
    mac: [u8; 6],
}

/// An open device.
#[derive(Debug)]
pub(crate) struct Opened {
    pub driver: Driver,
    /// One per queue pair: whether a port has it.
    pub queues_taken: Vec<AtomicBool>,
    // Dropped last: the name is free when the device is closed.
    _claim: Claim,
}

/// What is behind a device.
#[derive(Debug)]
pub(crate) enum Driver {
    Dpdk(Probed),
    Kernel(KernelInterface),
}

/// The device's name, in use while this is there.
#[derive(Debug)]
struct Claim(String);

impl Device {
    /// The name of a device by its devargs, which no two that are open share.
    ///
    /// # Errors
    /// When no machine has such a device.
    pub fn name_of(devargs: &str) -> Result<String, DpdkError> {
        let devargs = Devargs::parse(devargs)?;
        devargs.interface()?;
        Ok(devargs.name)
    }

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
        let claim = Claim::new(&devargs)?;
        let (driver, mac, queue_count) = if devargs.is_af_packet() {
            let interface = KernelInterface::open(&devargs, options.mempools.len())?;
            let own = interface.mac();
            // The interface keeps its own address, or the kernel would answer beside us.
            if options.mac.is_some_and(|mac| mac != own) {
                interface.receive_all().map_err(|cause| devargs.failed(cause))?;
            }
            let queue_count = interface.queue_count();
            (Driver::Kernel(interface), options.mac.unwrap_or(own), queue_count)
        } else {
            let mut probed = Probed::probe(&devargs)?;
            let queue_count = probed.configure(&options.mempools)?;
            probed.start()?;
            let own = probed.mac()?;
            let mac = options.mac.unwrap_or(own);
            if mac != own {
                probed.answer_to(mac)?;
            }
            (Driver::Dpdk(probed), mac, queue_count)
        };
        let queues_taken = (0..queue_count).map(|_| AtomicBool::default()).collect();
        Ok(Device { opened: Arc::new(Opened { driver, queues_taken, _claim: claim }), mac })
    }

    /// The address that frames for this device carry: the configured one, or the device's own.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Queue pairs: as many as mempools were given, unless the device has fewer.
    pub fn queue_count(&self) -> usize {
        self.opened.queues_taken.len()
    }
}

impl device::Device for Device {
    fn link_is_up(&self) -> bool {
        self.opened.link_is_up()
    }

    fn statistics(&self) -> DeviceStatistics {
        match &self.opened.driver {
            Driver::Dpdk(probed) => probed.statistics(),
            Driver::Kernel(interface) => interface.statistics(),
        }
    }
}

impl Opened {
    /// A kernel interface tells nothing of its link.
    pub fn link_is_up(&self) -> bool {
        match &self.driver {
            Driver::Dpdk(probed) => probed.link_is_up(),
            Driver::Kernel(_) => true,
        }
    }

    pub fn release_queue(&self, queue: u16) {
        self.queues_taken[usize::from(queue)].store(false, Ordering::Release);
    }
}

impl Claim {
    fn new(devargs: &Devargs) -> Result<Claim, DpdkError> {
        let mut in_use = in_use();
        if in_use.contains(&devargs.name) {
            return Err(DpdkError::DeviceInUse { device: devargs.device.clone() });
        }
        in_use.push(devargs.name.clone());
        Ok(Claim(devargs.name.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        in_use().retain(|used| *used != self.0);
    }
}

fn in_use() -> MutexGuard<'static, Vec<String>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}
