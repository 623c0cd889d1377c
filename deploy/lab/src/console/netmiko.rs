//! A session of netmiko, which gets the console by ssh as from a router.

use super::command;
use crate::ssh::{SSH_PORT, SshServer};
use crate::topology::Lab;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// netmiko at a device; each step is an action of `netmiko_steps.py` and its argument.
pub struct Netmiko {
    child: Child,
    steps: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
    errors: PathBuf,
    log: PathBuf,
    _server: SshServer,
}

impl Netmiko {
    /// Starts an ssh server in the gateway's namespace, and netmiko beside it.
    pub fn open(lab: &Lab) -> Result<Netmiko> {
        let namespace = lab.gateway.namespace();
        let server = SshServer::start(namespace, lab.directory(), &command(lab.gateway.appliance()))?;
        let path = |name: &str| lab.directory().join(name);
        let (script, errors, log) = (path("netmiko_steps.py"), path("netmiko.err"), path("netmiko.log"));
        fs::write(&script, include_str!("netmiko_steps.py"))?;
        // Debian's own Python, which has the package; deprecations in it are no matter of ours.
        let mut child = Command::new("ip")
            .args(["netns", "exec", namespace.name(), "/usr/bin/python3", "-W", "ignore"])
            .arg(script)
            .arg(SSH_PORT.to_string())
            .arg(server.key())
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()
            .context("cannot start netmiko")?;
        let steps = child.stdin.take();
        let results = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Netmiko { child, steps, results, errors, log, _server: server })
    }

    /// Has a step done; returns its result.
    pub fn step(&mut self, step: &str) -> Result<String> {
        self.carry_out(step).with_context(|| {
            let errors = fs::read_to_string(&self.errors).unwrap_or_default();
            let shown = fs::read_to_string(&self.log).unwrap_or_default();
            format!("{step:?} failed:\n{errors}\nthe terminal showed {shown:?}")
        })
    }

    fn carry_out(&mut self, step: &str) -> Result<String> {
        writeln!(self.steps.as_mut().context("it has ended")?, "{step}")?;
        let mut length = String::new();
        self.results.read_line(&mut length)?;
        let mut result = vec![0; length.trim().parse().context("no result")?];
        self.results.read_exact(&mut result)?;
        Ok(String::from_utf8_lossy(&result).trim_end().to_owned())
    }

    /// Takes leave; returns all that the terminal showed.
    pub fn close(mut self) -> Result<String> {
        self.steps = None;
        let status = self.child.wait()?;
        ensure!(status.success(), "netmiko ended with {status}");
        Ok(fs::read_to_string(&self.log)?)
    }
}

impl Drop for Netmiko {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
