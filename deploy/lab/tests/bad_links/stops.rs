//! Programs that get no time: the appliance is stopped by SIGSTOP, hosts' programs wait at a gate, each for a while, at
//! moments that a seed decides. What a host's kernel does, it goes on doing.

use anyhow::Result;
use lab::Appliance;
use nix::sys::signal::Signal;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// How long a program is stopped, and how long all run in between, in milliseconds.
const STOP_MS: std::ops::RangeInclusive<u64> = 200..=3000;
const RUN_MS: std::ops::RangeInclusive<u64> = 100..=1000;

/// Where a host's program waits while it is stopped.
#[derive(Default)]
pub struct Gate {
    is_closed: Mutex<bool>,
    opens: Condvar,
}

impl Gate {
    /// Waits until it is open.
    pub fn pass(&self) {
        let is_closed = self.is_closed.lock().expect("a gate");
        drop(self.opens.wait_while(is_closed, |is_closed| *is_closed).expect("a gate"));
    }

    fn set(&self, is_closed: bool) {
        *self.is_closed.lock().expect("a gate") = is_closed;
        self.opens.notify_all();
    }
}

/// How often programs were stopped: the appliance, and hosts'.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stops {
    pub appliance: u64,
    pub hosts: u64,
}

/// Stops the appliance, or one or some of the hosts' programs, until it is over.
pub fn stop_programs(
    appliance: &Appliance,
    gates: &[[Gate; 2]],
    is_over: &AtomicBool,
    seed: u64,
) -> Result<Stops> {
    let mut generator = SmallRng::seed_from_u64(seed);
    let mut stops = Stops::default();
    let program = appliance.running()?;
    while !is_over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(generator.random_range(RUN_MS)));
        let length = Duration::from_millis(generator.random_range(STOP_MS));
        if generator.random_bool(0.4) {
            program.signal(Signal::SIGSTOP)?;
            sleep(length);
            program.signal(Signal::SIGCONT)?;
            stops.appliance += 1;
            continue;
        }
        let stopped: Vec<&Gate> = gates.iter().flatten().filter(|_| generator.random_bool(0.3)).collect();
        stopped.iter().for_each(|gate| gate.set(true));
        sleep(length);
        stopped.iter().for_each(|gate| gate.set(false));
        stops.hosts += stopped.len() as u64;
    }
    Ok(stops)
}
