//! `platform dpdk`: cores, memory and table sizes, fixed while the program runs.

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::{Form, Row};
use super::super::lint::findings::Lint;
use super::super::model::Platform;
use super::edit::statement;
use super::row::{Family, Section, Stage};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Platform, PLATFORM)],
    render: &[(Section::Platform, |config| config.platform.lines())],
    lint: |lint| lint.check_platform(),
    compile: &[(Stage::Interfaces, |compiler| compiler.platform())],
    ..Family::NONE
};

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
