//! A change of the configuration under way: a reload of the file, or what was typed at a console. It is read, checked and compiled
//! in a thread of its own, so that however long it is, commands, metrics and ARP are answered meanwhile.
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow};
use control::appliance::Appliance;
use control::change::{Change, Wanted};
use control::compile::{Compiled, PortBinding, compile};
use control::config::{Config, Diagnostic, Severity, difference, parse};
use control::means::{Means, available_bytes};
use control::question::Question;
use crossbeam::channel::{Receiver, TryRecvError, bounded};
use dataplane::message::{Usage, WorkerMessage};
use nix::unistd::geteuid;

/// A change of the configuration under way.
pub struct Reload {
    stage: Stage,
    change: Change,
}

/// What came of preparing: a configuration that can be taken over, or the mistakes for which none can.
type Outcome = Result<Prepared, Vec<String>>;

enum Stage {
    /// In its thread.
    Preparing(Receiver<Outcome>),
    /// The workers are asked how many sessions each rule has, for those that go to be told of.
    Asking(Box<Prepared>, Option<Question<Usage>>),
}

/// A configuration that can be taken over.
pub struct Prepared {
    /// As it was read.
    pub config: Config,
    /// The text of the configuration's file, if it was read from that.
    pub text: Option<String>,
    /// As it was compiled.
    pub compiled: Compiled,
    /// What there is to say of it.
    pub found: Vec<Diagnostic>,
    /// How it differs from the one in force.
    pub changes: Vec<String>,
    /// How much of the configuration in force is in use, for each worker that answered.
    pub usages: Vec<Usage>,
    base: Base,
}

/// What a compilation starts from.
#[derive(Clone)]
struct Base {
    config: Config,
    compiled: Arc<Compiled>,
    ports: Vec<PortBinding>,
    time_of_day: SystemTime,
}

impl Base {
    fn of(appliance: &Appliance) -> Base {
        Base {
            config: appliance.config.clone(),
            compiled: Arc::clone(&appliance.compiled),
            ports: appliance.ports().to_vec(),
            time_of_day: appliance.operation.time_of_day(0),
        }
    }
}

impl Reload {
    /// Begins one. Files without a directory are those beside `file`.
    ///
    /// # Errors
    /// The change, when there can be no other thread.
    pub fn begin(mut change: Change, file: &Path, appliance: &Appliance) -> Result<Reload, Change> {
        let base = Base::of(appliance);
        // What is wanted goes into the thread; who wants it stays here.
        let wanted = std::mem::replace(&mut change.wanted, Wanted::File(PathBuf::new()));
        let startup = file.to_path_buf();
        let started = in_a_thread(move || match wanted {
            Wanted::Config(config) => prepare(*config, None, Vec::new(), base),
            Wanted::File(path) => {
                let path = startup.parent().unwrap_or(Path::new("")).join(path);
                let is_startup = path.canonicalize().ok() == startup.canonicalize().ok();
                let read = read_text(&path);
                let (file, text) = read.map_err(|error| vec![format!("{error:#}")])?;
                // As a file is while somebody writes it: nobody means to take everything away so.
                if text.trim().is_empty() {
                    return Err(vec![format!("{file}: the file is empty; nothing of it is applied")]);
                }
                let (config, found) = judge(&file, &text);
                let config = config.ok_or_else(|| words(&found))?;
                prepare(config, is_startup.then_some(text), found, base)
            }
        });
        match started {
            Ok(outcome) => Ok(Reload { stage: Stage::Preparing(outcome), change }),
            Err(_) => Err(change),
        }
    }

    /// What is being done.
    pub fn into_change(self) -> Change {
        self.change
    }

    /// Goes on for a moment. Returns what came of it at the end.
    pub fn advance(&mut self, appliance: &Appliance) -> Option<Outcome> {
        match &mut self.stage {
            Stage::Preparing(outcome) => match outcome.try_recv() {
                Err(TryRecvError::Empty) => {}
                Ok(Ok(prepared)) => return self.prepared(prepared, appliance),
                Ok(Err(mistakes)) => return Some(Err(mistakes)),
                Err(TryRecvError::Disconnected) => {
                    return Some(Err(vec![
                        "the configuration could not be compiled; please report this".into(),
                    ]));
                }
            },
            Stage::Asking(_, question) => {
                let polled = question.as_mut().map(|question| question.poll(appliance.operation.now_ms));
                let usages = match polled {
                    Some(Ok(None)) => return None,
                    Some(Ok(Some(usages))) => usages,
                    // A worker that does not answer is told of by itself.
                    Some(Err(_)) | None => Vec::new(),
                };
                // The stage is over with this.
                let over = Stage::Preparing(bounded(0).1);
                if let Stage::Asking(prepared, _) = std::mem::replace(&mut self.stage, over) {
                    return Some(Ok(Prepared { usages, ..*prepared }));
                }
            }
        }
        None
    }

    fn prepared(&mut self, prepared: Prepared, appliance: &Appliance) -> Option<Outcome> {
        let base = Base::of(appliance);
        if Arc::ptr_eq(&prepared.base.compiled, &base.compiled) {
            let question = Question::ask(appliance, WorkerMessage::Usage).ok();
            self.stage = Stage::Asking(Box::new(prepared), question);
            return None;
        }
        // A link has changed meanwhile: compiled again, from what is in force now.
        match in_a_thread(move || prepare(prepared.config, prepared.text, prepared.found, base)) {
            Ok(again) => {
                self.stage = Stage::Preparing(again);
                None
            }
            Err(error) => Some(Err(vec![format!("{error:#}")])),
        }
    }
}

fn in_a_thread(work: impl FnOnce() -> Outcome + Send + 'static) -> Result<Receiver<Outcome>> {
    let (sender, outcome) = bounded(1);
    let work = move || drop(sender.send(work()));
    std::thread::Builder::new().name("reload".into()).spawn(work).context("no thread for the reload")?;
    Ok(outcome)
}

fn prepare(config: Config, text: Option<String>, found: Vec<Diagnostic>, base: Base) -> Outcome {
    let worker_count = usize::from(base.compiled.tables.worker_count);
    let means = Means { worker_count, free_bytes: available_bytes(), time_of_day: base.time_of_day };
    let compiled = compile(&config, &base.ports, Some(&base.compiled), &means);
    let compiled = compiled.map_err(|errors| words(&errors))?;
    let changes = difference(&base.config, &config);
    Ok(Prepared { config, text, compiled, found, changes, usages: Vec::new(), base })
}

fn words(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

/// A configuration file's name and text.
///
/// # Errors
/// When it cannot be read.
pub fn read_text(path: &Path) -> Result<(String, String)> {
    let read = std::fs::read(path);
    let is_denied = read.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let text = read.with_context(|| {
        let advice = match is_denied {
            true => format!("let uid {} read it", geteuid()),
            false => "give a file that is there and readable".into(),
        };
        format!("cannot read the configuration {}; {advice}", path.display())
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| anyhow!("{}: the configuration is no text in UTF-8", path.display()))?;
    Ok((path.display().to_string(), text))
}

/// A file's configuration, or none when there are mistakes, and what there is to say of it.
pub fn judge(file: &str, text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let (config, mut found) = match parse(file, text) {
        Ok(parsed) => (Some(parsed.config), parsed.warnings),
        Err(found) => (None, found),
    };
    // What a file does without is for who checks it, not for each start.
    found.retain(|diagnostic| diagnostic.severity != Severity::Note);
    (config, found)
}
