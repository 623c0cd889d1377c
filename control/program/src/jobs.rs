//! Answers under way: the control thread goes on with each for a moment, in turn.
use std::time::Duration;

use control::appliance::Appliance;
use control::cli::{Answer, Progress};
use control::fault::spared;
use crossbeam::channel::{Sender, TrySendError};

use crate::request::Piece;

/// Commands under way at once.
pub const COMMANDS_MAX: usize = 64;
/// How long a reader may take nothing and keep the place that somebody else needs, in milliseconds.
pub const READ_WITHIN_MS: u64 = 1000;
/// How long the control thread pauses while a worker is to answer.
const WAITING: Duration = Duration::from_micros(200);
/// And while a reader is to take what is there for him.
const UNREAD: Duration = Duration::from_millis(5);

/// Answers under way, at most `max`.
pub struct Jobs {
    jobs: Vec<Job>,
    max: usize,
}

/// An answer under way, and who waits for it.
struct Job {
    answer: Box<dyn Answer>,
    reply: Sender<Piece>,
    /// What the reader has no room for yet.
    unsent: Option<Piece>,
    /// When the reader last took something, in milliseconds.
    taken_ms: u64,
}

impl Jobs {
    /// None yet.
    pub fn new(max: usize) -> Jobs {
        Jobs { jobs: Vec::new(), max }
    }

    /// Begins an answer. Where there are too many, the one whose reader has taken nothing for longest gives its place up, as
    /// that of somebody who looks at a page; if all readers go on, the new one is refused.
    pub fn begin(&mut self, answer: Box<dyn Answer>, reply: Sender<Piece>, now_ms: u64) {
        if self.jobs.len() >= self.max {
            let is_idle = |job: &Job| job.unsent.is_some() && now_ms >= job.taken_ms + READ_WITHIN_MS;
            let idle = self.jobs.iter().enumerate().filter(|(_, job)| is_idle(job));
            let Some((longest, _)) = idle.min_by_key(|(_, job)| job.taken_ms) else {
                let refusal = format!("% {} commands are under way; try again when one has ended", self.max);
                drop(reply.try_send(Piece::Refused(refusal)));
                return;
            };
            self.jobs.swap_remove(longest);
        }
        self.jobs.push(Job { answer, reply, unsent: None, taken_ms: now_ms });
    }

    /// Goes on with every answer; returns how long to pause at most, none when nothing is under way.
    pub fn advance(&mut self, appliance: &mut Appliance) -> Option<Duration> {
        let mut pause = None;
        self.jobs.retain_mut(|job| {
            let wanted = job.advance(appliance);
            pause = [pause, wanted].into_iter().flatten().min();
            wanted.is_some()
        });
        pause
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Job {
    /// Goes on for a moment; returns how long to pause, none at the end.
    fn advance(&mut self, appliance: &mut Appliance) -> Option<Duration> {
        if self.unsent.is_none() {
            self.unsent = match spared(|| self.answer.advance(appliance)) {
                Some(Progress::Waiting) => return Some(WAITING),
                Some(Progress::Piece(text)) => Some(Piece::Text(text)),
                Some(Progress::Done) => Some(Piece::End),
                Some(Progress::Refused(refusal)) => Some(Piece::Refused(refusal)),
                None => Some(Piece::Refused("% Internal error; 'show logging' has it".into())),
            };
        }
        let piece = self.unsent.take()?;
        let is_last = piece.is_last();
        match self.reply.try_send(piece) {
            Ok(()) => {
                self.taken_ms = appliance.operation.now_ms;
                (!is_last).then_some(Duration::ZERO)
            }
            // Who is slow to read waits for himself alone.
            Err(TrySendError::Full(piece)) => {
                self.unsent = Some(piece);
                Some(UNREAD)
            }
            Err(TrySendError::Disconnected(_)) => None,
        }
    }
}
