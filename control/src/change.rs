//! Configurations that are to be taken over while the appliance runs: who wants which, what came of it, and the way back.

use std::path::PathBuf;

use crossbeam::channel::Sender;

use crate::config::Config;

/// What is to be taken over.
pub enum Wanted {
    /// A configuration.
    Config(Box<Config>),
    /// What a file says.
    File(PathBuf),
}

/// A configuration that is to be taken over.
pub struct Change {
    /// Which.
    pub wanted: Wanted,
    /// Who wants it, such as `console by ann on vty 3`.
    pub by: String,
    /// Whether translations may end by it.
    pub is_forced: bool,
    /// After how many milliseconds it is undone, unless it is confirmed.
    pub revert_after_ms: Option<u64>,
    /// Who waits for what comes of it.
    pub reply: Option<Sender<Outcome>>,
}

/// What there is to say of a change that was made, or why it was not; in lines.
pub type Outcome = Result<Vec<String>, Vec<String>>;

/// A way back to the configuration before a change that was not confirmed yet.
pub struct Revert {
    /// The configuration to go back to.
    pub config: Box<Config>,
    /// When, in milliseconds since the start.
    pub due_ms: u64,
}

/// The file of the configuration, as it was last read or written.
pub struct Startup {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Where it is asked to be written anew.
    pub writer: Sender<Save>,
}

/// A configuration to be written to the file.
pub struct Save {
    /// Which.
    pub config: Box<Config>,
    /// What the file must still have in it.
    pub known: String,
    /// Where it is told what the file has now, or why it stays as it was.
    pub reply: Sender<Result<Saved, String>>,
}

/// A file that was written.
pub struct Saved {
    /// Its text.
    pub text: String,
    /// Whether its comments stand before all else now.
    pub is_apart: bool,
}
