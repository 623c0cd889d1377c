//! Panics. One on the control side is logged and counted, and what was being done is given up; forwarding goes on. A worker's
//! ends the process: its packets would go nowhere, and whoever supervises the process starts another one.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::log::say;

/// How the names of the threads begin that forward.
pub const WORKER: &str = "worker-";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many there were since the start.
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// Has every panic of this process logged.
pub fn log_panics() {
    std::panic::set_hook(Box::new(note));
}

fn note(panic: &PanicHookInfo) {
    COUNT.fetch_add(1, Relaxed);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("?");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or_default();
    if name.starts_with(WORKER) {
        say(format_args!("portico: {name} panicked at {place}: {why}; please report this"));
        std::process::abort();
    }
    tracing::error!(mnemonic = "SYS-2-PANIC", "Thread {name} panicked at {place}: {why}; please report this");
}

/// Does a part of the control side's work; none when it panics, which is logged by then.
pub fn spared<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What the work changed may be half done: counters and texts, but nothing that workers hold.
    catch_unwind(AssertUnwindSafe(work)).ok()
}
