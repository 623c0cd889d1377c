//! Binds the part of libdpdk that the DPDK port uses, and compiles the shim.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The libraries whose functions are bound or called by the shim, as far as the installed DPDK has them: the log is a
/// library of its own since 23.11, and a part of EAL before. Drivers are plugins: EAL loads them at start.
const LIBRARIES: &[&str] = &["rte_eal", "rte_ethdev", "rte_log", "rte_mbuf", "rte_mempool"];

const FUNCTIONS: &[&str] = &[
    "rte_dev_probe",
    "rte_eal_hotplug_remove",
    "rte_eal_init",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_default_mac_addr_set",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_enable",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_tx_queue_setup",
    "rte_get_tsc_hz",
    "rte_mempool_avail_count",
    "rte_pktmbuf_copy",
    "rte_pktmbuf_free_bulk",
    "rte_pktmbuf_pool_create",
    "rte_thread_register",
    "rte_thread_unregister",
    "shim_.*",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shim.h");
    println!("cargo:rerun-if-changed=shim.c");
    for variable in ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "LIBCLANG_PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    if let Some(path) = std::env::var_os("LIBCLANG_PATH").filter(|path| !Path::new(path).exists()) {
        fail(&format!("libclang is not in {}", path.display()));
    }

    let compile_flags = pkg_config("--cflags");
    for flag in pkg_config("--libs-only-L") {
        println!("cargo:rustc-link-search=native={}", flag.trim_start_matches("-L"));
    }

    let mut shim = cc::Build::new();
    shim.file("shim.c").opt_level(3).warnings(false);
    for flag in &compile_flags {
        shim.flag(flag);
    }
    shim.compile("dpdk_shim");
    let installed = pkg_config("--libs-only-l");
    for library in LIBRARIES.iter().filter(|library| installed.contains(&format!("-l{library}"))) {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    bind(&compile_flags);
}

fn bind(compile_flags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(compile_flags)
        .allowlist_type("rte_eth_(conf|dev_info|stats)")
        .allowlist_type("rte_ether_addr")
        .allowlist_type("rte_(mbuf|mempool)")
        .allowlist_var("RTE_(PKTMBUF_HEADROOM|MEMPOOL_CACHE_MAX_SIZE)")
        .allowlist_var("shim_.*")
        .opaque_type("rte_mbuf|rte_mempool|rte_device")
        .generate_comments(false)
        .layout_tests(true)
        .merge_extern_blocks(true);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    let bindings = builder.generate().expect("bindgen reads the DPDK headers");
    bindings.write_to_file(out).expect("OUT_DIR is writable");
}

/// The words of `pkg-config OPTION libdpdk`.
fn pkg_config(option: &str) -> Vec<String> {
    let arguments = [option, "libdpdk >= 22.11"];
    let output = match Command::new("pkg-config").args(arguments).output() {
        Ok(output) => output,
        Err(error) => fail(&format!("pkg-config cannot be run: {error}")),
    };
    if !output.status.success() {
        fail(&String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn fail(reason: &str) -> ! {
    eprintln!("DPDK (libdpdk-dev 22.11 or later) and clang (libclang-19-dev) are needed: run deploy/setup.");
    eprintln!("{}", reason.trim());
    std::process::exit(1);
}
