//! What the control side keeps of its own doing: time, reloads, loads of workers, rates of interfaces, and the
//! counters' values when they were last cleared.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dataplane::counters::Counters;
use dataplane::policy::InterfaceIndex;
use dataplane::port::device::Device;
use dataplane::wire::arp;

use crate::baselines::Baselines;
use crate::change::{Change, Revert, Startup};
use crate::compile::{Compiled, is_alias};
use crate::config::{Config, InterfaceName};
use crate::load::Load;
use crate::log::Log;
use crate::rates::Rates;
use crate::tracks::Tracks;

/// How often a duplicate address is told of again, in milliseconds.
const DUPLICATE_EVERY_MS: u64 = 30_000;
/// Addresses that duplicates are remembered of.
const DUPLICATES_MAX: usize = 1000;

/// An open device with the interface it belongs to.
pub struct OpenDevice {
    /// The interface that names it.
    pub interface: InterfaceName,
    /// The device.
    pub device: Box<dyn Device>,
}

/// The most sessions and whole addresses that each worker had at once, all workers together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// How many.
    pub count: u64,
    /// When the last worker had most, in milliseconds since the start, to a step of the control side.
    pub at_ms: u64,
}

/// The control side's own state. A replay has no devices and no log.
pub struct Operation {
    /// Milliseconds since the appliance started, as of its last step.
    pub now_ms: u64,
    /// The time of day when that was 0.
    pub started_at: SystemTime,
    /// Configurations taken over since the start.
    pub reloads_done: u64,
    /// Configurations refused since the start.
    pub reloads_refused: u64,
    /// What counters started from when they were last cleared.
    pub baselines: Baselines,
    /// How busy each worker is.
    pub loads: Vec<Load>,
    /// Packets and bits a second of each interface.
    pub rates: Rates,
    /// How tracked objects have fared.
    pub tracks: Tracks,
    /// The devices, in the order of ports.
    pub devices: Vec<OpenDevice>,
    /// The configuration that the program started with: some of it is fixed while it runs. A replay has none.
    pub started_with: Option<Box<Config>>,
    /// The log.
    pub log: Option<Log>,
    /// Configurations that wait to be taken over.
    pub changes: VecDeque<Change>,
    /// The way back from a change that waits to be confirmed.
    pub revert: Option<Revert>,
    /// The configuration's file. A replay writes to none.
    pub startup: Option<Startup>,
    /// When there were most translations.
    pub peak: Peak,
    /// Workers that have not told yet how many sessions a reload's settings would not make.
    pub recomputing: usize,
    /// Sessions that ended since the start as settings would not make them.
    pub recomputed: u64,
    recomputed_told: u64,
    duplicates_told_ms: HashMap<Ipv4Addr, u64>,
}

impl Default for Operation {
    fn default() -> Operation {
        Operation {
            now_ms: 0,
            started_at: SystemTime::UNIX_EPOCH,
            reloads_done: 0,
            reloads_refused: 0,
            baselines: Baselines::default(),
            loads: Vec::new(),
            rates: Rates::default(),
            tracks: Tracks::default(),
            devices: Vec::new(),
            started_with: None,
            log: None,
            changes: VecDeque::new(),
            revert: None,
            startup: None,
            peak: Peak::default(),
            recomputing: 0,
            recomputed: 0,
            recomputed_told: 0,
            duplicates_told_ms: HashMap::new(),
        }
    }
}

impl Operation {
    /// The time of day, `ago_ms` before now.
    pub fn time_of_day(&self, ago_ms: u64) -> SystemTime {
        self.started_at + Duration::from_millis(self.now_ms.saturating_sub(ago_ms))
    }

    /// Looks whether workers have more translations than ever.
    pub fn note_peak(&mut self, workers: &[Arc<Counters>]) {
        let count = workers.iter().map(|counters| counters.nat.translations_peak.value()).sum();
        if count > self.peak.count {
            self.peak = Peak { count, at_ms: self.now_ms };
        }
    }

    /// A worker has ended so many sessions that a reload's settings would not make. The last one's word is logged, with the
    /// number of all.
    pub fn note_recomputed(&mut self, count: u64) {
        self.recomputed += count;
        self.recomputing = self.recomputing.saturating_sub(1);
        let untold = self.recomputed - self.recomputed_told;
        if self.recomputing == 0 && untold > 0 {
            self.recomputed_told = self.recomputed;
            tracing::warn!(
                mnemonic = "IPNAT-4-RECOMPUTED",
                "{untold} translation(s) deleted: they do not match the new mode, port sets or deterministic NAT"
            );
        }
    }

    /// Logs that another host uses an address of the box, if this ARP packet shows it.
    pub fn note_duplicate(&mut self, compiled: &Compiled, index: InterfaceIndex, arp: &[u8; arp::LEN]) {
        let Some(interface) = compiled.policy.interfaces.get(usize::from(index)) else { return };
        let [a, b, c, d, e, f, w, x, y, z] = std::array::from_fn(|at| arp[8 + at]);
        let (mac, addr) = ([a, b, c, d, e, f], Ipv4Addr::new(w, x, y, z));
        let is_ours =
            interface.addresses.iter().any(|&(own, _)| own == addr) || is_alias(compiled, interface, addr);
        if !is_ours || mac == interface.mac {
            return;
        }
        let told_ms = self.duplicates_told_ms.get(&addr);
        let is_known = told_ms.is_some_and(|told_ms| self.now_ms < told_ms + DUPLICATE_EVERY_MS);
        if is_known || self.duplicates_told_ms.len() >= DUPLICATES_MAX {
            return;
        }
        self.duplicates_told_ms.insert(addr, self.now_ms);
        tracing::warn!(
            mnemonic = "IP-4-DUPADDR",
            "Duplicate address {addr} on {}, sourced by {}",
            interface.name,
            crate::config::model::MacAddress(mac)
        );
    }
}
