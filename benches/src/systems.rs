//! The systems under test, each started for one run and stopped when dropped.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kernel::Namespaces;
use crate::preemption::Thread;

/// The first and the last global address.
pub const POOL: [&str; 2] = ["203.0.112.1", "203.0.113.254"];
/// How many those are.
pub const POOL_COUNT: u32 = 510;
/// How long a system may take to start.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum System {
    /// DPDK's testpmd, which forwards every frame as it is: the limit of wire and generator.
    Plain,
    /// Portico in its default mode.
    Default,
    /// Portico in CGN mode.
    Cgn,
    /// The kernel's nftables between veths. The generator reaches those through packet sockets.
    Kernel,
}

impl System {
    /// As the history names it.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A system that runs.
pub struct Running {
    child: Option<Child>,
    namespaces: Option<Namespaces>,
    directory: PathBuf,
    thread: &'static str,
}

/// What is to be started, and where.
pub struct Start<'a> {
    /// Which one.
    pub system: System,
    /// The worker's core.
    pub core: usize,
    /// The core of everything else.
    pub other_core: usize,
    /// Sessions there must be room for.
    pub flows: u32,
    /// The program `portico`.
    pub portico: &'a Path,
}

/// Where sockets, configurations and logs of this process's systems are.
pub fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("portico-bench-{}", std::process::id()))
}

impl Running {
    /// Starts a system and waits until it can be connected to.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(start: &Start<'_>) -> Result<Running> {
        let directory = directory();
        fs::create_dir_all(&directory)?;
        let mut running = Running { child: None, namespaces: None, directory, thread: "" };
        let _ = fs::remove_file(running.socket());
        match start.system {
            System::Plain => running.start_plain(start)?,
            System::Default | System::Cgn => running.start_portico(start)?,
            System::Kernel => running.namespaces = Some(Namespaces::create(start.core, POOL)?),
        }
        Ok(running)
    }

    /// The socket of its memif servers.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("memif.sock")
    }

    /// What the load generator is to be told to find it, and its program to run in front, if any.
    pub fn approach(&self) -> (Vec<String>, Vec<String>) {
        match (&self.namespaces, &self.child) {
            (Some(namespaces), _) => (namespaces.prefix(), namespaces.devices()),
            (None, child) => {
                let mut arguments = vec!["--socket".to_owned(), self.socket().display().to_string()];
                if let Some(child) = child {
                    arguments.extend(["--watch".to_owned(), format!("{}:{}", child.id(), self.thread)]);
                }
                (Vec::new(), arguments)
            }
        }
    }

    fn devices(&self) -> [String; 2] {
        let socket = self.socket();
        [0, 1].map(|id| {
            format!("net_memif{id},role=server,id={id},socket={},socket-abstract=no", socket.display())
        })
    }

    fn start_plain(&mut self, start: &Start<'_>) -> Result<()> {
        let lcores = format!("0@{},1@{}", start.other_core, start.core);
        let mut command = Command::new("dpdk-testpmd");
        command.args(["--in-memory", "--no-pci", "--no-telemetry", "-m", "200", "--lcores", &lcores]);
        for device in self.devices() {
            command.args(["--vdev", &device]);
        }
        command.args(["--", "--forward-mode=io", "--auto-start", "--nb-cores=1", "--no-mlockall"]);
        command.arg("--total-num-mbufs=16384");
        let log = fs::File::create(self.directory.join("testpmd.log"))?;
        // It stops at the end of its input.
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("dpdk-testpmd cannot be run; deploy/setup installs it")?);
        self.thread = "rte-worker-1";
        self.wait()
    }

    fn start_portico(&mut self, start: &Start<'_>) -> Result<()> {
        let config = self.directory.join("portico.conf");
        fs::write(&config, self.configuration(start))?;
        let mut command = Command::new(start.portico);
        command
            .arg("run")
            .arg("--config")
            .arg(&config)
            .arg("--socket")
            .arg(self.directory.join("portico.sock"));
        command.stdout(Stdio::piped()).stderr(fs::File::create(self.directory.join("portico.log"))?);
        let mut child = command.spawn().with_context(|| format!("{}", start.portico.display()))?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("no standard output"))?;
        self.child = Some(child);
        self.thread = "worker-0";
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim_end() != "ready" {
            bail!("portico does not start: {}", fs::read_to_string(self.directory.join("portico.log"))?);
        }
        self.wait()
    }

    fn configuration(&self, start: &Start<'_>) -> String {
        let [inside, outside] = self.devices();
        let mode = if start.system == System::Cgn { "ip nat settings mode cgn\n" } else { "" };
        let sessions = start.flows + start.flows / 4 + 4096;
        format!(
            "platform dpdk\n workers 1\n cores {core}\n memory 128\n max-sessions {sessions}\n\
             interface GigabitEthernet0/0/0\n device {inside}\n mac-address 0200.0000.0001\n \
             ip address 10.0.0.1 255.255.255.0\n ip nat inside\n\
             interface GigabitEthernet0/0/1\n device {outside}\n mac-address 0200.0000.0002\n \
             ip address 192.0.2.1 255.255.255.0\n ip nat outside\n\
             ip nat pool P {first} {last} prefix-length 22\nip nat inside source list 1 pool P overload\n{mode}\
             access-list 1 permit any\nip route 100.64.0.0 255.192.0.0 10.0.0.2\n\
             ip route 0.0.0.0 0.0.0.0 192.0.2.254\narp 10.0.0.2 0200.0000.000a arpa\n\
             arp 192.0.2.254 0200.0000.000b arpa\n",
            core = start.core,
            first = POOL[0],
            last = POOL[1],
        )
    }

    /// Waits until the worker polls and the socket is there.
    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        let Some(child) = &mut self.child else { return Ok(()) };
        while !(self.directory.join("memif.sock").exists() && Thread::find(child.id(), self.thread).is_ok()) {
            if let Some(status) = child.try_wait()? {
                bail!("it ended with {status}; its log is in {}", self.directory.display());
            }
            if begun.elapsed() > START_WITHIN {
                bail!("it does not start; its log is in {}", self.directory.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > STOP_WITHIN {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = fs::remove_file(self.directory.join("memif.sock"));
    }
}
