//! The tap outside: every packet that leaves the appliance by the outside on a control channel is recorded by tcpdump and
//! searched for inside addresses.
//!
//! What is recorded is what gateways read: the ports of their registry, those that lines name, and the global ports of
//! servers behind them. What hosts send over other connections, as files or as pages, is their own affair.

use crate::address::is_inside;
use crate::link::Switch;
use crate::process::Process;
use crate::rules::{Rules, Static};
use alg::registry::{Attach, ROWS};
use anyhow::{Context, Result, bail, ensure};
use capture_file::{Captured, DataLink};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::leak::{self, Pass, Row};

/// A loaded machine lets tcpdump wait, too.
const LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Who sends what leaves: see `configuration.rs`.
const OUTSIDE_MAC: &str = "02:00:00:00:00:02";

/// A running tap.
pub struct Tap {
    process: Mutex<Option<Process>>,
    capture: PathBuf,
    passes: Mutex<Vec<Pass>>,
}

/// What a tap has seen.
#[derive(Debug)]
pub struct Report {
    /// Payloads that were looked at.
    pub read: u64,
    /// Inside addresses in them that nothing allows.
    pub leaks: Vec<String>,
    /// Those that may pass, by row.
    pub passed: BTreeMap<Row, u64>,
}

impl Tap {
    /// A tap at a switch's port.
    pub(crate) fn start(switch: &Switch, port: &str, directory: &Path, rules: &Rules) -> Result<Tap> {
        let capture = directory.join("tap.pcap");
        let ports: Vec<String> = control_ports(rules).iter().map(|port| format!("port {port}")).collect();
        // A datagram's later fragments have no ports.
        let fragment = "ip[6:2] & 0x1fff != 0";
        let filter = format!("ether src {OUTSIDE_MAC} and ip and ({} or {fragment})", ports.join(" or "));
        let end = switch.port(port);
        let file = capture.to_string_lossy();
        let options = ["-n", "-p", "-U", "-s", "0", "-B", "65536", "-Z", "root"];
        let argv = [&["tcpdump", "-i", end.device][..], &options, &["-w", &file, &filter]].concat();
        let mut process = Process::spawn(end.namespace, directory, "tap", &argv)?;
        process.wait_until(LIMIT, "listening", |process| process.stderr().contains("listening on"))?;
        Ok(Tap { process: Mutex::new(Some(process)), capture, passes: Mutex::default() })
    }

    /// Lets something pass.
    pub fn may_pass(&self, passes: Vec<Pass>) {
        locked(&self.passes).extend(passes);
    }

    /// Whether it was not ended yet.
    pub(crate) fn is_running(&self) -> bool {
        locked(&self.process).is_some()
    }

    /// Ends it, and tells what it has seen.
    ///
    /// # Errors
    /// That it did not see all: packets were lost before it read them.
    pub fn finish(&self) -> Result<Report> {
        let process = locked(&self.process).take().context("the tap has ended")?;
        let recorded = wait_for_all(&process)?;
        // Programs inherit that the demonstration keeps SIGINT and SIGTERM for itself.
        let stopped = process.stop_by(Signal::SIGHUP, LIMIT)?;
        ensure!(stopped.status.success(), "tcpdump ended with {}", stopped.status);
        let mut tap = leak::Tap::new(is_inside);
        tap.passes = std::mem::take(&mut *locked(&self.passes));
        let frames = capture_file::read(&self.capture, |link| link == DataLink::ETHERNET)?;
        let (count, mut leaks) = (frames.len() as u64, Vec::new());
        for packet in frames.iter().filter_map(Captured::ipv4) {
            leaks.extend(tap.packet(packet).iter().map(ToString::to_string));
        }
        ensure!(count >= recorded, "of {recorded} packets {count} were recorded");
        Ok(Report { read: tap.read, leaks, passed: tap.passed })
    }
}

/// Waits until tcpdump has written all that has arrived; how much that is.
fn wait_for_all(process: &Process) -> Result<u64> {
    let start = Instant::now();
    // A line is written in parts.
    let told = || -> Vec<String> {
        let text = process.stderr();
        text.lines().filter(|line| line.ends_with("dropped by kernel")).map(str::to_owned).collect()
    };
    loop {
        let before = told().len();
        process.signal(Signal::SIGUSR1)?;
        let line = loop {
            if let Some(line) = told().get(before) {
                break line.clone();
            }
            ensure!(start.elapsed() < LIMIT, "tcpdump does not tell what it has read:\n{}", process.stderr());
            sleep(POLL_INTERVAL);
        };
        let counts: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [captured, received, dropped] = counts[..] else { bail!("no counts in {line:?}") };
        ensure!(dropped == 0, "the tap lost packets: {line}");
        if captured == received {
            return Ok(captured);
        }
        ensure!(start.elapsed() < LIMIT, "the tap is behind: {line}");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where control channels are, as the outside sees them.
fn control_ports(rules: &Rules) -> BTreeSet<u16> {
    let listens = ROWS.iter().filter_map(|row| match row.attach {
        Attach::Ports(ports) => Some(ports.iter().map(|port| port.port)),
        Attach::Door => None,
    });
    let mut ports: BTreeSet<u16> = listens.flatten().collect();
    for line in rules.lines.iter().filter(|line| line.contains("ip nat service")) {
        ports.extend(line.split(' ').filter_map(|word| word.parse::<u16>().ok()));
    }
    let vrfs = rules.vrfs.iter().flat_map(|vrfs| &vrfs.blue_statics);
    let globals = rules.statics.iter().chain(vrfs).filter_map(|rule| match rule {
        Static::Port(_, local, global) if ports.contains(&local.port()) => Some(global.port()),
        _ => None,
    });
    let globals: Vec<u16> = globals.collect();
    ports.extend(globals);
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Protocol;
    use std::net::{Ipv4Addr, SocketAddrV4};

    #[test]
    fn control_channels_are_where_gateways_listen() {
        let mut rules = Rules::routed_pool();
        rules.lines.push("ip nat service list 21 ftp tcp port 2121".into());
        let end = |port| SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 30), port);
        rules.statics.push(Static::Port(Protocol::Tcp, end(21), end(2102)));
        let ports = control_ports(&rules);
        assert!([21, 53, 69, 514, 554, 2102, 2121].iter().all(|port| ports.contains(port)), "{ports:?}");
        assert!(!ports.contains(&80) && !ports.contains(&8080), "{ports:?}");
    }
}
