//! `platform dpdk`: cores, memory and table sizes, fixed while the program runs.

use super::edit::statement;
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::{Form, Row};
use crate::config::lint::findings::Lint;
use crate::config::model::Place;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Platform, PLATFORM)],
    render: &[(Section::Platform, |config| config.platform.lines())],
    lint: |lint| lint.check_platform(),
    compile: &[(Stage::Interfaces, |compiler| compiler.platform())],
    ..Family::NONE
};

/// `platform dpdk` and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Where `platform dpdk` stands.
    pub place: Place,
    /// `workers N`: threads that forward.
    pub workers: Option<u16>,
    /// `cores 2-3`: the cores workers are pinned to, in order.
    pub cores: Vec<u16>,
    /// `memory MIB`: memory for packets, in MiB.
    pub memory_mib: Option<u32>,
    /// False after `no hugepages`.
    pub hugepages: bool,
    /// `max-sessions N`: sessions that all workers hold together.
    pub max_sessions: Option<u32>,
}

/// Sessions that all workers hold together, unless `max-sessions` is configured.
const SESSIONS_DEFAULT: u32 = 1 << 18;

impl Platform {
    /// Sessions that all workers hold together.
    pub fn sessions(&self) -> u32 {
        self.max_sessions.unwrap_or(SESSIONS_DEFAULT)
    }
}

impl Default for Platform {
    fn default() -> Platform {
        Platform {
            place: Place::default(),
            workers: None,
            cores: Vec::new(),
            memory_mib: None,
            hugepages: true,
            max_sessions: None,
        }
    }
}

/// The most workers. The owner of a port is stored in one byte.
const WORKERS_MAX: u16 = 64;

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("platform dpdk", "Cores, memory and table sizes", platform),
];

#[rustfmt::skip]
const PLATFORM: &[Row<Apply>] = &[
    statement("workers / <workers:1-256>", "Threads that forward", workers),
    statement("cores / <cores>", "Cores that workers are pinned to", cores),
    statement("memory / <mib:64-1048576>", "Memory for packets in MiB", memory),
    statement("hugepages", "Take memory in huge pages", hugepages),
    statement("max-sessions / <sessions:1-4000000000>", "Sessions that all workers hold together", max_sessions),
];

fn platform(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if !statement.sets() {
        builder.config.platform = Platform::default();
        return Ok(());
    }
    builder.config.platform.place = statement.place;
    builder.open(Mode::Platform, (0, 0));
    Ok(())
}

fn workers(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.platform.workers = statement.args.optional("workers").filter(|_| statement.sets());
    Ok(())
}

fn cores(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.platform.cores =
        statement.args.optional("cores").filter(|_| statement.sets()).unwrap_or_default();
    Ok(())
}

fn memory(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.platform.memory_mib = statement.args.optional("mib").filter(|_| statement.sets());
    Ok(())
}

fn hugepages(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.platform.hugepages = statement.form != Form::No;
    Ok(())
}

fn max_sessions(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.config.platform.max_sessions = statement.args.optional("sessions").filter(|_| statement.sets());
    Ok(())
}

impl Lint<'_> {
    fn check_platform(&mut self) {
        let platform = &self.config.platform;
        let workers = platform.workers.unwrap_or(0) as usize;
        if !platform.cores.is_empty() && platform.cores.len() < workers {
            let text = format!("{workers} workers share {} cores", platform.cores.len());
            self.warn(platform.place, text);
        }
    }
}

impl Platform {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.workers.map(|workers| format!(" workers {workers}")));
        if !self.cores.is_empty() {
            lines.push(format!(" cores {}", core_list(&self.cores)));
        }
        lines.extend(self.memory_mib.map(|mib| format!(" memory {mib}")));
        if !self.hugepages {
            lines.push(" no hugepages".to_string());
        }
        lines.extend(self.max_sessions.map(|sessions| format!(" max-sessions {sessions}")));
        if !lines.is_empty() {
            lines.insert(0, "platform dpdk".to_string());
        }
        lines
    }
}

/// Cores with neighbours joined: `2-4,7`.
fn core_list(cores: &[u16]) -> String {
    let follows = |low: &u16, high: &u16| low.checked_add(1) == Some(*high);
    let ranges = cores.chunk_by(follows).map(|range| match range {
        [core] => core.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<String>>().join(",")
}

impl Compiler<'_> {
    fn platform(&mut self) {
        let platform = &self.config.platform;
        if platform.workers.is_some_and(|workers| workers > WORKERS_MAX) {
            self.error(platform.place, format!("at most {WORKERS_MAX} workers"));
        }
    }
}
