//! `portico replay`: the same packet path, fed from capture files. Its clock follows the times in the captures.
//!
//! One worker and the control thread's work are stepped in turn, so that the same captures give the same bytes every
//! time. The clock starts at the first frame. It stands still while a frame is handled, and then goes on to the next one:
//! whatever becomes due between two frames happens before the second.
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use control::appliance::{Answering, Appliance};
use control::cli;
use control::compile::PortBinding;
use control::config::{Config, InterfaceName};
use control::means::available_bytes;
use dataplane::port::Port;
use dataplane::port::pcap::{CaptureClock, Frame, PcapPort, read_capture};
use dataplane::worker::Worker;

use crate::refusals::{Purpose, refusals, refused};

/// A fixed secret: a replay is the same every time, and nobody attacks it.
const SECRET: [u64; 2] = [0x706f_7274_6963_6f00, 0x7265_706c_6179_0000];
/// The shortest step of the clock between two frames, in microseconds. Most timers need no shorter one.
const STEP_US: u64 = 100_000;
/// A longer step is one `STEP_PART`th of the time since the last frame, but at most a day. So any gap takes few steps.
const STEP_PART: u64 = 1000;
const STEP_MAX_US: u64 = 86_400_000_000;
/// Time that passes after the last frame: ARP is given up and a SYN that waits is answered (RFC 5382 REQ-4).
const END_US: u64 = 10_000_000;
/// The most rounds at one instant, so that a fault in the appliance cannot hang a replay.
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
    /// The most frames at one time that should have been read, but were not.
    late: u64,
}

/// Replays captures, writes `OUT/INTERFACE.pcap` for each port, and prints the answers to the commands in `shows`. Returns
/// whether every frame was read in its time and every command was answered, and prints what failed.
///
/// # Errors
/// When a file cannot be read or written, or is no Ethernet capture.
pub fn replay(config: Config, arguments: &[PortArgument], out: &Path, shows: &[String]) -> Result<bool> {
    let found = refusals(&config, Purpose::Replay, available_bytes());
    if !found.is_empty() {
        return Err(refused(&found, &config.source.file));
    }
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let file = config.source.file.clone();
    let clock = CaptureClock::default();
    let (mut bindings, mut ports) = (Vec::new(), Vec::<Box<dyn Port>>::new());
    let mut times = Vec::new();
    for (index, (binding, capture)) in bind(&config, arguments)?.into_iter().enumerate() {
        let frames = capture.map_or(Ok(Vec::new()), read_capture)?;
        times.extend(frames.iter().map(|frame: &Frame| frame.at_us));
        let file = format!("{}.pcap", binding.interface.as_str().replace('/', "_"));
        ports.push(Box::new(PcapPort::new(index, clock.clone(), frames, &out.join(file))?));
        bindings.push(binding);
    }
    times.sort_unstable();
    let (mut appliance, setups) =
        Appliance::new(config, bindings, vec![ports], SECRET).map_err(|errors| refused(&errors, &file))?;
    let setup = setups.into_iter().next().ok_or_else(|| anyhow!("no worker"))?;
    let start_us = times.first().copied().unwrap_or(0);
    appliance.note_start(SystemTime::UNIX_EPOCH + Duration::from_micros(start_us));
    let mut replay = Replay { appliance, worker: Worker::new(setup, 0), clock, start_us, late: 0 };
    replay.play(&times);
    let mut is_complete = replay.late == 0;
    if !is_complete {
        control::log::say(format_args!(
            "portico: {} frames were not read in their time: the appliance held every buffer of their port",
            replay.late
        ));
    }
    let mut out = std::io::stdout().lock();
    for show in shows {
        match replay.show(show) {
            // A reader of only the first lines closes the pipe early, which is no failure of ours.
            Ok(shown) => _ = writeln!(out, "{shown}"),
            Err(refusal) => {
                is_complete = false;
                control::log::say(format_args!("portico: --show {show:?}: {refusal}"));
            }
        }
    }
    Ok(is_complete)
}

/// The ports of a replay with their captures: those that are named, and every other interface, which only sends.
fn bind<'a>(config: &Config, arguments: &'a [PortArgument]) -> Result<Vec<(PortBinding, Option<&'a Path>)>> {
    let mut ports = Vec::new();
    for PortArgument { interface, capture } in arguments {
        if config.interface(interface).is_none() {
            bail!("--port {interface}: the configuration has no such interface");
        }
        let binding = PortBinding { interface: interface.clone(), mac: None, has_link: true };
        ports.push((binding, Some(capture.as_path())));
    }
    let is_named = |name: &InterfaceName| arguments.iter().any(|argument| argument.interface == *name);
    let has_port = |name: &InterfaceName| !name.is_loopback() && !name.is_null() && name.parent().is_none();
    let silent = config.interfaces.iter().map(|interface| &interface.name);
    for (name, number) in silent.filter(|name| has_port(name) && !is_named(name)).zip(0u8..) {
        // Nobody sends to it: any address of its own will do.
        let mac = Some([2, b'r', b'p', b'l', b'y', number]);
        ports.push((PortBinding { interface: name.clone(), mac, has_link: true }, None));
    }
    Ok(ports)
}

impl Replay {
    fn play(&mut self, times_us: &[u64]) {
        // Configuration and announcements come before the first frame.
        self.clock.set_us(self.start_us.saturating_sub(1));
        self.settle();
        for (position, &at_us) in times_us.iter().enumerate() {
            let next_us = times_us.get(position + 1).copied();
            if next_us == Some(at_us) {
                continue;
            }
            self.at(at_us);
            let read = self.worker.counters().fates.received.value();
            self.late = self.late.max((position as u64 + 1).saturating_sub(read));
            self.pass_silence(at_us, next_us.unwrap_or(at_us + END_US));
        }
    }

    /// Lets the time pass from one frame until just before the next.
    fn pass_silence(&mut self, from_us: u64, to_us: u64) {
        let mut at_us = from_us;
        while at_us + 1 < to_us {
            let step_us = ((at_us - from_us) / STEP_PART).clamp(STEP_US, STEP_MAX_US);
            at_us = (at_us + step_us).min(to_us - 1);
            self.at(at_us);
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
            if packets == 0 && !had_events && !self.worker.is_behind(now_ms as u32) {
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

/// A worker in the same thread. It answers when it is asked to run a round.
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
