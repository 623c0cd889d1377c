use std::cell::RefCell;
use std::ffi::c_char;
use std::sync::OnceLock;

/// How much DPDK says, from least to most; the values are DPDK's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What went wrong.
    Error = 4,
    /// What may be wrong.
    Warning = 5,
    /// What an operator should know.
    Notice = 6,
    /// What DPDK found and chose.
    Info = 7,
    /// Everything.
    Debug = 8,
}

/// Where messages go.
pub(crate) type Sink = fn(LogLevel, &str);

static SINK: OnceLock<Sink> = OnceLock::new();

thread_local! {
    /// What DPDK complained about on this thread since `captured` began, one message a line.
    static COMPLAINTS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Directs DPDK's messages to `sink`; only the first sink of a process counts. False when DPDK cannot.
pub(crate) fn open(sink: Sink) -> bool {
    SINK.get_or_init(|| sink);
    // SAFETY: `write` has the declared signature and lives as long as the process.
    unsafe { dpdk_sys::shim_log_open(Some(write)) == 0 }
}

/// Runs `call` and returns with its result what DPDK complained about meanwhile on this thread.
pub(crate) fn captured<T>(call: impl FnOnce() -> T) -> (T, String) {
    COMPLAINTS.set(Some(String::new()));
    let result = call();
    let said = COMPLAINTS.take().unwrap_or_default();
    (result, if said.is_empty() { "nothing".to_owned() } else { said })
}

/// DPDK's stream writes here, one message per call.
unsafe extern "C" fn write(level: u32, text: *const c_char, length: usize) {
    // SAFETY: the shim passes its stream's buffer, `length` bytes of it.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end();
    let level = match level {
        0..=4 => LogLevel::Error,
        5 => LogLevel::Warning,
        6 => LogLevel::Notice,
        7 => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    if level <= LogLevel::Warning {
        COMPLAINTS.with_borrow_mut(|complaints| {
            if let Some(complaints) = complaints {
                complaints.push_str(if complaints.is_empty() { "" } else { "; " });
                complaints.push_str(text);
            }
        });
    }
    if let Some(sink) = SINK.get() {
        sink(level, text);
    }
}

/// The default sink.
pub(crate) fn print(_level: LogLevel, text: &str) {
    eprintln!("{text}");
}
