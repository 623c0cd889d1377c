//! The worker threads: pinned, registered with DPDK, polling until they are told to stop.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use control::fault::WORKER;
use crossbeam::channel::{Sender, bounded};
use dataplane::port::BURST;
use dataplane::worker::{Worker, WorkerSetup};
use dataplane_dpdk::Eal;

/// Rounds without a packet after which a worker that shares its core rests, and for how long.
const IDLE_ROUNDS: u32 = 2000;
const REST: Duration = Duration::from_micros(50);
/// Full rounds in a row between looks at the clock.
const ROUNDS_UNREAD_MAX: u64 = 4;
/// How long workers may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Running workers; they are stopped when this is dropped, if they were not before.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Workers {
    /// Starts a worker of each setup, pinned to the core at its place in `cores`, if there is one.
    ///
    /// # Errors
    /// When a thread cannot be started, pinned or registered.
    pub fn start(eal: Eal, setups: Vec<WorkerSetup>, cores: &[u16], started: Instant) -> Result<Workers> {
        let mut workers = Workers { threads: Vec::new(), stop: Arc::new(AtomicBool::new(false)) };
        for setup in setups {
            let core = cores.get(usize::from(setup.index)).map(|&core| usize::from(core));
            let (sender, is_ready) = bounded(1);
            let stop = Arc::clone(&workers.stop);
            let thread = std::thread::Builder::new().name(format!("{WORKER}{}", setup.index));
            workers.threads.push(
                thread
                    .spawn(move || work(eal, setup, core, started, &sender, &stop))
                    .context("a worker's thread cannot be started")?,
            );
            match is_ready.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => bail!("a worker cannot start: {error}"),
                Err(_) => bail!("a worker ended while it started"),
            }
        }
        Ok(workers)
    }

    /// Stops the workers and waits for their end.
    ///
    /// # Errors
    /// When one stands still and does not end, or had panicked.
    pub fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let asked = Instant::now();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if asked.elapsed() > STOP_WITHIN {
                // The end of the process ends them too; until then they keep their devices.
                self.threads.clear();
                bail!("a worker stands still and does not stop; it is given up");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut ends = self.threads.drain(..).map(JoinHandle::join);
        ends.try_for_each(|end| end.map_err(|_| anyhow!("a worker had panicked")))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn work(
    eal: Eal,
    setup: WorkerSetup,
    core: Option<usize>,
    started: Instant,
    ready: &Sender<Result<(), String>>,
    stop: &AtomicBool,
) {
    if let Some(id) = core
        && !core_affinity::set_for_current(core_affinity::CoreId { id })
    {
        let _ = ready.send(Err(format!("it cannot run on core {id}; change 'cores' under 'platform dpdk'")));
        return;
    }
    let _registration = match eal.register_worker_thread() {
        Ok(registration) => registration,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
    };
    let now_ns = elapsed_ns(started);
    let mut worker = Worker::new(setup, clock_ms(now_ns));
    worker.round(clock_ms(now_ns));
    let _ = ready.send(Ok(()));
    poll(&mut worker, core.is_some(), started, stop);
}

fn elapsed_ns(started: Instant) -> u64 {
    started.elapsed().as_nanos() as u64
}

/// The worker's clock: it wraps around after 49 days, which the worker expects.
fn clock_ms(elapsed_ns: u64) -> u32 {
    (elapsed_ns / 1_000_000) as u32
}

/// Polls until told to stop. A worker with a core of its own never rests. The clock is read once a round, for the
/// packets and for the loop's counters; under load, once in several rounds, which take microseconds.
fn poll(worker: &mut Worker, has_core: bool, started: Instant, stop: &AtomicBool) {
    let counters = Arc::clone(worker.counters());
    let counts = &counters.poll;
    let begun_ns = elapsed_ns(started);
    let mut now_ns = begun_ns;
    let (mut idle_rounds, mut unread_rounds, mut unread_packets) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let packets = worker.round(clock_ms(now_ns));
        unread_rounds += 1;
        unread_packets += packets;
        if packets >= BURST && unread_rounds < ROUNDS_UNREAD_MAX {
            continue;
        }
        if packets > 0 {
            idle_rounds = 0;
        } else {
            idle_rounds += 1;
            if idle_rounds > IDLE_ROUNDS && !has_core {
                std::thread::sleep(REST);
            } else {
                std::hint::spin_loop();
            }
        }
        let round_ns = elapsed_ns(started) - now_ns;
        now_ns += round_ns;
        counts.rounds.add(unread_rounds);
        counts.elapsed_ns.set(now_ns - begun_ns);
        if unread_packets > 0 {
            // All rounds before the last one were full.
            counts.busy_rounds.add(unread_rounds - u64::from(packets == 0));
            counts.packets.add(unread_packets as u64);
            counts.busy_ns.add(round_ns);
        }
        (unread_rounds, unread_packets) = (0, 0);
    }
}
