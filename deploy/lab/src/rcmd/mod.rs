//! Remote commands: netkit's rshd and rexecd behind inetd, and the programs that speak to them.

use crate::address::CLIENT;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::server::{Blob, Documents};
use anyhow::{Result, ensure};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
const PORT: u16 = 514;
/// A command whose server cannot connect back is given up.
const LIMIT: Duration = Duration::from_secs(40);
/// What a command writes, more than fits in a window.
const LINE_COUNTS: (u32, u32) = (50_000, 100_000);

/// Whether rsh, its server and rexec's are there; Debian has them up to 12. Says so where not.
pub fn are_installed() -> bool {
    let found = Path::new("/usr/bin/netkit-rsh").exists();
    if !found {
        eprintln!("no netkit-rsh, which Debian has up to version 12: not tested");
    }
    found
}

/// A super server with rshd and rexecd, which let everyone in.
pub struct CommandServer {
    _process: Process,
    blob: Blob,
    /// Its path.
    blob_path: String,
}

impl CommandServer {
    /// Starts inetd in `namespace`; its files lie in `directory/NAME`.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str) -> Result<CommandServer> {
        let home = directory.join(name);
        let documents = Documents::create(home.clone())?;
        let blob = documents.add_blob("image", 1)?;
        write_settings(&home)?;
        let home = home.to_string_lossy();
        // `ip netns exec` gives the program mounts of its own.
        let mounts = ["pam.d", "hosts", "nsswitch.conf", "passwd"]
            .map(|what| format!("mount --bind {home}/{what} /etc/{what}"));
        let script = format!("{} && exec inetd -i {home}/inetd.conf", mounts.join(" && "));
        let mut process =
            Process::spawn(namespace, directory, &format!("{name}-inetd"), &["sh", "-c", &script])?;
        process.wait_for_port(namespace, PORT, READY_LIMIT)?;
        let blob_path = documents.path("image");
        Ok(CommandServer { _process: process, blob, blob_path })
    }
}

/// What the servers ask of their host: whoever comes is who he says, and every address has a name (rexecd insists).
fn write_settings(home: &Path) -> Result<()> {
    fs::create_dir_all(home.join("pam.d"))?;
    let permit =
        ["auth", "account", "session"].map(|kind| format!("{kind} required pam_permit.so\n")).concat();
    for service in ["rsh", "rexec"] {
        fs::write(home.join("pam.d").join(service), &permit)?;
    }
    let globals = (1..255).map(|last| Ipv4Addr::new(203, 0, 113, last));
    let lines =
        globals.chain([CLIENT]).map(|addr| format!("{addr} peer-{}\n", addr.to_string().replace('.', "-")));
    fs::write(home.join("hosts"), lines.collect::<String>())?;
    // What the machine's own shell reads when it starts is no matter of ours, and may take its time.
    fs::write(home.join("passwd"), format!("root:x:0:0:root:{}:/bin/sh\n", home.display()))?;
    fs::write(home.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\nservices: files\n")?;
    let services = [("shell", "in.rshd"), ("exec", "in.rexecd")];
    let lines = services
        .map(|(name, program)| format!("{name} stream tcp nowait root /usr/sbin/{program} {program}\n"));
    Ok(fs::write(home.join("inetd.conf"), lines.concat())?)
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// netkit's rsh: the server connects to a reserved port, for the standard error.
    Rsh,
    /// The C library's rexec(3): the server connects to any port.
    Rexec,
    /// netkit's rcp, which speaks to rshd and wants no second connection.
    Rcp,
}

impl Program {
    /// Has a command of `server`'s, which is reached at `at`, write to its standard output and to its standard error: all
    /// of both arrives, apart. rcp fetches a document instead. `directory` is for files.
    pub fn run(self, from: &Namespace, directory: &Path, at: Ipv4Addr, server: &CommandServer) -> Result<()> {
        let (output, errors) = LINE_COUNTS;
        let (at, command) = (at.to_string(), format!("seq {output}; seq {errors} >&2"));
        let outcome = match self {
            Program::Rcp => return fetch(from, directory, &at, server),
            Program::Rsh => from.outcome(LIMIT, &["netkit-rsh", &at, &command])?,
            Program::Rexec => {
                let script = script(directory)?;
                from.outcome(LIMIT, &["python3", &script.to_string_lossy(), &at, &command])?
            }
        };
        let lines = |count: u32| (1..=count).map(|n| format!("{n}\n")).collect::<String>();
        let (has_output, has_errors) = (outcome.stdout == lines(output), outcome.stderr == lines(errors));
        let stray = outcome.stderr.lines().find(|line| line.parse::<u32>().is_err());
        ensure!(
            outcome.code == 0 && has_output && has_errors,
            "ended with {}; {} bytes of output, {} of errors, none of which is to be {stray:?}",
            outcome.code,
            outcome.stdout.len(),
            outcome.stderr.len()
        );
        Ok(())
    }
}

fn script(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("rexec.py");
    fs::write(&path, include_str!("rexec.py"))?;
    Ok(path)
}

fn fetch(from: &Namespace, directory: &Path, at: &str, server: &CommandServer) -> Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let received = Documents::create(directory.join("rcp-received"))?;
    let name = format!("image-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    from.run_within(LIMIT, &["netkit-rcp", &format!("{at}:{}", server.blob_path), &received.path(&name)])?;
    let sha256 = received.sha256(&name)?;
    ensure!(sha256 == server.blob.sha256, "the copy's SHA-256 is {sha256}, not {}", server.blob.sha256);
    Ok(())
}
