//! curl and lftp, told exactly how to open data connections, and watched that they do.

use super::{DataMode, FtpServer, copy_name, ensure_same, limit};
use crate::namespace::{Namespace, host_run};
use crate::server::Blob;
use anyhow::{Result, ensure};
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// curl.
    Curl,
    /// lftp, which sends a command when the last one is answered, and takes data from the server's address only.
    Lftp,
    /// lftp with commands sent without waiting for answers.
    LftpPipelined,
}

/// A user with a program.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// Where the program runs.
    pub from: &'a Namespace,
    /// For what it receives; any namespace sees it.
    pub directory: &'a Path,
    /// The program.
    pub program: Program,
    /// How it opens data connections, and no other way.
    pub mode: DataMode,
    /// It asks for TLS (`AUTH TLS`) on both connections, and does not go without. The version is 1.2: with 1.3 vsftpd
    /// sends tickets on the data connection too; curl closes an upload's without having read them, which resets it,
    /// and now and then vsftpd takes the reset for a broken upload.
    pub has_tls: bool,
}

enum Direction<'a> {
    Down { remote: &'a str, local: &'a str },
    Up { local: &'a str, remote: &'a str },
}

impl Client<'_> {
    /// Downloads `blob` from `server`, which is reached at `at`, then uploads it; both copies have its SHA-256.
    pub fn there_and_back(&self, at: SocketAddrV4, server: &FtpServer, blob: &Blob) -> Result<()> {
        let name = copy_name(blob);
        let local = self.directory.join(&name).to_string_lossy().into_owned();
        self.transfer(at, &Direction::Down { remote: &blob.name, local: &local }, limit(blob))?;
        let sha256: String = host_run(&["sha256sum", &local])?.chars().take(64).collect();
        ensure_same("download", &sha256, blob)?;
        let remote = FtpServer::upload_name(&name);
        self.transfer(at, &Direction::Up { local: &local, remote: &remote }, limit(blob))?;
        ensure_same("upload", &server.sha256(&remote)?, blob)
    }

    fn transfer(&self, at: SocketAddrV4, direction: &Direction, limit: Duration) -> Result<()> {
        let argv = match self.program {
            Program::Curl => self.curl(at, direction),
            Program::Lftp => self.lftp(at, direction, "yes"),
            Program::LftpPipelined => self.lftp(at, direction, "no"),
        };
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let outcome = self.from.outcome(limit, &argv)?;
        let log = outcome.stderr;
        ensure!(outcome.code == 0, "{:?} ended with {}:\n{}", self.program, outcome.code, dialogue(&log));
        self.ensure_told(&log)
    }

    /// The program said that it did as it was told.
    fn ensure_told(&self, log: &str) -> Result<()> {
        let sent = |command: &str| commands(log).any(|line| line.split(' ').next() == Some(command));
        for mode in DataMode::ALL {
            let command = mode.command();
            ensure!(sent(command) == (mode == self.mode), "told {:?}, it did:\n{}", self.mode, dialogue(log));
        }
        ensure!(sent("AUTH") == self.has_tls, "TLS: {}, but:\n{}", self.has_tls, dialogue(log));
        Ok(())
    }

    fn curl(&self, at: SocketAddrV4, direction: &Direction) -> Vec<String> {
        let mut words = vec!["curl", "-sSv", "--connect-timeout", "15", "--no-ftp-skip-pasv-ip"];
        words.extend(match self.mode {
            DataMode::Pasv => &["--disable-epsv"][..],
            DataMode::Epsv => &[],
            DataMode::Port => &["--disable-eprt", "-P", "-"],
            DataMode::Eprt => &["-P", "-"],
        });
        if self.has_tls {
            words.extend(["--ssl-reqd", "--insecure", "--tls-max", "1.2"]);
        }
        let (option, local, remote) = match direction {
            Direction::Down { remote, local } => ("-o", local, remote),
            Direction::Up { local, remote } => ("-T", local, remote),
        };
        let url = format!("ftp://{at}/{remote}");
        words.extend([option, local, &url]);
        words.into_iter().map(str::to_owned).collect()
    }

    fn lftp(&self, at: SocketAddrV4, direction: &Direction, waits: &str) -> Vec<String> {
        let yes_if = |condition| if condition { "yes" } else { "no" };
        let is_passive = yes_if(matches!(self.mode, DataMode::Pasv | DataMode::Epsv));
        let (is_epsv, tls) = (yes_if(self.mode == DataMode::Epsv), yes_if(self.has_tls));
        let transfer = match direction {
            Direction::Down { remote, local } => format!("get {remote} -o {local}"),
            Direction::Up { local, remote } => format!("put {local} -o {remote}"),
        };
        let (address, port) = (at.ip(), at.port());
        let script = format!(
            "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 15; set dns:order inet; \
             set ftp:passive-mode {is_passive}; set ftp:prefer-epsv {is_epsv}; set ftp:fix-pasv-address no; \
             set ftp:verify-address yes; \
             set ftp:sync-mode {waits}; set ftp:ssl-allow {tls}; set ftp:ssl-force {tls}; \
             set ftp:ssl-allow-anonymous {tls}; set ssl:verify-certificate no; \
             set ssl:priority NORMAL:-VERS-TLS1.3; \
             debug 5; open -p {port} {address}; {transfer}"
        );
        // It would keep a history of its own.
        let home = format!("HOME={}", self.directory.display());
        ["env", &home, "lftp", "-c", &script].map(str::to_owned).to_vec()
    }
}

/// What the client sent, as both programs log it: after `> ` or `---> `.
fn commands(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter_map(|line| line.strip_prefix("> ").or(line.strip_prefix("---> ")))
}

/// The lines of a log that matter to whoever reads of a failure.
fn dialogue(log: &str) -> String {
    let is_noise = |line: &&str| line.starts_with("{ [") || line.starts_with("} [") || line.trim().is_empty();
    let lines: Vec<&str> = log.lines().filter(|line| !is_noise(line)).collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
