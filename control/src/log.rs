//! Log messages: to the standard error, to syslog servers, and to a buffer for `show logging`.
//!
//! Whoever has something to say uses `tracing`, with a field `mnemonic` in IOS's manner, such as
//! `mnemonic = "IP-4-DUPADDR"`; the number in it is the syslog severity. One thread writes, and another one to the standard
//! error: whatever becomes of that or of a server, nobody else waits for it.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::calendar::Calendar;
use crate::config::Config;
use crate::config::model::{ConsoleLogging, Logging};

/// Messages under way to the writing thread; more are counted as lost.
const QUEUE_LEN: usize = 1024;
/// Lines kept for `show logging`.
pub const BUFFER_LINES: usize = 1000;
/// The longest message, in bytes: one UDP datagram that every syslog server takes (RFC 5424 section 6.1).
pub const TEXT_MAX: usize = 1500;
/// How long the end of the program waits for the last messages.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);
/// Where syslog servers listen (RFC 5426).
pub const SYSLOG_PORT: u16 = 514;
/// Facility local7, as IOS has it.
const FACILITY: u8 = 23;
const INFORMATIONAL: u8 = 6;
const DEBUGGING: u8 = 7;

/// A log message.
#[derive(Clone, Debug)]
struct Message {
    at: SystemTime,
    severity: u8,
    mnemonic: String,
    text: String,
}

impl Message {
    /// As the standard error has it.
    fn line(&self) -> String {
        format!("{} %{}: {}", humantime::format_rfc3339_millis(self.at), self.mnemonic, self.text)
    }

    /// As `show logging` has it.
    fn buffer_line(&self) -> String {
        format!("{}: %{}: {}", Calendar::from(self.at).stamp(), self.mnemonic, self.text)
    }

    /// As a syslog server has it (RFC 5424).
    fn datagram(&self, hostname: &str) -> String {
        format!(
            "<{}>1 {} {hostname} portico {} {} - %{}: {}",
            FACILITY * 8 + self.severity,
            humantime::format_rfc3339_millis(self.at),
            std::process::id(),
            self.mnemonic,
            self.mnemonic,
            self.text
        )
    }
}

/// What the writing thread is told.
enum Order {
    Write(Message),
    Configure(Logging, String),
    /// Answers once everything before it is written.
    Flush(Sender<()>),
}

/// What the thread that writes to the standard error is told.
enum ConsoleOrder {
    Write(String),
    /// As [`Order::Flush`].
    Flush(Sender<()>),
}

/// The log, to be configured and read.
#[derive(Clone)]
pub struct Log {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The least severe messages that anybody wants, as a syslog severity.
    wanted: AtomicU8,
    lost: AtomicU64,
    state: Mutex<State>,
}

/// What `show logging` shows.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The configuration in force.
    pub logging: Logging,
    /// Messages written to the standard error.
    pub console_count: u64,
    /// Messages that the standard error did not take.
    pub console_failed: u64,
    /// Messages put into the buffer.
    pub buffered_count: u64,
    /// For each server: messages sent, and messages that could not be sent.
    pub host_counts: Vec<(Ipv4Addr, u64, u64)>,
    /// The last lines.
    pub lines: VecDeque<String>,
    /// Messages that came faster than they could be written.
    pub lost: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Starts the thread that writes, and has every message of this process sent to it.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start() -> std::io::Result<Log> {
        let (log, orders) = Log::new();
        let (console, console_orders) = bounded(QUEUE_LEN);
        let writer = Writer::new(Arc::clone(&log.shared), console);
        std::thread::Builder::new().name("log".into()).spawn(move || writer.serve(&orders))?;
        let shared = Arc::clone(&log.shared);
        let write = move || write_to_console(&shared, &console_orders);
        std::thread::Builder::new().name("log-console".into()).spawn(write)?;
        // Only a second start in one process fails, and then the first log goes on.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone()));
        Ok(log)
    }

    fn new() -> (Log, Receiver<Order>) {
        let (orders, inbox) = bounded(QUEUE_LEN);
        let shared = Arc::new(Shared { wanted: AtomicU8::new(INFORMATIONAL), ..Shared::default() });
        (Log { orders, shared }, inbox)
    }

    /// Takes over the logging lines of a configuration.
    pub fn configure(&self, config: &Config) {
        let hostname = config.hostname.clone().unwrap_or_else(|| "-".into());
        // The buffer has what is informational, and more where more is asked for.
        let wanted = trap_severity(&config.logging).max(INFORMATIONAL);
        self.shared.wanted.store(console_severity(&config.logging).unwrap_or(0).max(wanted), Relaxed);
        let _ = self.orders.send_timeout(Order::Configure(config.logging.clone(), hostname), FLUSH_WITHIN);
    }

    /// Waits until what was said so far is written, though not for long.
    pub fn flush(&self) {
        let (done, is_done) = bounded(1);
        if self.orders.send_timeout(Order::Flush(done), FLUSH_WITHIN).is_ok() {
            let _ = is_done.recv_timeout(FLUSH_WITHIN);
        }
    }

    /// Messages that came faster than they could be written.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    /// Its state now.
    pub fn state(&self) -> State {
        State { lost: self.lost(), ..self.shared.state().clone() }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let from_level = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => DEBUGGING,
        };
        let mnemonic = fields.mnemonic.unwrap_or_else(|| format!("PORTICO-{from_level}-MESSAGE"));
        let severity = severity_of(&mnemonic).unwrap_or(from_level);
        if severity > self.shared.wanted.load(Relaxed) {
            return;
        }
        let message = Message { at: SystemTime::now(), severity, mnemonic, text: fields.text };
        if self.orders.try_send(Order::Write(message)).is_err() {
            self.shared.lost.fetch_add(1, Relaxed);
        }
    }
}

