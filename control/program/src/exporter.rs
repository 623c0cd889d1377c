//! The metrics page, and the answer to health checks, over HTTP.
//!
//! Whoever reaches the port may be a stranger, so everything that a client can take has a limit, in number, size and
//! time. A connection is for one request: there are no idle ones to keep. When all places are taken, the address that
//! holds most of them loses its oldest.
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use control::config::Config;
use crossbeam::channel::Sender;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::desk::Desk;
use crate::devices::place_of;
use crate::request::Request;

/// Connections at once.
const PLACES_MAX: usize = 32;
/// The longest header of a request, in bytes. Bodies are not read.
const HEADER_BYTES_MAX: usize = 8192;
/// The most lines in it.
const HEADER_LINES_MAX: usize = 64;
/// How long a client may take to send its header.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to read its answer.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken, as while the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log is told that connections cannot be taken.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a client gets.
type Answer = Response<Full<Bytes>>;

/// Opens the port of `prometheus exporter`, if there is one.
///
/// # Errors
/// When the address is not ours or the port is taken.
pub fn open_exporter(config: &Config) -> Result<Option<TcpListener>> {
    let Some(exporter) = config.prometheus_exporter else { return Ok(None) };
    let refused = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "run as root, or give 'prometheus exporter' a port above 1023",
            _ => "change 'prometheus exporter', or stop who uses the port ('ss -ltnp' tells)",
        };
        anyhow!(
            "{}: cannot serve metrics on {}: {error}; {advice}",
            place_of(config, exporter.place),
            exporter.socket
        )
    };
    TcpListener::bind(exporter.socket).map(Some).map_err(refused)
}

/// Serves `/metrics` and `/healthz` in threads of their own. All that can be refused for want of room is made here.
///
/// # Errors
/// When there can be no other threads or no runtime for them.
pub fn serve_metrics(listener: TcpListener, requests: Sender<Request>) -> Result<()> {
    let desks = Desks {
        page: Desk::of_page(requests.clone()).context("no thread for metrics pages")?,
        health: Desk::of_health(requests).context("no thread for health checks")?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no asynchronous runtime for metrics")?;
    let listener = {
        let _entered = runtime.enter();
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)?
    };
    let serve = move || runtime.block_on(take_connections(&listener, &Arc::new(desks)));
    std::thread::Builder::new().name("metrics".into()).spawn(serve).context("no thread for metrics")?;
    Ok(())
}

/// Where connections ask the control thread.
struct Desks {
    page: Desk,
    health: Desk,
}

/// A connection. It is cut off when `_stays` is dropped.
struct Place {
    peer: IpAddr,
    task: JoinHandle<()>,
    _stays: oneshot::Sender<Infallible>,
}

