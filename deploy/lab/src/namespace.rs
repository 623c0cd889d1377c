//! One network namespace: made by `ip netns add`, entered by `ip netns exec`, gone with its processes on drop.

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// The time a command may take unless the caller says otherwise: on a loaded machine each is slow.
const COMMAND_LIMIT: Duration = Duration::from_secs(400);
/// What `timeout` returns when it ended the command.
const TIMED_OUT: i32 = 124;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit status; 124 when the time limit ended the command.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Namespace {
    pub(crate) fn create(name: String) -> Result<Namespace> {
        host_run(&["ip", "netns", "add", &name])?;
        let namespace = Namespace { name };
        namespace.ip("link set lo up")?;
        let settings = [
            // No router solicitations and address probes among the traffic under test.
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
            // Every probe of a traceroute is answered, not one a second.
            "net.ipv4.icmp_ratelimit=0",
        ];
        namespace.run(&[&["sysctl", "-qw"], &settings[..]].concat())?;
        Ok(namespace)
    }

    /// The name `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip WORDS` inside, for example `"link set eth0 up"`.
    pub fn ip(&self, words: &str) -> Result<String> {
        let mut argv = vec!["ip", "-n", &self.name];
        argv.extend(words.split_whitespace());
        host_run(&argv)
    }

    /// Runs `work` in a thread inside; the sockets it opens stay inside.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(Path::new("/run/netns").join(&self.name))?;
        let enter_and_work = || -> Result<T> {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        };
        let done = thread::scope(|scope| scope.spawn(enter_and_work).join());
        done.unwrap_or_else(|_| bail!("{}: the thread inside panicked", self.name))
    }

    /// Runs a command inside and returns its standard output; an error when it fails or takes too long.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        self.run_within(COMMAND_LIMIT, argv)
    }

    /// As [`Namespace::run`], with a time limit of the caller's.
    pub fn run_within(&self, limit: Duration, argv: &[&str]) -> Result<String> {
        let outcome = self.outcome(limit, argv)?;
        match outcome.code {
            0 => Ok(outcome.stdout),
            TIMED_OUT => bail!("{}: `{}` took over {limit:?}", self.name, argv.join(" ")),
            code => bail!(
                "{}: `{}` ended with {code}: {}{}",
                self.name,
                argv.join(" "),
                outcome.stderr,
                outcome.stdout
            ),
        }
    }

    /// Runs a command inside whose failure is an answer too.
    pub fn outcome(&self, limit: Duration, argv: &[&str]) -> Result<Outcome> {
        let limit_s = format!("{}", limit.as_secs_f64());
        let mut whole = vec!["ip", "netns", "exec", &self.name, "timeout", "-k", "1", &limit_s];
        whole.extend(argv);
        let output = host_output(&whole)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A command ended by a signal has no code of its own; the shell's convention is 128 and the signal.
        let code = output.status.code().unwrap_or(128);
        Ok(Outcome { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Runs a command outside of any namespace of ours; its standard output, or an error when it fails.
pub(crate) fn host_run(argv: &[&str]) -> Result<String> {
    let output = host_output(argv)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {}", argv.join(" "), stderr.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn host_output(argv: &[&str]) -> Result<Output> {
    Command::new(argv[0])
        .args(&argv[1..])
        .output()
        .with_context(|| format!("cannot run {} (deploy/setup installs what the lab needs)", argv[0]))
}

/// The names of all namespaces of this machine.
pub(crate) fn list() -> Vec<String> {
    let text = host_run(&["ip", "netns", "list"]).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Ends the processes left inside and removes the namespace; its devices go with it.
pub(crate) fn remove(name: &str) {
    let pids = host_run(&["ip", "netns", "pids", name]).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.trim().parse().ok()) {
        // It may have ended in between.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = host_run(&["ip", "netns", "del", name]);
}
