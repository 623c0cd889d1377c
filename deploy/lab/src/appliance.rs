//! Portico as the gateway: its configuration written from the rules, the program run in the gateway's namespace and
//! spoken to through its command line.

use crate::configuration::{configuration, huge_pages_are_free};
use crate::namespace::{Namespace, host_run};
use crate::process::{Process, Stopped};
use crate::rules::Rules;
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
const METRICS_URL: &str = "http://127.0.0.1:9464/metrics";

/// A running Portico.
pub struct Appliance {
    namespace: Arc<Namespace>,
    program: PathBuf,
    configuration: PathBuf,
    socket: PathBuf,
    user: Option<String>,
    directory: PathBuf,
    start_count: u32,
    process: Option<Process>,
}

impl Appliance {
    /// Writes the configuration and starts the program in `namespace`, whose devices are `inside` and `outside`;
    /// returns once it forwards.
    pub fn start(namespace: Arc<Namespace>, directory: &Path, rules: &Rules) -> Result<Appliance> {
        let mut appliance = Appliance {
            namespace,
            program: program()?,
            configuration: directory.join("portico.conf"),
            socket: directory.join("portico.sock"),
            user: None,
            directory: directory.to_owned(),
            start_count: 0,
            process: None,
        };
        appliance.configure(rules)?;
        appliance.run()?;
        Ok(appliance)
    }

    /// Writes the configuration anew; [`Appliance::reload`] makes the program read it.
    pub fn configure(&self, rules: &Rules) -> Result<()> {
        fs::write(&self.configuration, configuration(rules, huge_pages_are_free()))?;
        Ok(())
    }

    /// Starts the program again after [`Appliance::stop`] or [`Appliance::kill`].
    pub fn run(&mut self) -> Result<()> {
        self.process = None;
        self.start_count += 1;
        let name = format!("portico-{}", self.start_count);
        let command = self.command()?;
        let argv: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut process = Process::spawn(&self.namespace, &self.directory, &name, &argv)?;
        process.wait_for_line("ready", READY_LIMIT)?;
        self.process = Some(process);
        Ok(())
    }

    /// Has the next [`Appliance::run`] be this user's, with a command socket in a directory of his that is not there yet.
    pub fn run_as(&mut self, user: &str) {
        self.user = Some(user.to_owned());
        self.socket = self.directory.join("run").join("portico.sock");
    }

    /// The command line that runs it.
    pub fn command(&self) -> Result<Vec<String>> {
        let mut argv = vec![text(&self.program)?, "run", "--config", text(&self.configuration)?];
        argv.extend(["--socket", text(&self.socket)?]);
        argv.extend(self.user.iter().flat_map(|user| ["--user", user]));
        Ok(argv.into_iter().map(str::to_owned).collect())
    }

    /// The answer to an exec command such as `show ip nat translations`; an error with its message when refused.
    pub fn exec(&self, command: &str) -> Result<String> {
        host_run(&["timeout", "300", text(&self.program)?, "exec", "--socket", text(&self.socket)?, command])
    }

    /// The number of doors that gateways opened and nobody came through yet.
    pub fn door_count(&self) -> Result<u32> {
        let text = self.exec("show ip nat doors")?;
        let total = text.lines().find_map(|line| line.strip_prefix("Total number of doors: "));
        total
            .with_context(|| format!("no total in\n{text}"))?
            .trim()
            .parse()
            .context("the total is no number")
    }

    /// The page Prometheus would scrape.
    pub fn metrics(&self) -> Result<String> {
        self.namespace.run(&["curl", "-sS", "--fail", "--max-time", "300", METRICS_URL])
    }

    /// Makes it read its configuration again (SIGHUP).
    pub fn reload(&self) -> Result<()> {
        self.running()?.signal(Signal::SIGHUP)
    }

    /// Ends it with SIGTERM; an error when it runs on after `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<Stopped> {
        self.process.take().context("the appliance does not run")?.stop(limit)
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The running program.
    pub fn running(&self) -> Result<&Process> {
        self.process.as_ref().context("the appliance does not run")
    }

    /// The last lines it wrote.
    pub fn last_words(&self) -> String {
        self.process.as_ref().map(Process::last_words).unwrap_or_default()
    }

    /// Its program, for those who want to talk to it by hand.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its configuration file.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// Its command socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// The program under test: `$PORTICO`, else the release build of this workspace.
pub fn program() -> Result<PathBuf> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let workspace = workspace.canonicalize()?;
    let path = match std::env::var_os("PORTICO") {
        Some(path) => PathBuf::from(path),
        None => {
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
            target.join("release/portico")
        }
    };
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => bail!(
            "no appliance at {}: run deploy/setup and `cargo build --release -p portico`, or name one in $PORTICO",
            path.display()
        ),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
