//! TFTP: tftpd-hpa, and the programs that speak to it.

use crate::namespace::{Namespace, host_run};
use crate::process::Process;
use crate::server::{Blob, Documents};
use anyhow::{Result, ensure};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
const PORT: u16 = 69;
/// A server that is not heard is given up; on a loaded machine a transfer takes its time.
const LIMIT: Duration = Duration::from_secs(90);

/// A tftpd-hpa that lets everyone read and write. It answers from a port of its own for each transfer.
pub struct TftpServer {
    _process: Process,
    documents: Documents,
}

impl TftpServer {
    /// Starts tftpd in `namespace`; its files lie in `directory/NAME`.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str) -> Result<TftpServer> {
        let path = directory.join(name);
        let documents = Documents::create(path.clone())?;
        let path = path.to_string_lossy();
        host_run(&["chown", "tftp", &path])?;
        let argv =
            ["in.tftpd", "-L", "--address", "0.0.0.0:69", "-u", "tftp", "-U", "022", "-c", "-p", "-s", &path];
        let mut process = Process::spawn(namespace, directory, &format!("{name}-tftpd"), &argv)?;
        process.wait_for_port(namespace, PORT, READY_LIMIT)?;
        Ok(TftpServer { _process: process, documents })
    }

    /// Adds a document of `size_mib` random mebibytes.
    pub fn add_blob(&self, name: &str, size_mib: u32) -> Result<Blob> {
        self.documents.add_blob(name, size_mib)
    }
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// tftp-hpa.
    Tftp,
    /// curl, which asks for larger blocks.
    Curl,
}

impl Program {
    /// Downloads `blob` from `server`, which is reached at `at`, then uploads it under another name; both copies have
    /// its SHA-256. `directory` is for what is received.
    pub fn there_and_back(
        self,
        from: &Namespace,
        directory: &Path,
        at: Ipv4Addr,
        server: &TftpServer,
        blob: &Blob,
    ) -> Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", blob.name, NUMBER.fetch_add(1, Ordering::Relaxed));
        let received = Documents::create(directory.join("tftp-received"))?;
        let local = received.path(&name);
        let (at, url) = (at.to_string(), format!("tftp://{at}"));
        match self {
            Program::Tftp => run(from, &["tftp", &at, "-m", "binary", "-c", "get", &blob.name, &local])?,
            Program::Curl => run(from, &["curl", "-sS", &format!("{url}/{}", blob.name), "-o", &local])?,
        }
        ensure_same("download", &received, &name, blob)?;
        match self {
            Program::Tftp => run(from, &["tftp", &at, "-m", "binary", "-c", "put", &local, &name])?,
            Program::Curl => run(from, &["curl", "-sS", "-T", &local, &format!("{url}/{name}")])?,
        }
        ensure_same("upload", &server.documents, &name, blob)
    }
}

fn run(from: &Namespace, argv: &[&str]) -> Result<()> {
    from.run_within(LIMIT, argv).map(drop)
}

/// tftp-hpa succeeds when it fails; what is there tells.
fn ensure_same(what: &str, documents: &Documents, name: &str, blob: &Blob) -> Result<()> {
    let sha256 = documents.sha256(name)?;
    ensure!(sha256 == blob.sha256, "the {what}'s SHA-256 is {sha256}, not {}", blob.sha256);
    Ok(())
}
