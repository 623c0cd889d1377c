//! `portico replay`: the same path, fed from capture files on the captures' own clock.
//!
//! One worker and the control side are stepped in turn, so that the same captures give the same bytes every
//! time. The clock starts at the first frame, stands still while a frame is handled, and then goes on to the next.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use dataplane::port::Port;
use dataplane::port::pcap::{CaptureClock, Frame, PcapPort, read_capture};
use dataplane::worker::Worker;

use crate::appliance::{Answering, Appliance};
use crate::cli;
use crate::compile::PortBinding;
use crate::config::{Config, InterfaceName};

/// A fixed secret: a replay is the same every time, and nobody attacks it.
const SECRET: [u64; 2] = [0x706f_7274_6963_6f00, 0x7265_706c_6179_0000];
/// Steps between frames and after the last one: long enough for ARP to be given up, in milliseconds.
const STEP_MS: u64 = 100;
const SETTLE_MS: u64 = 5000;
/// Rounds at one instant, so that a fault in the appliance cannot hang a replay.
const ROUNDS_MAX: usize = 100_000;

/// A `--port IFACE=FILE` argument.
#[derive(Clone, Debug)]
pub struct PortArgument {
    interface: InterfaceName,
    capture: PathBuf,
}

impl std::str::FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<PortArgument, String> {
        let (name, capture) = text.split_once('=').ok_or("expected INTERFACE=FILE.pcap")?;
        let interface = name.parse().map_err(|()| format!("{name:?} is no interface name"))?;
        Ok(PortArgument { interface, capture: capture.into() })
    }
}

/// A replay under way.
struct Replay {
    appliance: Appliance,
    worker: Worker,
    clock: CaptureClock,
    start_us: u64,
}

/// Replays captures, writes `OUT/INTERFACE.pcap` for each port, and prints what `shows` ask for.
///
/// # Errors
/// When a file cannot be read or written, or is no Ethernet capture.
pub fn replay(config: Config, arguments: &[PortArgument], out: &Path, shows: &[String]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let clock = CaptureClock::default();
    let (mut bindings, mut ports) = (Vec::new(), Vec::<Box<dyn Port>>::new());
    let mut times = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        if config.interface(&argument.interface).is_none() {
            bail!("--port {}: the configuration has no such interface", argument.interface);
        }
        let frames = read_capture(&argument.capture)?;
        times.extend(frames.iter().map(|frame: &Frame| frame.at_us));
        let file = format!("{}.pcap", argument.interface.as_str().replace('/', "_"));
        ports.push(Box::new(PcapPort::new(index, clock.clone(), frames, &out.join(file))?));
        bindings.push(PortBinding { interface: argument.interface.clone(), mac: None, has_link: true });
    }
    times.sort_unstable();
    times.dedup();
    let (mut appliance, setups) =
        Appliance::new(config, bindings, vec![ports], SECRET).map_err(|errors| {
            errors.iter().for_each(crate::log::say);
            anyhow!("the configuration asks for what cannot be done")
        })?;
    let setup = setups.into_iter().next().ok_or_else(|| anyhow!("no worker"))?;
    let start_us = times.first().copied().unwrap_or(0);
    appliance.operation.started_at += Duration::from_micros(start_us);
    let mut replay = Replay { appliance, worker: Worker::new(setup, 0), clock, start_us };
    replay.play(&times);
    let mut out = std::io::stdout().lock();
    for show in shows {
        // Who reads only the head of a long table closes the pipe; that is no failure of ours.
        let _ = writeln!(out, "{}", replay.show(show)?);
    }
    Ok(())
}

impl Replay {
    fn play(&mut self, times_us: &[u64]) {
        // Configuration and announcements come before the first frame.
        self.clock.set_us(self.start_us.saturating_sub(1));
        self.settle();
        for (position, &at_us) in times_us.iter().enumerate() {
            self.at(at_us);
            let next_us = times_us.get(position + 1).copied().unwrap_or(u64::MAX);
            let quiet_us = next_us.min(at_us + SETTLE_MS * 1000);
            let mut step_us = at_us + STEP_MS * 1000;
            while step_us < quiet_us {
                self.at(step_us);
                step_us += STEP_MS * 1000;
            }
        }
    }

    fn at(&mut self, at_us: u64) {
        self.clock.set_us(at_us);
        self.settle();
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_us().saturating_sub(self.start_us) / 1000
    }

    /// Steps worker and control side until neither has anything to do at this instant.
    fn settle(&mut self) {
        let now_ms = self.now_ms();
        for _ in 0..ROUNDS_MAX {
            let packets = self.worker.round(now_ms as u32);
            let had_events = self.appliance.step(now_ms);
            if packets == 0 && !had_events {
                break;
            }
        }
        self.worker.round(now_ms as u32);
    }

    fn show(&mut self, command: &str) -> Result<String> {
        let now_ms = self.now_ms();
        let mut answering = InTurn { worker: &mut self.worker, now_ms };
        let mut context = cli::Context { appliance: &mut self.appliance, answering: &mut answering, now_ms };
        cli::execute(&mut context, command).map_err(|refusal| anyhow!(refusal))
    }
}

/// A worker in the same thread: it answers when it is given a round.
pub struct InTurn<'a> {
    /// The worker.
    pub worker: &'a mut Worker,
    /// Its time.
    pub now_ms: u64,
}

impl Answering for InTurn<'_> {
    fn let_work(&mut self) -> u64 {
        self.worker.round(self.now_ms as u32);
        self.now_ms
    }
}
