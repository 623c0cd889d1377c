//! The consoles: who is on each, what he may do, and the configuration that one of them is changing.

use std::collections::{BTreeMap, VecDeque};

use crate::config::{Config, Editing};

/// Lines that `show history` has.
const HISTORY_MAX: usize = 20;

/// What whoever is on a console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Look.
    View,
    /// Look, change and clear.
    Change,
}

/// A console.
pub struct Vty {
    /// Who is on it.
    pub user: String,
    /// What he may do.
    pub role: Role,
    /// What `terminal length` says: rows of a page, 0 for one page.
    pub length: Option<u16>,
    /// What `terminal width` says: columns.
    pub width: Option<u16>,
    /// Whether he has not said `disable`.
    pub is_enabled: bool,
    /// Whether he has said `exit`.
    pub is_over: bool,
    /// His last lines.
    pub history: VecDeque<String>,
    /// When he last said something, in milliseconds since the start.
    pub heard_ms: u64,
    /// The configuration that he is changing.
    pub draft: Option<Draft>,
}

/// A configuration that is being changed.
pub struct Draft {
    /// As far as it has come.
    pub editing: Editing,
    /// The number of the configuration that it began with.
    pub base: u64,
    /// When it was begun, in milliseconds since the start.
    pub since_ms: u64,
    /// Minutes after which what it changes is undone, unless it is confirmed.
    pub revert_minutes: Option<u32>,
}

/// All consoles, by their numbers.
#[derive(Default)]
pub struct Vtys {
    open: BTreeMap<u64, Vty>,
}

impl Vtys {
    /// Somebody comes.
    pub fn open(&mut self, id: u64, user: String, role: Role, now_ms: u64) {
        let vty = Vty {
            user,
            role,
            length: None,
            width: None,
            is_enabled: role == Role::Change,
            is_over: false,
            history: VecDeque::new(),
            heard_ms: now_ms,
            draft: None,
        };
        self.open.insert(id, vty);
    }

    /// Somebody goes. What he was changing is given up.
    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// A console.
    pub fn get(&self, id: u64) -> Option<&Vty> {
        self.open.get(&id)
    }

    /// A console, to change.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Vty> {
        self.open.get_mut(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Vty)> {
        self.open.iter().map(|(id, vty)| (*id, vty))
    }

    /// The console that is changing the configuration, and its draft.
    pub fn changing(&self) -> Option<(u64, &Vty, &Draft)> {
        self.iter().find_map(|(id, vty)| Some((id, vty, vty.draft.as_ref()?)))
    }

    /// Has whoever is changing the configuration give it up.
    pub fn free(&mut self) {
        self.open.values_mut().for_each(|vty| vty.draft = None);
    }
}

impl Vty {
    /// The prompt, with the name of the box.
    pub fn prompt(&self, config: &Config) -> String {
        let name = config.hostname.as_deref().unwrap_or("portico");
        match &self.draft {
            Some(draft) => format!("{name}({})#", draft.editing.prompt()),
            None if self.is_enabled => format!("{name}#"),
            None => format!("{name}>"),
        }
    }

    /// Whether he may change things now.
    pub fn may_change(&self) -> bool {
        self.role == Role::Change && self.is_enabled
    }

    /// Takes note of a line of his.
    pub fn note(&mut self, line: &str, now_ms: u64) {
        self.heard_ms = now_ms;
        if !line.trim().is_empty() {
            self.history.push_back(line.trim().to_string());
            self.history.drain(..self.history.len().saturating_sub(HISTORY_MAX));
        }
    }
}
