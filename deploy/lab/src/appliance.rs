//! Portico as the gateway: its configuration written from the rules, the program run in the gateway's namespace and
//! spoken to through its command line.

use crate::address::{INSIDE_GATEWAY, OUTSIDE_GATEWAY, ROUTER};
use crate::namespace::{Namespace, host_run};
use crate::process::{Process, Stopped};
use crate::rules::{Rules, Source, Static};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(20);
const METRICS_URL: &str = "http://127.0.0.1:9464/metrics";
const MEMORY_MIB: u32 = 256;

/// A running Portico.
pub struct Appliance {
    namespace: Arc<Namespace>,
    program: PathBuf,
    configuration: PathBuf,
    socket: PathBuf,
    directory: PathBuf,
    start_count: u32,
    process: Option<Process>,
}

impl Appliance {
    /// Writes the configuration and starts the program in `namespace`, whose devices are `inside` and `outside`;
    /// returns once it forwards.
    pub fn start(namespace: Arc<Namespace>, directory: &Path, rules: &Rules) -> Result<Appliance> {
        let mut appliance = Appliance {
            namespace,
            program: program()?,
            configuration: directory.join("portico.conf"),
            socket: directory.join("portico.sock"),
            directory: directory.to_owned(),
            start_count: 0,
            process: None,
        };
        appliance.configure(rules)?;
        appliance.run()?;
        Ok(appliance)
    }

    /// Writes the configuration anew; [`Appliance::reload`] makes the program read it.
    pub fn configure(&self, rules: &Rules) -> Result<()> {
        fs::write(&self.configuration, configuration(rules, huge_pages_are_free()))?;
        Ok(())
    }

    /// Starts the program again after [`Appliance::stop`] or [`Appliance::kill`].
    pub fn run(&mut self) -> Result<()> {
        self.process = None;
        self.start_count += 1;
        let name = format!("portico-{}", self.start_count);
        let argv = [text(&self.program)?, "run", "--config", text(&self.configuration)?];
        let argv = [&argv[..], &["--socket", text(&self.socket)?]].concat();
        let mut process = Process::spawn(&self.namespace, &self.directory, &name, &argv)?;
        process.wait_for_line("ready", READY_LIMIT)?;
        self.process = Some(process);
        Ok(())
    }

    /// The answer to an exec command such as `show ip nat translations`; an error with its message when refused.
    pub fn exec(&self, command: &str) -> Result<String> {
        host_run(&["timeout", "10", text(&self.program)?, "exec", "--socket", text(&self.socket)?, command])
    }

    /// The page Prometheus would scrape.
    pub fn metrics(&self) -> Result<String> {
        self.namespace.run(&["curl", "-sS", "--fail", "--max-time", "10", METRICS_URL])
    }

    /// Makes it read its configuration again (SIGHUP).
    pub fn reload(&self) -> Result<()> {
        self.running()?.signal(Signal::SIGHUP)
    }

    /// Ends it with SIGTERM; an error when it runs on after `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<Stopped> {
        self.process.take().context("the appliance does not run")?.stop(limit)
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The running program.
    pub fn running(&self) -> Result<&Process> {
        self.process.as_ref().context("the appliance does not run")
    }

    /// The last lines it wrote.
    pub fn last_words(&self) -> String {
        self.process.as_ref().map(Process::last_words).unwrap_or_default()
    }

    /// Its program, for those who want to talk to it by hand.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its command socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// The program under test: `$PORTICO`, else the release build of this workspace.
pub fn program() -> Result<PathBuf> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let workspace = workspace.canonicalize()?;
    let path = match std::env::var_os("PORTICO") {
        Some(path) => PathBuf::from(path),
        None => {
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
            target.join("release/portico")
        }
    };
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => bail!(
            "no appliance at {}: run deploy/setup and `cargo build --release -p portico`, or name one in $PORTICO",
            path.display()
        ),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Whether enough 2 MiB pages are free for the appliance and DPDK's own tables.
fn huge_pages_are_free() -> bool {
    let is_mounted = fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains(" hugetlbfs "));
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let free: u32 = free.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    is_mounted && free * 2 >= MEMORY_MIB + 64
}

/// The appliance's configuration.
fn configuration(rules: &Rules, has_huge_pages: bool) -> String {
    let huge_pages = if has_huge_pages { "" } else { " no hugepages\n" };
    let mtu = |mtu: Option<u16>| mtu.map_or(String::new(), |mtu| format!(" ip mtu {mtu}\n"));
    let mut text = format!(
        "platform dpdk\n workers 1\n memory {MEMORY_MIB}\n{huge_pages}!\n\
         interface GigabitEthernet0/0/0\n device net_af_packet0,iface=inside\n mac-address 0200.0000.0001\n \
         ip address {INSIDE_GATEWAY} 255.255.255.0\n{} ip nat inside\n!\n\
         interface GigabitEthernet0/0/1\n device net_af_packet1,iface=outside\n mac-address 0200.0000.0002\n \
         ip address {OUTSIDE_GATEWAY} 255.255.255.0\n{} ip nat outside\n!\n\
         ip route 0.0.0.0 0.0.0.0 {ROUTER}\n\
         access-list 10 permit 10.0.0.0 0.0.0.255\n\
         prometheus exporter 127.0.0.1 9464\n",
        mtu(rules.inside_mtu),
        mtu(rules.outside_mtu),
    );
    for line in nat_lines(rules).iter().chain(&rules.lines) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

fn nat_lines(rules: &Rules) -> Vec<String> {
    let mut lines = match rules.source {
        Source::Pool(first, last) => vec![
            format!("ip nat pool LAB {first} {last} prefix-length 24"),
            "ip nat inside source list 10 pool LAB overload".to_owned(),
        ],
        Source::Interface => {
            vec!["ip nat inside source list 10 interface GigabitEthernet0/0/1 overload".to_owned()]
        }
    };
    lines.extend(rules.statics.iter().map(|rule| match rule {
        Static::Address(local, global) => format!("ip nat inside source static {local} {global}"),
        Static::Port(protocol, local, global) => {
            let local = format!("{} {}", local.ip(), local.port());
            let global = if *global.ip() == OUTSIDE_GATEWAY {
                format!("interface GigabitEthernet0/0/1 {}", global.port())
            } else {
                format!("{} {} extendable", global.ip(), global.port())
            };
            format!("ip nat inside source static {protocol} {local} {global}")
        }
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_names_devices_pool_and_statics() {
        let text = configuration(&Rules::routed_pool(), false);
        for line in [
            " no hugepages",
            " device net_af_packet1,iface=outside",
            "ip nat pool LAB 203.0.113.1 203.0.113.4 prefix-length 24",
            "ip nat inside source static tcp 10.0.0.11 80 203.0.113.10 8080 extendable",
            "ip nat inside source static 10.0.0.12 203.0.113.20",
        ] {
            assert!(text.lines().any(|written| written == line), "no line \"{line}\" in\n{text}");
        }
    }

    #[test]
    fn interface_overload_writes_the_interface_form() {
        let text = configuration(&Rules { outside_mtu: Some(1400), ..Rules::interface_overload() }, true);
        assert!(text.contains("\n ip mtu 1400\n ip nat outside\n"), "{text}");
        assert!(text.contains("static tcp 10.0.0.11 80 interface GigabitEthernet0/0/1 8080\n"), "{text}");
        assert!(!text.contains("hugepages"), "{text}");
    }
}
