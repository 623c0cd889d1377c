//! Who serves honest hosts: outside an echo, FTP and names; inside FTP and TFTP.

use crate::stage::{AttackedLab, ECHO, SERVER_HOST};
use crate::witness::roomy;
use anyhow::{Context, Result};
use lab::address::{FAR_SERVER, STATIC_GLOBAL, inside_host, is_inside};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread::{self, Scope, sleep};
use std::time::Duration;

/// Where FTP is spoken outside.
pub const FTP: SocketAddrV4 = SocketAddrV4::new(lab::address::SERVER, 21);
/// Where names are told outside.
pub const NAMES: SocketAddrV4 = SocketAddrV4::new(FAR_SERVER, 53);
/// How often a server looks whether it may go home.
const LOOK: Duration = Duration::from_millis(100);
/// A connection without a word for so long is no honest host's.
const LIMIT: Duration = Duration::from_secs(20);
/// Addresses in an answer, which takes two packets.
const FILLERS: u8 = 95;
const A: [u8; 4] = [0, 1, 0, 1];

/// Sockets of the outside server, which are there before anybody asks.
pub struct Servers {
    datagrams: UdpSocket,
    echo: TcpListener,
    ftp: TcpListener,
    names: UdpSocket,
    inside_ftp: TcpListener,
    tftp: UdpSocket,
}

fn quiet(socket: UdpSocket) -> Result<UdpSocket> {
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

fn listen(at: SocketAddrV4) -> Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Servers {
    /// Opens all sockets.
    pub fn open(stage: &AttackedLab) -> Result<Servers> {
        let (server, far) = (&stage.lab.server.namespace, &stage.lab.far.namespace);
        let inside = stage.inside(SERVER_HOST);
        let address = inside_host(SERVER_HOST);
        Ok(Servers {
            datagrams: quiet(server.within(|| roomy(ECHO))??)?,
            echo: server.within(|| listen(ECHO))??,
            ftp: server.within(|| listen(FTP))??,
            names: quiet(far.within(|| roomy(NAMES))??)?,
            inside_ftp: inside.within(|| listen(SocketAddrV4::new(address, 21)))??,
            tftp: quiet(inside.within(|| roomy(SocketAddrV4::new(address, 69)))??)?,
        })
    }

    /// Serves until everybody goes home.
    pub fn serve<'s>(&'s self, scope: &'s Scope<'s, '_>, stage: &'s AttackedLab) {
        scope.spawn(|| {
            answer(stage, &self.datagrams, |socket, message, from| {
                let _ = socket.send_to(message, from);
            })
        });
        scope.spawn(|| answer(stage, &self.names, tell_name));
        scope.spawn(|| stage.inside(SERVER_HOST).within(|| answer(stage, &self.tftp, serve_file)));
        scope.spawn(|| echo_streams(stage, &self.echo));
        scope.spawn(|| {
            stage.lab.server.namespace.within(|| thread::scope(|inner| serve_ftp(inner, stage, &self.ftp)))
        });
        scope.spawn(|| greet(stage, &self.inside_ftp));
    }
}

/// Hands each datagram to who answers it.
fn answer(stage: &AttackedLab, socket: &UdpSocket, say: fn(&UdpSocket, &[u8], SocketAddrV4)) {
    let mut message = [0; 4096];
    while !stage.is_over() {
        if let Ok((len, std::net::SocketAddr::V4(from))) = socket.recv_from(&mut message) {
            say(socket, &message[..len], from);
        }
    }
}

/// The published host's address, and others, to whom asks for a name.
fn tell_name(socket: &UdpSocket, query: &[u8], from: SocketAddrV4) {
    let Some(question) = query.get(12..).and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == 0)?;
        rest.get(..end + 5)
    }) else {
        return;
    };
    let mut message = query[..2].to_vec();
    message.extend([0x84, 0, 0, 1, 0, FILLERS + 1, 0, 0, 0, 0]);
    message.extend(question);
    for number in 0..=FILLERS {
        let address = if number == 0 { STATIC_GLOBAL } else { Ipv4Addr::new(172, 17, 0, number) };
        message.extend([0xc0, 12]);
        message.extend(A);
        message.extend([0, 0, 1, 44, 0, 4]);
        message.extend(address.octets());
    }
    let _ = socket.send_to(&message, from);
}

/// The first block of a file, from a port of its own.
fn serve_file(socket: &UdpSocket, _request: &[u8], from: SocketAddrV4) {
    let Ok(std::net::SocketAddr::V4(local)) = socket.local_addr() else { return };
    if let Ok(own) = UdpSocket::bind(SocketAddrV4::new(*local.ip(), 0)) {
        let _ = own.send_to(b"\0\x03\0\x01hello", from);
    }
}

/// Says again what is said on any connection.
fn echo_streams(stage: &AttackedLab, listener: &TcpListener) {
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut bytes = [0; 4096];
    while !stage.is_over() {
        while let Ok((stream, _)) = listener.accept() {
            let is_ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            streams.extend(is_ready.is_ok().then_some(stream));
        }
        let listening = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let fds = streams.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN));
        let mut fds: Vec<_> = listening.into_iter().chain(fds).collect();
        let _ = poll(&mut fds, PollTimeout::from(50u8));
        drop(fds);
        streams.retain_mut(|stream| {
            loop {
                match stream.read(&mut bytes) {
                    Ok(0) => return false,
                    Ok(len) => _ = stream.write_all(&bytes[..len]),
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
            }
        });
    }
}

/// Speaks FTP: greets, and connects to where a PORT command says.
fn serve_ftp<'s>(scope: &'s Scope<'s, '_>, stage: &'s AttackedLab, listener: &'s TcpListener) {
    while !stage.is_over() {
        match listener.accept() {
            Ok((stream, _)) => _ = scope.spawn(move || speak_ftp(stream)),
            Err(_) => sleep(Duration::from_millis(5)),
        }
    }
}

fn speak_ftp(mut stream: TcpStream) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"220 hello\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()? {
        if line == "QUIT" {
            break;
        }
        let Some(words) = line.strip_prefix("PORT ") else {
            stream.write_all(b"200 so be it\r\n")?;
            continue;
        };
        let numbers: Vec<u8> = words.split(',').filter_map(|word| word.trim().parse().ok()).collect();
        let &[a, b, c, d, high, low] = &numbers[..] else { anyhow::bail!("{line}") };
        let to = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
        let connect = || TcpStream::connect_timeout(&to.into(), Duration::from_secs(5));
        let is_connected = !is_inside(*to.ip()) && connect().context("the data connection").is_ok();
        let reply: &[u8] = if is_connected { b"200 connected\r\n" } else { b"500 nobody there\r\n" };
        stream.write_all(reply)?;
    }
    Ok(())
}

/// An FTP server that greets everybody and says no more.
fn greet(stage: &AttackedLab, listener: &TcpListener) {
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut bytes = [0; 4096];
    while !stage.is_over() {
        while let Ok((mut stream, _)) = listener.accept() {
            let is_ready = stream.set_nonblocking(true).and_then(|()| stream.write_all(b"220 hello\r\n"));
            streams.extend(is_ready.is_ok().then_some(stream));
        }
        streams.retain_mut(|stream| match stream.read(&mut bytes) {
            Ok(len) => len > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        sleep(Duration::from_millis(5));
    }
}
