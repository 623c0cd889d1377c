//! Signals, which are orders to the control thread.
use anyhow::{Context as _, Result};
use crossbeam::channel::bounded;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::request::Orders;

/// Turns signals into orders in a thread of its own: SIGTERM and SIGINT stop, SIGHUP reloads. The second one that stops ends
/// the process at once, whatever its other threads are at. Signals that come before anybody carries orders out wait.
///
/// # Errors
/// When the signals cannot be caught.
pub fn catch_signals() -> Result<Orders> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let ((stop, stop_orders), (reload, reload_orders)) = (bounded(1), bounded(1));
    let serve = move || {
        let mut is_stopping = false;
        for signal in signals.forever() {
            // An order that waits already is one for both.
            match signal {
                SIGHUP => drop(reload.try_send(())),
                _ if is_stopping => signal_hook::low_level::exit(128 + signal),
                _ => drop(stop.try_send(if signal == SIGINT { "SIGINT" } else { "SIGTERM" })),
            }
            is_stopping |= signal != SIGHUP;
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(serve).context("no thread for signals")?;
    Ok(Orders { stop: stop_orders, reload: reload_orders })
}