/// The least severe messages that go to the standard error; none if no message does.
fn console_severity(logging: &Logging) -> Option<u8> {
    match logging.console.unwrap_or(Logging::CONSOLE_DEFAULT) {
        ConsoleLogging::Off => None,
        ConsoleLogging::Severity(severity) => Some(severity),
    }
}

/// The least severe messages that go to syslog servers.
fn trap_severity(logging: &Logging) -> u8 {
    logging.trap.unwrap_or(Logging::TRAP_DEFAULT)
}

/// The number in `FACILITY-4-NAME`.
fn severity_of(mnemonic: &str) -> Option<u8> {
    mnemonic.split('-').nth(1)?.parse().ok().filter(|severity| *severity <= DEBUGGING)
}

/// What a message says: its text on one line, other fields after it.
#[derive(Default)]
struct Fields {
    mnemonic: Option<String>,
    text: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "mnemonic" => self.mnemonic = Some(value.into()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let said = match field.name() {
            "message" => format!("{value:?}"),
            name => format!(" {name}={value:?}"),
        };
        let room = TEXT_MAX.saturating_sub(self.text.len());
        let printable = said.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.text.extend(printable.scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= room).then_some(c)
        }));
    }
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
    console: Sender<ConsoleOrder>,
    socket: Option<UdpSocket>,
    hostname: String,
    logging: Logging,
    lost_told: u64,
}

impl Writer {
    fn new(shared: Arc<Shared>, console: Sender<ConsoleOrder>) -> Writer {
        let (hostname, logging) = ("-".into(), Logging::default());
        Writer { shared, console, socket: None, hostname, logging, lost_told: 0 }
    }

    fn serve(mut self, orders: &Receiver<Order>) {
        for order in orders {
            match order {
                Order::Write(message) => {
                    self.write(&message);
                    self.tell_losses();
                }
                Order::Configure(logging, hostname) => self.configure(logging, hostname),
                Order::Flush(done) => drop(self.console.try_send(ConsoleOrder::Flush(done))),
            }
        }
    }

    fn configure(&mut self, logging: Logging, hostname: String) {
        let mut state = self.shared.state();
        let known = std::mem::take(&mut state.host_counts);
        let count_of = |host: &Ipv4Addr| {
            known.iter().find(|(known, ..)| known == host).copied().unwrap_or((*host, 0, 0))
        };
        state.host_counts = logging.hosts.iter().map(count_of).collect();
        state.logging = logging.clone();
        drop(state);
        (self.logging, self.hostname) = (logging, hostname);
        if self.socket.is_none() && !self.logging.hosts.is_empty() {
            self.socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok();
            if let Some(socket) = &self.socket {
                // A server that is down or slow loses messages; it does not hold up the others.
                let _ = socket.set_nonblocking(true);
            }
        }
    }

    fn write(&mut self, message: &Message) {
        let is_for_console = console_severity(&self.logging).is_some_and(|least| message.severity <= least);
        // A standard error that takes nothing for long loses lines.
        let is_lost = is_for_console && self.console.try_send(ConsoleOrder::Write(message.line())).is_err();
        let is_for_hosts = message.severity <= trap_severity(&self.logging);
        let sent = if is_for_hosts { self.send(&message.datagram(&self.hostname)) } else { Vec::new() };
        let mut state = self.shared.state();
        state.console_failed += u64::from(is_lost);
        for (counts, is_sent) in state.host_counts.iter_mut().zip(sent) {
            counts.1 += u64::from(is_sent);
            counts.2 += u64::from(!is_sent);
        }
        if state.lines.len() == BUFFER_LINES {
            state.lines.pop_front();
        }
        state.lines.push_back(message.buffer_line());
        state.buffered_count += 1;
    }

