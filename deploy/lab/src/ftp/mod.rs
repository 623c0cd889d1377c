//! FTP: a server, what its users' programs do with it, and a client of our own that sends in pieces.

mod client;
mod piecemeal;
mod server;

pub use client::{Client, Program};
pub use piecemeal::PiecemealClient;
pub use server::FtpServer;

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::server::Blob;

/// The port of FTP servers that must be told to the gateway.
pub const EXTRA_PORT: u16 = 2121;

/// How the data connection comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataMode {
    /// The server tells address and port (`PASV`).
    Pasv,
    /// The server tells a port (`EPSV`).
    Epsv,
    /// The client tells address and port (`PORT`).
    Port,
    /// The client tells address and port with their family (`EPRT`).
    Eprt,
}

impl DataMode {
    const ALL: [DataMode; 4] = [DataMode::Pasv, DataMode::Epsv, DataMode::Port, DataMode::Eprt];

    /// The command that announces the data connection.
    pub fn command(self) -> &'static str {
        match self {
            DataMode::Pasv => "PASV",
            DataMode::Epsv => "EPSV",
            DataMode::Port => "PORT",
            DataMode::Eprt => "EPRT",
        }
    }
}

/// A name for one copy of a document, which no other copy has.
fn copy_name(blob: &Blob) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", blob.name, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The time that moving a blob may take, on a loaded machine; a transfer that will never happen is given up by its server
/// before.
fn limit(blob: &Blob) -> Duration {
    Duration::from_secs(150 + u64::from(blob.size_mib))
}

fn ensure_same(what: &str, sha256: &str, blob: &Blob) -> Result<()> {
    ensure!(sha256 == blob.sha256, "the {what}'s SHA-256 is {sha256}, not {}", blob.sha256);
    Ok(())
}
