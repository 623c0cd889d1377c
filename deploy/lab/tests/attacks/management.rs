//! Who may talk to the appliance itself: by its command socket, by its metrics port, by its configuration; and a worker that stands
//! still.

use crate::stage::AttackedLab;
use crate::wire::random;
use anyhow::{Context, Result};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rand::RngExt;
use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

const METRICS: &str = "127.0.0.1:9464";
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
/// Connections held at once.
const HELD: usize = 500;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Listings of which nothing is read, and others whose first page is read and no more.
pub fn unread_listings(stage: &AttackedLab) -> Result<()> {
    let mut held = VecDeque::new();
    let socket = stage.lab.gateway.appliance().socket().to_owned();
    stage.at_rate(|number| {
        // The appliance may close what is left unread, and refuse what is too much.
        let Ok(mut stream) = UnixStream::connect(&socket) else { return Ok(()) };
        stream.set_write_timeout(Some(CONNECT_LIMIT))?;
        let _ = stream.write_all(b"exec show ip nat translations verbose\n");
        if number % 4 == 3 {
            stream.set_read_timeout(Some(LOOK))?;
            let _ = stream.read(&mut [0; 2000]);
        }
        held.push_back(stream);
        if held.len() > HELD {
            held.pop_front();
        }
        Ok(())
    })
}

/// Runs in the appliance's namespace, where its metrics port is.
fn beside_exporter(
    stage: &AttackedLab,
    mut act: impl FnMut(u64, &mut VecDeque<TcpStream>) -> Result<()> + Send,
) -> Result<()> {
    stage.lab.gateway.namespace().within(|| {
        let mut held = VecDeque::new();
        stage.at_rate(|number| {
            act(number, &mut held)?;
            while held.len() > HELD {
                held.pop_front();
            }
            Ok(())
        })
    })?
}

/// A connection to the metrics port; none where there is none to be had.
fn connect() -> Option<TcpStream> {
    let address: SocketAddr = METRICS.parse().ok()?;
    let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).ok()?;
    stream.set_write_timeout(Some(LOOK)).ok()?;
    stream.set_read_timeout(Some(LOOK)).ok()?;
    Some(stream)
}

/// Connections that say nothing, or a header a byte at a time.
pub fn idle_connections(stage: &AttackedLab) -> Result<()> {
    beside_exporter(stage, |number, held| {
        if let Some(mut stream) = connect() {
            let said: &[u8] = if number.is_multiple_of(2) { b"" } else { b"GET /metrics HTTP/1.1\r\nX: " };
            let _ = stream.write_all(said);
            held.push_back(stream);
        }
        for slow in held.iter_mut().rev().take(20) {
            let _ = slow.write(b"a");
        }
        Ok(())
    })
}

/// Headers without end, a mebibyte a connection at most.
pub fn endless_headers(stage: &AttackedLab) -> Result<()> {
    beside_exporter(stage, |_, _| {
        let Some(mut stream) = connect() else { return Ok(()) };
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
        for _ in 0..16 {
            if stream.write_all(&[b'a'; 1 << 16]).is_err() {
                break;
            }
        }
        Ok(())
    })
}

/// Requests one after another on a connection, and nobody reads.
pub fn unread_pages(stage: &AttackedLab) -> Result<()> {
    beside_exporter(stage, |_, held| {
        if let Some(mut stream) = connect() {
            let _ = stream.write_all(&REQUEST.repeat(500));
            held.push_back(stream);
        }
        Ok(())
    })
}

/// Requests with some bytes changed.
pub fn damaged_requests(stage: &AttackedLab) -> Result<()> {
    let mut random = random(stage);
    const BODY: &[u8] =
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\nffff\r\nx";
    beside_exporter(stage, |number, _| {
        let Some(mut stream) = connect() else { return Ok(()) };
        let mut request = if number.is_multiple_of(2) { REQUEST.to_vec() } else { BODY.to_vec() };
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..request.len());
            request[at] = random.random();
        }
        let _ = stream.write_all(&request);
        if random.random() {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let _ = stream.read(&mut [0; 100]);
        Ok(())
    })
}

/// A large pool comes with a reload, and goes with the next one.
fn pools(stage: &AttackedLab, lines: &[&str]) -> Result<()> {
    let appliance = stage.lab.gateway.appliance();
    let mut number = 0;
    while !stage.attack_is_over() {
        number += 1;
        let name = format!("hostname reload{number}");
        let lines = if number % 2 == 1 { lines } else { &[] };
        stage.reload(&[lines, &[&name]].concat())?;
        stage.count(1);
        // A pool that is too large is refused, and told of.
        let start = Instant::now();
        while !stage.attack_is_over() {
            let log = appliance.exec("show logging")?;
            let outcomes = log.matches("SYS-5-CONFIG_I").count() + log.matches("CONFIG_REFUSED").count();
            if outcomes >= number || start.elapsed() > Duration::from_secs(60) {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        sleep(Duration::from_millis(300));
    }
    Ok(())
}

/// A million addresses.
pub fn large_pool(stage: &AttackedLab) -> Result<()> {
    pools(
        stage,
        &[
            "access-list 20 permit 172.16.0.0 0.15.255.255",
            "ip nat pool LARGE 20.0.0.1 20.15.255.254 prefix-length 12",
            "ip nat inside source list 20 pool LARGE overload",
        ],
    )
}

/// Sixteen millions.
pub fn huge_pool(stage: &AttackedLab) -> Result<()> {
    pools(
        stage,
        &[
            "access-list 20 permit 172.16.0.0 0.15.255.255",
            "ip nat pool HUGE 20.0.0.1 20.255.255.254 prefix-length 8",
            "ip nat inside source list 20 pool HUGE overload",
        ],
    )
}

/// The thread of the second worker is stopped for two seconds, again and again, and the other one goes on.
pub fn stopped_worker(stage: &AttackedLab) -> Result<()> {
    let process = stage.lab.gateway.appliance().running()?.id();
    let is_worker =
        |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "worker-1");
    let mut threads = fs::read_dir(format!("/proc/{process}/task"))?.flatten().map(|entry| entry.path());
    let worker = threads.find(is_worker).context("no second worker")?;
    let id = worker.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let thread = Pid::from_raw(id.context("a thread's number")?);
    while !stage.attack_is_over() {
        ptrace::attach(thread)?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1500) {
            sleep(LOOK);
        }
        ptrace::detach(thread, None)?;
        stage.count(1);
        sleep(Duration::from_secs(1));
    }
    Ok(())
}
