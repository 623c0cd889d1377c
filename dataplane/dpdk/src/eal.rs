use std::ffi::CString;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::DpdkError;
use crate::devargs::Devargs;
use crate::error::cause_of;
use crate::log::{self, LogLevel};

static STARTED: AtomicBool = AtomicBool::new(false);

/// How EAL, DPDK's environment, is started.
#[derive(Clone, Debug)]
pub struct EalOptions {
    /// Memory for packet buffers and queues in MiB.
    pub memory_mib: usize,
    /// Whether that memory is of huge pages.
    pub hugepages: bool,
    /// Cores for the threads that are not workers; empty for any the process may run on.
    pub control_cores: Vec<usize>,
    /// The devargs of every device that will be opened. PCI devices not named here are left alone.
    pub devices: Vec<String>,
    /// How much DPDK says.
    pub log_level: LogLevel,
    /// Where it says it.
    pub log: fn(LogLevel, &str),
}

impl Default for EalOptions {
    /// 512 MiB of huge pages, warnings to the standard error.
    fn default() -> EalOptions {
        EalOptions {
            memory_mib: 512,
            hugepages: true,
            control_cores: Vec::new(),
            devices: Vec::new(),
            log_level: LogLevel::Warning,
            log: log::print,
        }
    }
}

/// The proof that DPDK's environment runs. It runs until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Eal {
    /// Memory it was given in MiB.
    pub(crate) memory_mib: usize,
    /// Whether that is of huge pages.
    pub(crate) hugepages: bool,
}

impl Eal {
    /// Starts DPDK's environment. It keeps its state in memory of this process alone, so that any number of
    /// processes run side by side and a killed one leaves nothing behind.
    ///
    /// # Errors
    /// When it was started before, when huge pages are short, or when DPDK refuses.
    pub fn start(options: &EalOptions) -> Result<Eal, DpdkError> {
        if options.hugepages {
            let free_mib = free_hugepages_mib(Path::new(HUGE_PAGES))
                .map_err(|cause| DpdkError::HugePagesUnread { cause })?;
            if free_mib < options.memory_mib {
                return Err(DpdkError::HugePages { wanted_mib: options.memory_mib, free_mib });
            }
        }
        let arguments = arguments(options)?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(DpdkError::AlreadyStarted);
        }
        if !log::open(options.log) {
            return Err(DpdkError::Start { said: "no stream for its messages".to_owned() });
        }
        // EAL may keep pointers into its arguments: they are leaked, once per process.
        let mut arguments: Vec<_> = arguments.into_iter().map(CString::into_raw).collect();
        let count = arguments.len() as i32;
        let (result, said) = log::captured(|| {
            // SAFETY: `count` valid strings, alive for ever; called once per process.
            unsafe { dpdk_sys::rte_eal_init(count, arguments.as_mut_ptr()) }
        });
        if result < 0 {
            return Err(DpdkError::Start { said: format!("{} ({said})", cause_of(result)) });
        }
        Ok(Eal { memory_mib: options.memory_mib, hugepages: options.hugepages })
    }

    /// Makes the calling thread known to DPDK, without which it would have no mempool cache. To be called
    /// after the thread was pinned to its core.
    ///
    /// # Errors
    /// When DPDK knows too many threads already.
    pub fn register_worker_thread(self) -> Result<WorkerThread, DpdkError> {
        // SAFETY: EAL is started.
        match unsafe { dpdk_sys::rte_thread_register() } {
            0 => Ok(WorkerThread { _of_this_thread: PhantomData }),
            result => Err(DpdkError::Thread { cause: cause_of(result) }),
        }
    }

    /// Ticks of the time stamp counter per second.
    pub fn tsc_hz(self) -> u64 {
        // SAFETY: EAL is started, so the frequency is known.
        unsafe { dpdk_sys::rte_get_tsc_hz() }
    }
}

/// The calling thread's registration with DPDK, ended when dropped.
#[derive(Debug)]
pub struct WorkerThread {
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        // SAFETY: this thread was registered, and the guard cannot leave it.
        unsafe { dpdk_sys::rte_thread_unregister() }
    }
}

/// EAL's command line.
fn arguments(options: &EalOptions) -> Result<Vec<CString>, DpdkError> {
    let mut arguments = vec![
        "portico".to_owned(),
        "--no-telemetry".to_owned(),
        format!("--log-level=*:{}", options.log_level as u32),
        "-m".to_owned(),
        options.memory_mib.to_string(),
        // One lcore that floats over these cores: EAL pins the calling thread to them and starts no worker
        // of its own.
        format!("--lcores=0@({})", control_cores(options)),
    ];
    // Either way nothing is shared with other processes and nothing is left in the file system.
    match options.hugepages {
        true => arguments.push("--in-memory".to_owned()),
        false => arguments.extend(["--no-huge".to_owned(), "--no-shconf".to_owned()]),
    }
    let devices: Vec<Devargs> =
        options.devices.iter().map(|device| Devargs::parse(device)).collect::<Result<_, _>>()?;
    // A memif client without copies shows its buffers to the server: each file it shares must hold a whole segment.
    if devices.iter().any(Devargs::is_zero_copy_memif) {
        arguments.push("--single-file-segments".to_owned());
    }
    let pci: Vec<Devargs> = devices.into_iter().filter(|device| device.is_pci).collect();
    if pci.is_empty() {
        arguments.push("--no-pci".to_owned());
    }
    for device in pci {
        arguments.extend(["-a".to_owned(), device.normalised()]);
    }
    // Devargs with a zero byte did not parse, and nothing else here could have one.
    Ok(arguments.into_iter().filter_map(|argument| CString::new(argument).ok()).collect())
}

fn control_cores(options: &EalOptions) -> String {
    let mut cores = options.control_cores.clone();
    if cores.is_empty() {
        cores = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    }
    if cores.is_empty() {
        cores.push(0);
    }
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Where the kernel tells of huge pages, a folder for each size.
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// Free huge pages of every size in MiB; a kernel without huge pages has none.
///
/// # Errors
/// When the kernel's numbers are there and cannot be read.
fn free_hugepages_mib(folder: &Path) -> io::Result<usize> {
    let sizes = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        sizes => sizes?,
    };
    let mut free_kib = 0;
    for entry in sizes {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let size_kib = name.strip_prefix("hugepages-").and_then(|rest| rest.strip_suffix("kB")?.parse().ok());
        let Some(size_kib): Option<usize> = size_kib else { continue };
        let free = fs::read_to_string(entry.path().join("free_hugepages"))?;
        free_kib += size_kib * free.trim().parse::<usize>().unwrap_or(0);
    }
    Ok(free_kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_read_are_not_nought() {
        let folder = std::env::temp_dir().join(format!("portico-hugepages-{}", std::process::id()));
        assert_eq!(free_hugepages_mib(&folder).unwrap(), 0, "a kernel without huge pages");
        let size = folder.join("hugepages-2048kB");
        fs::create_dir_all(&size).unwrap();
        fs::write(size.join("free_hugepages"), "7\n").unwrap();
        let counted = free_hugepages_mib(&folder);
        // Whoever runs this as root may read every file, but not a folder.
        fs::remove_file(size.join("free_hugepages")).unwrap();
        fs::create_dir(size.join("free_hugepages")).unwrap();
        let unread = free_hugepages_mib(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(counted.unwrap(), 14);
        assert!(unread.is_err(), "{unread:?}");
    }
}
