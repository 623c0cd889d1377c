//! A long-running program in a namespace: its output captured in files, ended when dropped.

use crate::namespace::Namespace;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a program ended on request.
#[derive(Debug)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// From the signal to its end.
    pub took: Duration,
}

impl Process {
    /// Starts `argv` inside `namespace`; its output goes to `directory/NAME.out` and `NAME.err`.
    pub fn spawn(namespace: &Namespace, directory: &Path, name: &str, argv: &[&str]) -> Result<Process> {
        let stdout = directory.join(format!("{name}.out"));
        let stderr = directory.join(format!("{name}.err"));
        // `ip netns exec` becomes the program, so the child's id is the program's own; a process group of its own
        // lets workers it forks be ended with it.
        let child = Command::new("ip")
            .args(["netns", "exec", namespace.name()])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name: name.to_owned(), child, stdout, stderr })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until standard output has a line equal to `line`.
    pub fn wait_for_line(&mut self, line: &str, limit: Duration) -> Result<()> {
        self.wait_until(limit, &format!("the line \"{line}\""), |process| {
            process.stdout().lines().any(|written| written.trim() == line)
        })
    }

    /// Waits until something listens on `port` in `namespace`, over TCP or, bound, over UDP.
    pub fn wait_for_port(&mut self, namespace: &Namespace, port: u16, limit: Duration) -> Result<()> {
        let filter = format!("sport = :{port}");
        self.wait_until(limit, &format!("port {port}"), |_| {
            namespace.run(&["ss", "-Hlntu", &filter]).is_ok_and(|sockets| !sockets.trim().is_empty())
        })
    }

    /// Polls `is_ready`; an error with the program's last words when it ends early or `limit` passes.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_ready: impl FnMut(&Process) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            if is_ready(self) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before {what}:\n{}", self.name, self.last_words());
            }
            if start.elapsed() > limit {
                bail!("{} did not reach {what} within {limit:?}:\n{}", self.name, self.last_words());
            }
            sleep(POLL_INTERVAL);
        }
    }

    /// The last lines of what it wrote.
    pub fn last_words(&self) -> String {
        let text = self.stdout() + &self.stderr();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal to the program, not to workers it forked.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end with SIGTERM and waits for at most `limit`.
    pub fn stop(self, limit: Duration) -> Result<Stopped> {
        self.stop_by(Signal::SIGTERM, limit)
    }

    /// As [`Process::stop`], with a signal of the caller's.
    pub fn stop_by(mut self, signal: Signal, limit: Duration) -> Result<Stopped> {
        let start = Instant::now();
        self.signal(signal)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Stopped { status, took: start.elapsed() });
            }
            if start.elapsed() > limit {
                bail!("{} ignored {signal} for {limit:?}:\n{}", self.name, self.last_words());
            }
            sleep(Duration::from_millis(1));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once reaped, its id may be another program's; workers it left behind end with their namespace.
        if let Ok(None) = self.child.try_wait() {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
