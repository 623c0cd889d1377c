//! A configuration that is changed line by line, at a console. Nothing of it is in force before the whole is taken over.

use std::collections::HashSet;

use super::builder::{Builder, Mode};
use super::diagnostic::{Diagnostic, Severity};
use super::family::MODES;
use super::grammar::Candidate;
use super::lex::tokens;
use super::lint::lint;
use super::model::Config;
use super::reader::{Parsed, grammar_of, grammars_of, judge, read};

/// A copy of a configuration that is being changed.
pub struct Editing {
    builder: Builder,
    /// What there was to say of the configuration that it began with.
    known: HashSet<String>,
    refused: usize,
}

impl Editing {
    /// Begins with a copy.
    pub fn of(config: &Config) -> Editing {
        let mut builder = Builder::new(&config.source.file);
        builder.config = config.clone();
        Editing { builder, known: lint(config).into_iter().map(|known| known.text).collect(), refused: 0 }
    }

    /// Carries out a line. Returns what there is to say about it.
    ///
    /// # Errors
    /// In IOS's words, when it cannot be carried out; then nothing has changed.
    pub fn line(&mut self, line: &str) -> Result<Vec<String>, String> {
        let had_mode = self.builder.mode.is_some();
        let done = read(&mut self.builder, line);
        let said = self.builder.take_diagnostics();
        if let Err(fault) = done {
            self.refused += 1;
            return Err(fault.in_ios_words(line));
        }
        if !had_mode && self.builder.mode.is_none() && !tokens(line).is_empty() {
            self.refused += 1;
            return Err("% Not carried out: the line that was to open its mode was refused".into());
        }
        Ok(said.into_iter().map(|warning| format!("% {}", warning.text)).collect())
    }

    /// The configuration as it is now, as a whole, with what is new to be said of it.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn finished(&self) -> Result<Parsed, Vec<Diagnostic>> {
        let is_news = |said: &Diagnostic| said.severity != Severity::Note && !self.known.contains(&said.text);
        match judge(self.builder.config.clone(), Vec::new(), 0) {
            Ok(parsed) => {
                let warnings = parsed.warnings.into_iter().filter(is_news).collect();
                Ok(Parsed { warnings, ..parsed })
            }
            Err(found) => Err(found
                .into_iter()
                .filter(|said| said.severity == Severity::Error || is_news(said))
                .collect()),
        }
    }

    /// The configuration as it is now.
    pub fn config(&self) -> &Config {
        &self.builder.config
    }

    /// Lines that were refused.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Whether a line removed something with `forced`.
    pub fn is_forced(&self) -> bool {
        self.builder.is_forced
    }

    /// Whether the next line is one of the global mode.
    pub fn is_global(&self) -> bool {
        self.builder.mode.is_none_or(|mode| mode == Mode::Global)
    }

    /// Leaves the mode.
    pub fn leave(&mut self) {
        self.builder.mode = Some(Mode::Global);
    }

    /// What the prompt has between its brackets, such as `config-if`.
    pub fn prompt(&self) -> &'static str {
        let mode = self.builder.mode.unwrap_or(Mode::Global);
        MODES.iter().find(|row| row.mode == mode).map_or("config", |row| row.prompt)
    }

    /// What could stand at the cursor of a line.
    pub fn complete(&self, line: &str, cursor: usize) -> Vec<Candidate> {
        let of_mode = self.builder.mode.map(|mode| grammars_of(Some(mode))).into_iter().flatten();
        let mut found: Vec<Candidate> = Vec::new();
        for grammar in of_mode.chain([grammar_of(Mode::Global)]) {
            for candidate in grammar.complete(line, cursor) {
                if !found.iter().any(|known| known.word == candidate.word) {
                    found.push(candidate);
                }
            }
        }
        found
    }
}
