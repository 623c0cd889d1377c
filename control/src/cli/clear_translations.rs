//! `clear ip nat translation`

use std::sync::Arc;

use dataplane::message::{Clear, Cleared, WorkerMessage};
use dataplane::state::wanted::Wanted;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, long_command};
use super::wanted::{named, of_pool, statics};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::question::Pending;

/// `forced` is IOS's word for what is in use too. Every clear ends that here.
#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("clear ip nat translation { * [ forced ] | forced }", "End every dynamic translation", all),
    long_command("clear ip nat translation (translation) [ forced ]", "End the translations of these addresses", addresses),
    long_command("clear ip nat translation vrf <vrf:word> { * | (translation) } [ forced ]", "End translations of a VRF", addresses),
    long_command("clear ip nat translation pool <pool:word> [ forced ]", "End the translations of a pool", pool),
];

fn all(_: &mut Appliance, _: &Args) -> Started {
    Ok(Box::new(Clearing::new(Wanted::default())))
}

fn addresses(appliance: &mut Appliance, args: &Args) -> Started {
    Ok(Box::new(Clearing::new(named(appliance, args)?)))
}

fn pool(appliance: &mut Appliance, args: &Args) -> Started {
    Ok(Box::new(Clearing::new(of_pool(appliance, args)?)))
}

/// A clear under way. All workers are at it at once, and each answers from time to time how far it is.
struct Clearing {
    wanted: Arc<Wanted>,
    /// By worker, once they were asked.
    workers: Option<Vec<Place>>,
    count: u64,
    is_told: bool,
}

/// How far a worker is.
enum Place {
    /// It was asked, and has not answered yet.
    Wait(Pending<Cleared>),
    /// It has looked at everything.
    End,
}

impl Clearing {
    fn new(wanted: Wanted) -> Clearing {
        Clearing { wanted: Arc::new(wanted), workers: None, count: 0, is_told: false }
    }

    fn ask(&self, appliance: &Appliance, worker: usize, start: u32) -> Result<Place, String> {
        let clear = |reply| WorkerMessage::Clear(Clear { wanted: Arc::clone(&self.wanted), start, reply });
        Pending::ask(appliance, worker, clear).map(Place::Wait)
    }

    /// Takes the workers' answers. Whether all of them are done.
    fn poll(&mut self, appliance: &Appliance) -> Result<bool, String> {
        let Some(mut workers) = self.workers.take() else {
            let asked = (0..appliance.worker_count()).map(|worker| self.ask(appliance, worker, 0));
            self.workers = Some(asked.collect::<Result<_, _>>()?);
            return Ok(false);
        };
        for (worker, place) in workers.iter_mut().enumerate() {
            let Place::Wait(pending) = place else { continue };
            let Some(Cleared { count, next }) = pending.poll(appliance.operation.now_ms)? else { continue };
            self.count += count;
            *place = next.map_or(Ok(Place::End), |next| self.ask(appliance, worker, next))?;
        }
        let is_done = workers.iter().all(|place| matches!(place, Place::End));
        self.workers = Some(workers);
        Ok(is_done)
    }

    /// What is said at the end. Whoever names addresses expects that there is something, as IOS does.
    fn result(&self, appliance: &Appliance) -> Progress {
        match self.count {
            0 if self.wanted.conditions.is_empty() => Progress::Piece("0 translations cleared\n".into()),
            0 if statics(appliance, &self.wanted).next().is_some() => {
                Progress::Refused("%Translation not dynamic".into())
            }
            0 => Progress::Refused("%Translation not found".into()),
            1 => Progress::Piece("1 translation cleared\n".into()),
            count => Progress::Piece(format!("{count} translations cleared\n")),
        }
    }
}

impl Answer for Clearing {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if self.is_told {
            return Progress::Done;
        }
        match self.poll(appliance) {
            Ok(false) => Progress::Waiting,
            Ok(true) => {
                self.is_told = true;
                self.result(appliance)
            }
            Err(refusal) => Progress::Refused(refusal),
        }
    }
}
