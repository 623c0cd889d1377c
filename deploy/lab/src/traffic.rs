//! Traffic that goes on while something is done to the appliance, and must lose nothing of it.

use crate::address::SERVER;
use crate::process::Process;
use crate::topology::Lab;
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// The first inside host's echo requests to the outside server, twenty a second, and one connection to its web server.
pub struct Traffic {
    ping: Process,
    replies: PathBuf,
    connection: BufReader<TcpStream>,
}

impl Traffic {
    /// Starts both; returns once there are answers.
    pub fn start(lab: &Lab) -> Result<Traffic> {
        let host = &lab.hosts[0].namespace;
        let argv = ["ping", "-n", "-i", "0.05", &SERVER.to_string()];
        let mut ping = Process::spawn(host, lab.directory(), "ping", &argv)?;
        ping.wait_until(LIMIT, "a reply", |ping| ping.stdout().contains("icmp_seq"))?;
        let connection = host.within(|| TcpStream::connect((SERVER, 80)))??;
        connection.set_read_timeout(Some(LIMIT))?;
        let replies = lab.directory().join("ping.out");
        let mut traffic = Traffic { ping, replies, connection: BufReader::new(connection) };
        traffic.fetch()?;
        Ok(traffic)
    }

    /// The inside host's port of the connection.
    pub fn port(&self) -> Result<u16> {
        Ok(self.connection.get_ref().local_addr()?.port())
    }

    /// Asks for a page's head over the connection, and reads it.
    pub fn fetch(&mut self) -> Result<()> {
        let request = "HEAD /index.html HTTP/1.1\r\nHost: lab\r\n\r\n";
        self.connection.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let len = self.connection.read_line(&mut head)?;
            ensure!(len > 0, "the connection was closed after {head:?}");
        }
        ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok(())
    }

    /// Ends it; an error if anything was lost. Returns the number of echo replies.
    pub fn finish(mut self) -> Result<usize> {
        self.fetch()?;
        // One more reply, for those that are missing to be between two.
        let before = self.ping.stdout().lines().count();
        self.ping.wait_until(LIMIT, "another reply", |ping| ping.stdout().lines().count() > before)?;
        self.ping.stop_by(Signal::SIGINT, LIMIT)?;
        let text = fs::read_to_string(&self.replies)?;
        let numbers = text.lines().filter_map(|line| line.split("icmp_seq=").nth(1)?.split(' ').next());
        let numbers = numbers.map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let is_next = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
        ensure!(is_next, "echo replies are missing: {numbers:?}");
        Ok(numbers.len())
    }
}
