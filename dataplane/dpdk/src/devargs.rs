use std::ffi::CString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::errno::Errno;

use crate::DpdkError;

/// Where the kernel tells of PCI devices.
const PCI_DEVICES: &str = "/sys/bus/pci/devices";
/// Where vfio's files are.
const VFIO: &str = "/dev/vfio";

/// A device as configured, and what can be known of it without DPDK.
pub(crate) struct Devargs {
    /// As configured, for messages.
    pub device: String,
    /// The name DPDK knows it by: a PCI address with its domain, or a virtual device's name.
    pub name: String,
    /// Whether that name is a PCI address.
    pub is_pci: bool,
    /// The rest of the devargs, from the first comma on.
    arguments: String,
}

impl Devargs {
    pub fn parse(device: &str) -> Result<Devargs, DpdkError> {
        let wrong = |reason| DpdkError::Devargs { device: device.to_owned(), reason };
        if device.bytes().any(|byte| byte == 0 || byte.is_ascii_whitespace()) {
            return Err(wrong("it contains a space or a zero byte"));
        }
        let (name, arguments) = device.split_at(device.find(',').unwrap_or(device.len()));
        let (name, is_pci) = match pci_address(name) {
            Some(address) => (address, true),
            None => (name.to_owned(), false),
        };
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !is_pci && (name.is_empty() || !name.bytes().all(valid)) {
            return Err(wrong("it is neither a PCI address nor a name"));
        }
        Ok(Devargs { device: device.to_owned(), name, is_pci, arguments: arguments.to_owned() })
    }

    /// The devargs as DPDK wants them.
    pub fn normalised(&self) -> String {
        format!("{}{}", self.name, self.arguments)
    }

    /// The name and the devargs as C strings.
    pub fn c_strings(&self) -> (CString, CString) {
        let c_string = |text: &str| CString::new(text).expect("parse refuses zero bytes");
        (c_string(&self.name), c_string(&self.normalised()))
    }

    /// Finds what would fail anyway, while the reason is still known.
    pub fn check(&self) -> Result<(), DpdkError> {
        if self.is_pci { self.check_pci() } else { self.check_interface() }
    }

