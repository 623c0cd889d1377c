//! What was measured, by phase.

use std::sync::Mutex;
use std::time::Duration;

/// What honest hosts did and got in a phase.
#[derive(Clone, Debug, Default)]
pub struct Got {
    /// Messages sent, and of those lost, and later than a second.
    pub messages: u64,
    /// See [`Got::messages`].
    pub lost: u64,
    /// See [`Got::messages`].
    pub late: u64,
    /// The longest that each kind of visit took, how many there were, and how many came to nothing.
    pub visits: Vec<(&'static str, Visits)>,
    /// The share of time that the busiest worker had packets.
    pub busy: f64,
}

/// Visits of a kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visits {
    /// How many were made.
    pub count: u32,
    /// How many came to nothing.
    pub failed: u32,
    /// The longest that one took.
    pub slowest: Duration,
}

impl Visits {
    /// These and those.
    pub fn and(self, other: Visits) -> Visits {
        Visits {
            count: self.count + other.count,
            failed: self.failed + other.failed,
            slowest: self.slowest.max(other.slowest),
        }
    }
}

impl Got {
    /// All visits of some kinds.
    pub fn visits_of(&self, is_meant: impl Fn(&str) -> bool) -> Visits {
        let meant = self.visits.iter().filter(|(kind, _)| is_meant(kind));
        meant.fold(Visits::default(), |all, (_, visits)| all.and(*visits))
    }
}

/// What all threads write into.
#[derive(Default)]
pub struct Tally {
    phases: Mutex<[Got; 3]>,
    notes: Mutex<Vec<String>>,
}

impl Tally {
    /// Changes what is known of a phase.
    pub fn change(&self, phase: usize, change: impl FnOnce(&mut Got)) {
        let mut phases = self.phases.lock().expect("no thread panics meanwhile");
        change(&mut phases[phase.min(2)]);
    }

    /// A visit was made.
    pub fn visit(&self, phase: usize, kind: &'static str, took: Duration, failure: Option<String>) {
        let visit = Visits { count: 1, failed: u32::from(failure.is_some()), slowest: took };
        self.change(phase, |got| match got.visits.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, visits)) => *visits = visits.and(visit),
            None => got.visits.push((kind, visit)),
        });
        if let Some(why) = failure {
            self.note(format!("{kind}: {why}"));
        }
    }

    /// Something that has to be told.
    pub fn note(&self, note: String) {
        println!("    {note}");
        self.notes.lock().expect("no thread panics meanwhile").push(note);
    }

    /// How many visits of a kind were made in a phase.
    pub fn visit_count(&self, phase: usize, kind: &str) -> u32 {
        let phases = self.phases.lock().expect("no thread panics meanwhile");
        phases[phase].visits_of(|one| one == kind).count
    }

    /// What is known.
    pub fn read(&self) -> ([Got; 3], Vec<String>) {
        let phases = self.phases.lock().expect("no thread panics meanwhile").clone();
        (phases, self.notes.lock().expect("no thread panics meanwhile").clone())
    }
}
