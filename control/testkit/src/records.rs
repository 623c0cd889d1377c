//! Compares the records in the appliance's journals with its counters.

use std::collections::HashSet;

use dataplane::counters::{Counters, LifeCounters};
use dataplane::state::journal::{Journal, Record, What};

/// The sessions, bindings and port sets that are live according to one worker's records.
#[derive(Default)]
pub(crate) struct Records {
    next: u64,
    live: HashSet<Record>,
}

impl Records {
    /// Reads the new records and checks them: none is missing, whatever ends has begun before, and the records leave as
    /// many bindings and port sets live as the worker counts. Sessions are checked the same way where the configuration
    /// asks for their records (`has_sessions`).
    ///
    /// # Errors
    /// What does not agree.
    pub fn follow(
        &mut self,
        journal: &mut Journal,
        counters: &Counters,
        has_sessions: bool,
    ) -> Result<(), String> {
        while let Some((number, record)) = journal.read() {
            if number != self.next {
                return Err(format!("records {} to {} are lost", self.next, number - 1));
            }
            self.next += 1;
            if record.what == What::PoolExhausted {
                continue;
            }
            let what = Record { time_ms: 0, ended: None, ..record };
            let is_right = match record.ended {
                None => self.live.insert(what),
                Some(_) => self.live.remove(&what),
            };
            if !is_right {
                return Err(format!("a record begins twice, or ends without a beginning: {record:?}"));
            }
        }
        let count = |is_it: fn(&What) -> bool| self.live.iter().filter(|record| is_it(&record.what)).count();
        let port_sets = count(|what| matches!(what, What::PortSet { .. }));
        let sessions = count(|what| *what == What::Session);
        let bindings = self.live.len() - sessions - port_sets;
        let nat = &counters.nat;
        agree("sessions", &nat.session_lives, nat.sessions.value())?;
        agree("port sets", &nat.port_set_lives, nat.port_sets.value())?;
        if has_sessions {
            agree("sessions by the journal", &nat.session_lives, sessions as u64)?;
        }
        agree("port sets by the journal", &nat.port_set_lives, port_sets as u64)?;
        agree("bindings by the journal", &nat.binding_lives, bindings as u64)
    }
}

fn agree(what: &str, lives: &LifeCounters, live: u64) -> Result<(), String> {
    let (begun, ended) = (lives.begun.value(), lives.ended());
    if begun == ended + live {
        return Ok(());
    }
    Err(format!("{what}: {begun} began, {ended} ended, {live} are live"))
}