    fn check_pci(&self) -> Result<(), DpdkError> {
        let directory = Path::new(PCI_DEVICES).join(&self.name);
        let device = self.device.clone();
        let link = directory.metadata().and_then(|_| match fs::read_link(directory.join("driver")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            link => link.map(Some),
        });
        let link = link.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                let missing = format!("access to {}", directory.display());
                DpdkError::PermissionDenied { device: device.clone(), missing }
            }
            _ => DpdkError::DeviceNotFound { device: device.clone() },
        })?;
        let driver =
            link.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("none");
        // NVIDIA's drivers share the device with the kernel's.
        let usable = ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core"];
        if usable.contains(&driver) {
            return Ok(());
        }
        Err(DpdkError::KernelDriver { device, address: self.name.clone(), driver: driver.to_owned() })
    }

    /// The kernel interface that it is, if it is to be one.
    pub fn interface(&self) -> Result<Option<&str>, DpdkError> {
        if !self.is_af_packet() {
            return Ok(None);
        }
        let missing = || DpdkError::Devargs { device: self.device.clone(), reason: "it needs iface=NAME" };
        self.argument("iface").map(Some).ok_or_else(missing)
    }

    fn check_interface(&self) -> Result<(), DpdkError> {
        let device = self.device.clone();
        let Some(interface) = self.interface()? else { return Ok(()) };
        match nix::net::if_::if_nametoindex(interface) {
            Ok(_) => Ok(()),
            Err(Errno::EPERM | Errno::EACCES) => {
                let missing = format!("the right to look for interface {interface}");
                Err(DpdkError::PermissionDenied { device, missing })
            }
            Err(_) => Err(DpdkError::InterfaceNotFound { device, interface: interface.to_owned() }),
        }
    }

    /// Whether a probe that failed did so for want of permission, after what DPDK said: then, what was missing. The
    /// drivers' own errors do not tell.
    pub fn missing_permission(&self, said: &str) -> Option<String> {
        if self.is_pci {
            return self.closed_file().map(|file| format!("access to {}", file.display()));
        }
        let is_denied =
            ["Operation not permitted", "Permission denied"].iter().any(|words| said.contains(words));
        let is_live = ["iface", "rx_iface", "tx_iface"].iter().any(|key| self.argument(key).is_some());
        let missing = match self.name.as_str() {
            name if name.starts_with("net_tap") => "CAP_NET_ADMIN",
            name if name.starts_with("net_pcap") && is_live => "CAP_NET_RAW",
            _ => "access to the files that the device names",
        };
        is_denied.then(|| missing.to_owned())
    }

    /// A file of vfio's that a PCI device is used through and that the process may not open.
    fn closed_file(&self) -> Option<PathBuf> {
        let group = fs::read_link(Path::new(PCI_DEVICES).join(&self.name).join("iommu_group")).ok();
        let group = group.as_deref().and_then(Path::file_name).map(|number| Path::new(VFIO).join(number));
        let files = [Some(Path::new(VFIO).join("vfio")), group];
        files.into_iter().flatten().find(|file| {
            let opened = fs::OpenOptions::new().read(true).write(true).open(file);
            opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
    }

    /// What went wrong with a kernel interface.
    pub fn failed(&self, cause: io::Error) -> DpdkError {
        let device = self.device.clone();
        match cause.raw_os_error() {
            Some(nix::libc::EPERM | nix::libc::EACCES) => {
                DpdkError::PermissionDenied { device, missing: "CAP_NET_RAW".to_owned() }
            }
            _ => DpdkError::KernelInterface { device, cause },
        }
    }

    /// Whether it is a kernel interface, under the name of DPDK's driver for them.
    pub fn is_af_packet(&self) -> bool {
        self.name.starts_with("net_af_packet") || self.name.starts_with("eth_af_packet")
    }

    /// Whether it is a memif client that shares its packet buffers rather than copying.
    pub fn is_zero_copy_memif(&self) -> bool {
        self.name.starts_with("net_memif") && self.argument("zero-copy") == Some("yes")
    }

    /// The value of an argument.
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.arguments().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The arguments and their values; those without one have an empty one.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        let words = self.arguments.split(',').filter(|word| !word.is_empty());
        words.map(|word| word.split_once('=').unwrap_or((word, "")))
    }
}

/// `text` as a PCI address with its domain, if it is an address with or without one.
fn pci_address(text: &str) -> Option<String> {
    let hex = |text: &str, digits: usize| {
        (text.len() == digits).then(|| u32::from_str_radix(text, 16).ok()).flatten()
    };
    let (slot, function) = text.rsplit_once('.')?;
    let mut parts = slot.rsplit(':');
    let (device, bus, domain) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0000"));
    let valid = parts.next().is_none() && function.len() == 1 && function.parse::<u8>().is_ok_and(|n| n < 8);
    let (domain, bus, device) = (hex(domain, 4)?, hex(bus, 2)?, hex(device, 2)?);
    valid.then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_get_their_domain() {
        for (text, name) in [("3b:00.0", "0000:3b:00.0"), ("0001:3B:1f.7,arg=1", "0001:3b:1f.7")] {
            let device = Devargs::parse(text).unwrap();
            assert!(device.is_pci && device.name == name, "{text} became {}", device.name);
        }
        assert_eq!(Devargs::parse("3b:00.0,a=1").unwrap().normalised(), "0000:3b:00.0,a=1");
    }

    #[test]
    fn virtual_devices_keep_their_arguments() {
        let device = Devargs::parse("net_af_packet0,iface=eth1,qpairs=2").unwrap();
        assert_eq!((device.name.as_str(), device.is_pci), ("net_af_packet0", false));
        assert_eq!((device.argument("iface"), device.argument("qpairs")), (Some("eth1"), Some("2")));
        assert_eq!(device.normalised(), "net_af_packet0,iface=eth1,qpairs=2");
    }

    #[test]
    fn memif_without_copies_is_recognised() {
        for (text, expected) in [("net_memif0,zero-copy=yes", true), ("net_memif0,id=1", false)] {
            assert_eq!(Devargs::parse(text).unwrap().is_zero_copy_memif(), expected, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ",iface=eth0", "net null0", "3b:00.9", "a:b:c:d.0", "net_null0\0"] {
            assert!(matches!(Devargs::parse(text), Err(DpdkError::Devargs { .. })), "{text:?} was accepted");
        }
    }
}
