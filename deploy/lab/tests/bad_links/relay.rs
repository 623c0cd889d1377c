//! A cable that is bad: frames between two devices are carried by a thread of ours, which loses, repeats and delays
//! them. The kernel could do as much with netem, which not every kernel has.

use crate::device::{FRAME_LEN_MAX, open};
use anyhow::Result;
use lab::End;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Instant;
use testkit::simulator::link::{Impairments, Link};

/// Frames that went in and out of a relay's links.
#[derive(Default)]
struct Counts {
    arrived: AtomicU64,
    sent: AtomicU64,
}

/// A thread that carries frames until it is dropped.
pub struct Relay {
    is_over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Relay {
    /// Carries frames between two devices.
    pub fn start(ends: [End; 2], impairments: Impairments, seed: u64) -> Result<Relay> {
        let (is_over, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let devices = [open(ends[0])?, open(ends[1])?];
        let (over, counted) = (Arc::clone(&is_over), Arc::clone(&counts));
        let thread = spawn(move || carry(devices, &impairments, seed, &over, &counted));
        Ok(Relay { is_over, counts, thread: Some(thread) })
    }

    /// Frames that arrived, and frames that went on.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.arrived.load(Ordering::Relaxed), self.counts.sent.load(Ordering::Relaxed))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("the relay ended: {error:#}"),
            Some(Err(_)) => eprintln!("the relay panicked"),
            _ => {}
        }
    }
}

fn carry(
    mut devices: [File; 2],
    impairments: &Impairments,
    seed: u64,
    is_over: &AtomicBool,
    counts: &Counts,
) -> Result<()> {
    let mut generator = SmallRng::seed_from_u64(seed);
    let mut links = [0, 1].map(|_| Link::new(impairments.clone()));
    let start = Instant::now();
    let mut frame = [0; FRAME_LEN_MAX];
    while !is_over.load(Ordering::Relaxed) {
        let mut waits = [0, 1].map(|at: usize| PollFd::new(devices[at].as_fd(), PollFlags::POLLIN));
        poll(&mut waits, PollTimeout::from(1u8))?;
        let now_ms = start.elapsed().as_millis() as u64;
        for (device, link) in devices.iter_mut().zip(&mut links) {
            loop {
                match device.read(&mut frame) {
                    Ok(len) => {
                        counts.arrived.fetch_add(1, Ordering::Relaxed);
                        link.send(frame[..len].to_vec(), now_ms, &mut generator);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(frame) = links[from].receive(now_ms) {
                // A device without room loses frames, too.
                if devices[to].write(&frame).is_ok() {
                    counts.sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
    Ok(())
}
