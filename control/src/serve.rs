//! Who asks the control thread besides the command socket: Prometheus and signals.

use std::io;

use anyhow::{Context as _, Result, anyhow};
use crossbeam::channel::{Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::config::Config;
use crate::devices::place_of;
use crate::request::{Orders, Piece, Request, pieces};

/// Opens the port of `prometheus exporter`, if there is one.
///
/// # Errors
/// When the address is not ours or the port is taken.
pub fn open_exporter(config: &Config) -> Result<Option<tiny_http::Server>> {
    let Some(exporter) = config.prometheus_exporter else { return Ok(None) };
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| {
        let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let advice = match error.downcast_ref().is_some_and(is_denied) {
            true => "run as root, or give 'prometheus exporter' a port above 1023",
            false => "change 'prometheus exporter', or stop who uses the port ('ss -ltnp' tells)",
        };
        anyhow!(
            "{}: cannot serve metrics on {}: {error}; {advice}",
            place_of(config, exporter.place),
            exporter.socket
        )
    };
    tiny_http::Server::http(exporter.socket).map(Some).map_err(refused)
}

/// Serves `/metrics` in a thread of its own.
///
/// # Errors
/// When there can be no other thread.
pub fn serve_metrics(server: tiny_http::Server, requests: Sender<Request>) -> Result<()> {
    let serve = move || {
        for request in server.incoming_requests() {
            let answered = if request.url() == "/metrics" {
                let (sender, receiver) = bounded(1);
                let _ = requests.send(Request::Metrics(sender));
                let text = match pieces(&receiver).next() {
                    Some(Piece::Text(text)) => text,
                    _ => String::new(),
                };
                let response = tiny_http::Response::from_string(text);
                let kind = "Content-Type: text/plain; version=0.0.4".parse::<tiny_http::Header>();
                request.respond(kind.into_iter().fold(response, tiny_http::Response::with_header))
            } else {
                let text = "metrics are at /metrics\n";
                request.respond(tiny_http::Response::from_string(text).with_status_code(404))
            };
            if let Err(error) = answered {
                tracing::debug!(mnemonic = "SYS-7-METRICS", "metrics connection: {error}");
            }
        }
    };
    std::thread::Builder::new().name("metrics".into()).spawn(serve).context("no thread for metrics")?;
    Ok(())
}

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
