//! A client that sends its commands a byte at a time.

use super::{DataMode, FtpServer, copy_name, ensure_same, limit};
use crate::namespace::{Namespace, host_run};
use crate::server::Blob;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than its server waits for a data connection.
const WAIT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A client that writes each byte of a command by itself.
pub struct PiecemealClient<'a> {
    /// Where it runs.
    pub from: &'a Namespace,
    /// For what it receives.
    pub directory: &'a Path,
    /// How it opens data connections.
    pub mode: DataMode,
    /// It sets `TCP_NODELAY`, and each byte is a segment; else the kernel gathers those that have to wait for the
    /// acknowledgement of the first.
    pub has_no_delay: bool,
}

impl PiecemealClient<'_> {
    /// As [`super::Client::there_and_back`].
    pub fn there_and_back(&self, at: SocketAddrV4, server: &FtpServer, blob: &Blob) -> Result<()> {
        let name = copy_name(blob);
        let local = self.directory.join(&name);
        let remote = FtpServer::upload_name(&name);
        self.from.within(|| -> Result<()> {
            let mut control = Control::open(at, self.has_no_delay)?;
            control.command("USER anonymous", '3')?;
            control.command("PASS nobody", '2')?;
            control.command("TYPE I", '2')?;
            let mut data = control.transfer(self.mode, &format!("RETR {}", blob.name), limit(blob))?;
            copy(&mut data, &mut File::create(&local)?).context("the download broke off")?;
            control.expect('2')?;
            let mut data = control.transfer(self.mode, &format!("STOR {remote}"), limit(blob))?;
            data.write_all(&fs::read(&local)?).context("the upload broke off")?;
            drop(data);
            control.expect('2')?;
            control.command("QUIT", '2').map(drop)
        })??;
        let sha256: String = host_run(&["sha256sum", &local.to_string_lossy()])?.chars().take(64).collect();
        ensure_same("download", &sha256, blob)?;
        ensure_same("upload", &server.sha256(&remote)?, blob)
    }
}

struct Control {
    stream: BufReader<TcpStream>,
    local: Ipv4Addr,
    server: Ipv4Addr,
    has_no_delay: bool,
}

impl Control {
    fn open(at: SocketAddrV4, has_no_delay: bool) -> Result<Control> {
        let stream = connect(at)?;
        stream.set_nodelay(has_no_delay)?;
        let SocketAddr::V4(local) = stream.local_addr()? else { unreachable!("an IPv4 connection") };
        let stream = BufReader::new(stream);
        let mut control = Control { stream, local: *local.ip(), server: *at.ip(), has_no_delay };
        control.expect('2')?;
        Ok(control)
    }

    /// Sends a command; its reply, which begins with this digit.
    fn command(&mut self, text: &str, digit: char) -> Result<String> {
        for byte in text.bytes().chain(*b"\r\n") {
            self.stream.get_ref().write_all(&[byte])?;
            if self.has_no_delay {
                sleep(Duration::from_millis(1));
            }
        }
        self.expect(digit).with_context(|| format!("after {text}"))
    }

    /// The next reply's last line.
    fn expect(&mut self, digit: char) -> Result<String> {
        loop {
            let mut line = String::new();
            let len = self.stream.read_line(&mut line).context("no reply")?;
            ensure!(len > 0, "the server closed the connection");
            // "230-" begins a reply of several lines, which ends with "230 ".
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[..3].is_ascii() {
                ensure!(line.starts_with(digit), "the reply is {line:?}");
                return Ok(line);
            }
        }
    }

    /// Opens a data connection for `command`.
    fn transfer(&mut self, mode: DataMode, command: &str, limit: Duration) -> Result<TcpStream> {
        let stream = match mode {
            DataMode::Pasv | DataMode::Epsv => {
                let reply = self.command(mode.command(), '2')?;
                let at =
                    if mode == DataMode::Pasv { pasv_endpoint(&reply) } else { self.epsv_endpoint(&reply) };
                let stream = connect(at.with_context(|| format!("no endpoint in {reply:?}"))?)?;
                self.command(command, '1')?;
                stream
            }
            DataMode::Port | DataMode::Eprt => {
                let listener = TcpListener::bind((self.local, 0))?;
                let port = listener.local_addr()?.port();
                self.command(&self.announcement(mode, port), '2')?;
                self.command(command, '1')?;
                accept(&listener)?
            }
        };
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(stream)
    }

    fn announcement(&self, mode: DataMode, port: u16) -> String {
        let (command, address) = (mode.command(), self.local);
        match mode {
            DataMode::Eprt => format!("{command} |1|{address}|{port}|"),
            _ => {
                let address = address.to_string().replace('.', ",");
                format!("{command} {address},{},{}", port >> 8, port & 0xff)
            }
        }
    }

    /// From `229 Entering Extended Passive Mode (|||PORT|)`.
    fn epsv_endpoint(&self, reply: &str) -> Option<SocketAddrV4> {
        let port = reply.split("(|||").nth(1)?.split('|').next()?.parse().ok()?;
        Some(SocketAddrV4::new(self.server, port))
    }
}

/// From `227 Entering Passive Mode (a,b,c,d,p,q).`
fn pasv_endpoint(reply: &str) -> Option<SocketAddrV4> {
    let list = reply.split('(').nth(1)?.split(')').next()?;
    let octets: Vec<u8> = list.split(',').map(|octet| octet.trim().parse().ok()).collect::<Option<_>>()?;
    let [a, b, c, d, high, low] = octets[..] else { return None };
    Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

fn connect(at: SocketAddrV4) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at.into(), WAIT).with_context(|| format!("to {at}"))?;
    stream.set_read_timeout(Some(WAIT))?;
    Ok(stream)
}

/// The server has said that it connected.
fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if start.elapsed() > WAIT => return Err(error).context("nobody connected"),
            Err(_) => sleep(POLL_INTERVAL),
        }
    }
}