async fn take_connections(listener: &tokio::net::TcpListener, desks: &Arc<Desks>) {
    let mut places = Vec::with_capacity(PLACES_MAX);
    let (mut failures, mut silence) = (0_u64, None::<JoinHandle<()>>);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                make_room(&mut places, peer.ip()).await;
                let (stays, is_cut_off) = oneshot::channel();
                let task = tokio::spawn(converse(stream, Arc::clone(desks), is_cut_off));
                places.push(Place { peer: peer.ip(), task, _stays: stays });
            }
            // Its client is gone already: no reason for the others to wait.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                failures += 1;
                if silence.as_ref().is_none_or(JoinHandle::is_finished) {
                    silence = Some(tokio::spawn(sleep(TOLD_EVERY)));
                    tracing::warn!(
                        mnemonic = "SYS-4-METRICS",
                        "Cannot accept connections to the metrics port: {error}; failed {failures} time(s) since the \
                         last message"
                    );
                    failures = 0;
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sees to it that there is a place for a connection from this address.
async fn make_room(places: &mut Vec<Place>, newcomer: IpAddr) {
    places.retain(|place| !place.task.is_finished());
    if places.len() < PLACES_MAX {
        return;
    }
    let peers: Vec<IpAddr> = places.iter().map(|place| place.peer).collect();
    let Place { task, _stays: stays, .. } = places.remove(gives_way(&peers, newcomer));
    drop(stays);
    // Its file descriptor is free once it has ended.
    let _ = task.await;
}

/// Which of the connections, the oldest first, gives way to one from `newcomer`: the oldest of the address that has
/// most with the new one.
fn gives_way(peers: &[IpAddr], newcomer: IpAddr) -> usize {
    let held =
        |peer: IpAddr| peers.iter().filter(|other| **other == peer).count() + usize::from(peer == newcomer);
    let most = peers.iter().map(|peer| held(*peer)).max();
    peers.iter().position(|peer| Some(held(*peer)) == most).unwrap_or_default()
}

/// Answers one request, within the limits.
async fn converse(
    stream: tokio::net::TcpStream,
    desks: Arc<Desks>,
    is_cut_off: oneshot::Receiver<Infallible>,
) {
    let answered = Arc::new(Notify::new());
    let reply = service_fn(|request: hyper::Request<Incoming>| {
        let (desks, answered) = (Arc::clone(&desks), Arc::clone(&answered));
        async move {
            let answer = answer(request.method(), request.uri().path(), &desks).await;
            answered.notify_one();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADER_LINES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .serve_connection(TokioIo::new(stream), reply);
    let took_too_long = async {
        let _ = timeout(HEADER_WITHIN + Desk::LONGEST, answered.notified()).await;
        sleep(READ_WITHIN).await;
    };
    tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::debug!(mnemonic = "SYS-7-METRICS", "metrics connection: {error}");
            }
            return;
        }
        () = took_too_long => {}
        _ = is_cut_off => {}
    }
    // The kernel forgets at once what the client did not read; else that would outlive the connection, and its limits.
    let _ = connection.into_parts().io.into_inner().set_zero_linger();
}

/// Answers a request for a path.
async fn answer(method: &Method, path: &str, desks: &Desks) -> Answer {
    const UNANSWERED: Bytes = Bytes::from_static(b"the control thread does not answer\n");
    const UNKNOWN: Bytes = Bytes::from_static(b"metrics are at /metrics, a health check is at /healthz\n");
    if method != Method::GET && method != Method::HEAD {
        let refusal = Bytes::from_static(b"only GET and HEAD are answered\n");
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, refusal);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let answered = match path {
        "/metrics" => desks.page.ask().await.map(metrics),
        "/healthz" => desks.health.ask().await.map(|text| plain(StatusCode::OK, text)),
        _ => return plain(StatusCode::NOT_FOUND, UNKNOWN),
    };
    answered.unwrap_or_else(|| plain(StatusCode::SERVICE_UNAVAILABLE, UNANSWERED))
}

/// A metrics page; the version is that of its text format.
fn metrics(text: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    answer
}

/// An answer for people and machines that look at the status only.
fn plain(status: StatusCode, text: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the connections from these addresses gives way to another one.
    fn chosen(peers: &str, newcomer: &str) -> usize {
        let address = |number: &str| IpAddr::from([192, 0, 2, number.parse().expect("a number")]);
        gives_way(&peers.split(' ').map(address).collect::<Vec<_>>(), address(newcomer))
    }

    #[test]
    fn the_oldest_of_who_holds_most_gives_way() {
        assert_eq!(chosen("1 2 2 3 3 3 2", "1"), 1, "the oldest of three threes and three twos");
        assert_eq!(chosen("1 2 2 3 3 3 2", "3"), 3, "who comes counts");
        assert_eq!(chosen("1 2 2", "2"), 1);
        assert_eq!(chosen("1 2 3 4", "5"), 0, "the oldest of all");
        assert_eq!(chosen("1 2 3 4", "3"), 2, "its own");
    }
}