    /// Sends a datagram to every server, and tells for each whether it went out.
    fn send(&self, datagram: &str) -> Vec<bool> {
        let send = |host: &Ipv4Addr| {
            let to = SocketAddrV4::new(*host, SYSLOG_PORT);
            self.socket.as_ref().is_some_and(|socket| socket.send_to(datagram.as_bytes(), to).is_ok())
        };
        self.logging.hosts.iter().map(send).collect()
    }

    fn tell_losses(&mut self) {
        let lost = self.shared.lost.load(Relaxed);
        if lost == self.lost_told {
            return;
        }
        let text = format!("{} messages came too fast to be written", lost - self.lost_told);
        self.lost_told = lost;
        let mnemonic = "SYS-4-LOGLOST".to_string();
        self.write(&Message { at: SystemTime::now(), severity: 4, mnemonic, text });
    }
}

fn write_to_console(shared: &Shared, orders: &Receiver<ConsoleOrder>) {
    for order in orders {
        match order {
            ConsoleOrder::Write(line) => {
                let is_taken = std::io::stderr().write_all(format!("{line}\n").as_bytes()).is_ok();
                let mut state = shared.state();
                state.console_count += u64::from(is_taken);
                state.console_failed += u64::from(!is_taken);
            }
            ConsoleOrder::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// Writes to the standard error before there is a log. A standard error that takes nothing is no reason to stop.
pub fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is queued when `say` runs.
    fn queued(say: impl FnOnce()) -> Vec<Message> {
        let (log, orders) = Log::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), say);
        let written = |order| match order {
            Order::Write(message) => Some(message),
            _ => None,
        };
        orders.try_iter().filter_map(written).collect()
    }

    #[test]
    fn the_mnemonic_tells_the_severity_and_the_level_otherwise() {
        let messages = queued(|| {
            tracing::info!(mnemonic = "LINK-3-UPDOWN", "Interface {} is down", 1);
            tracing::warn!("plain");
            tracing::debug!("nobody asked for this");
        });
        let said: Vec<_> =
            messages.iter().map(|m| (m.severity, m.mnemonic.as_str(), m.text.as_str())).collect();
        assert_eq!(said, [(3, "LINK-3-UPDOWN", "Interface 1 is down"), (4, "PORTICO-4-MESSAGE", "plain")]);
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let long = "x".repeat(3 * TEXT_MAX);
        let messages = queued(|| {
            tracing::warn!("two\nlines\u{7}");
            tracing::warn!("{long}\u{e9}");
        });
        assert_eq!(messages[0].text, "two lines ");
        assert_eq!(messages[1].text.len(), TEXT_MAX);
    }

    #[test]
    fn a_datagram_is_as_rfc_5424_has_it() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_123);
        let message = Message { at, severity: 4, mnemonic: "IP-4-DUPADDR".into(), text: "Duplicate".into() };
        let process = std::process::id();
        assert_eq!(
            message.datagram("edge"),
            format!(
                "<188>1 1970-01-02T00:00:00.123Z edge portico {process} IP-4-DUPADDR - %IP-4-DUPADDR: Duplicate"
            )
        );
        assert_eq!(message.line(), "1970-01-02T00:00:00.123Z %IP-4-DUPADDR: Duplicate");
        assert_eq!(message.buffer_line(), "Jan  2 00:00:00.123 UTC: %IP-4-DUPADDR: Duplicate");
    }

    #[test]
    fn a_standard_error_that_takes_nothing_holds_nothing_up() {
        let (log, orders) = Log::new();
        let (console, _nobody_reads) = bounded(2);
        let mut writer = Writer::new(Arc::clone(&log.shared), console);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), || {
            (0..5).for_each(|number| tracing::warn!("{number}"));
        });
        for order in orders.try_iter() {
            if let Order::Write(message) = order {
                writer.write(&message);
            }
        }
        let state = log.state();
        assert_eq!((state.buffered_count, state.console_count, state.console_failed), (5, 0, 3));
    }

    #[test]
    fn what_does_not_fit_into_the_queue_is_counted() {
        let (log, orders) = Log::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), || {
            for number in 0..QUEUE_LEN + 5 {
                tracing::warn!("{number}");
            }
        });
        assert_eq!((orders.len(), log.state().lost), (QUEUE_LEN, 5));
    }
}
