//! Every failure that an operator can cause is told apart and says what to do.

use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use dataplane_dpdk::{Device, DeviceOptions, DpdkError, Eal, EalOptions, Mempool};

fn options() -> EalOptions {
    // A PCI device that is not there must not hinder the start, and lets the PCI bus be looked at.
    let devices = vec!["ffff:ff:1f.7".to_owned(), "net_null0".to_owned()];
    EalOptions { memory_mib: 64, hugepages: false, devices, ..EalOptions::default() }
}

fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    *EAL.get_or_init(|| Eal::start(&options()).expect("EAL starts without huge pages"))
}

fn open(devargs: &str) -> Result<Device, DpdkError> {
    Device::open(eal(), devargs, &DeviceOptions { mempools: vec![mempool()], mac: None })
}

fn mempool() -> Mempool {
    static POOL: OnceLock<Mempool> = OnceLock::new();
    POOL.get_or_init(|| Mempool::create(eal(), 512, None).unwrap()).clone()
}

/// Asserts that the message names the remedy.
#[track_caller]
fn assert_says(error: &DpdkError, remedy: &str) {
    let message = error.to_string();
    assert!(message.contains(remedy), "no {remedy:?} in: {message}");
}

#[test]
fn a_second_start_is_refused() {
    eal();
    let error = Eal::start(&options()).unwrap_err();
    assert!(matches!(error, DpdkError::AlreadyStarted), "{error}");
    assert_says(&error, "restart the process");
}

#[test]
fn missing_huge_pages_are_counted() {
    let options = EalOptions { memory_mib: 1 << 30, hugepages: true, ..options() };
    let error = Eal::start(&options).unwrap_err();
    assert!(
        matches!(error, DpdkError::HugePages { wanted_mib, free_mib } if free_mib < wanted_mib),
        "{error}"
    );
    assert_says(&error, "/proc/sys/vm/nr_hugepages");
    eal();
}

#[test]
fn a_mempool_too_large_is_refused() {
    let error = Mempool::create(eal(), 1 << 20, None).unwrap_err();
    assert!(matches!(error, DpdkError::Mempool { count: 1_048_576, .. }), "{error}");
    assert_says(&error, "raise `memory`");
}

#[test]
fn an_unknown_driver_is_named() {
    let error = open("net_imaginary0,iface=lo").unwrap_err();
    assert!(matches!(error, DpdkError::UnknownDriver { .. }), "{error}");
    assert_says(&error, "net_imaginary0");
    assert_says(&error, "deploy/setup");
}

#[test]
fn devargs_are_checked() {
    for (devargs, words) in [
        ("not a device", "a space"),
        ("net_af_packet7", "iface=NAME"),
        ("net_af_packet7,iface=lo,blocksz=4096", "framecnt=N"),
        ("net_af_packet7,iface=lo,qpairs=none", "numbers from 1"),
        ("net_af_packet7,iface=lo,framecnt=0", "numbers from 1"),
        ("3b:00", "neither"),
    ] {
        let error = open(devargs).unwrap_err();
        assert!(matches!(error, DpdkError::Devargs { .. }), "{error}");
        assert_says(&error, words);
    }
}

#[test]
fn an_absent_pci_device_is_not_found() {
    let error = open("ffff:ff:1f.7").unwrap_err();
    assert!(matches!(error, DpdkError::DeviceNotFound { .. }), "{error}");
    assert_says(&error, "dpdk-devbind.py");
}

#[test]
fn a_pci_device_of_the_kernel_is_left_alone() {
    // Any device with a kernel driver will do; it is only looked at.
    let devices = fs::read_dir("/sys/bus/pci/devices").into_iter().flatten().flatten();
    let kernels = |path: &std::path::Path| {
        let driver = fs::read_link(path.join("driver")).ok()?;
        let driver = driver.file_name()?.to_str()?.to_owned();
        let shared = ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core"];
        (!shared.contains(&driver.as_str())).then_some(driver)
    };
    let mut devices = devices.filter_map(|entry| Some((entry.file_name(), kernels(&entry.path())?)));
    let Some((address, expected)) = devices.next() else {
        eprintln!("no PCI device with a kernel driver in this machine: not tested");
        return;
    };
    let error = open(address.to_str().unwrap()).unwrap_err();
    assert!(matches!(&error, DpdkError::KernelDriver { driver, .. } if *driver == expected), "{error}");
    assert_says(&error, "--bind=vfio-pci");
}

#[test]
fn an_absent_interface_is_named() {
    let error = open("net_af_packet0,iface=eth999").unwrap_err();
    assert!(
        matches!(&error, DpdkError::InterfaceNotFound { interface, .. } if interface == "eth999"),
        "{error}"
    );
    assert_says(&error, "`ip link`");
}

#[test]
fn a_device_is_opened_once() {
    let first = open("net_null0").unwrap();
    let error = open("net_null0,size=64").unwrap_err();
    assert!(matches!(error, DpdkError::DeviceInUse { .. }), "{error}");
    drop(first);
    assert!(open("net_null0").is_ok(), "it is free again once dropped");
}

#[test]
fn the_drivers_own_words_are_passed_on() {
    let error = open("net_pcap0,rx_pcap=/nonexistent/in.pcap").unwrap_err();
    assert!(
        matches!(&error, DpdkError::Device { said, .. } if said.contains("/nonexistent/in.pcap")),
        "{error}"
    );
    assert!(open("net_pcap0,rx_pcap=/nonexistent/in.pcap").is_err(), "the name is free after a failure");
}

/// The other half of `without_capabilities_permission_is_denied`, run by it.
#[test]
#[ignore = "run by without_capabilities_permission_is_denied, without them"]
fn opens_interfaces_without_permission() {
    let mut devices = vec![("net_af_packet1,iface=lo", "CAP_NET_RAW"), ("net_pcap1,iface=lo", "CAP_NET_RAW")];
    if fs::exists("/dev/net/tun").unwrap() {
        devices.push(("net_tap1", "CAP_NET_ADMIN"));
    }
    for (device, capability) in devices {
        let error = open(device).unwrap_err();
        assert!(
            matches!(&error, DpdkError::PermissionDenied { missing, .. } if missing == capability),
            "{error}"
        );
        assert_says(&error, "run as root");
    }
}

#[test]
fn without_capabilities_permission_is_denied() {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin"]);
    command.arg(env::current_exe().unwrap());
    command.args(["--exact", "opens_interfaces_without_permission", "--ignored", "--nocapture"]);
    let output = command.output().expect("setpriv (package util-linux) runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
