//! Checks that need the whole configuration: lines that contradict each other, or that probably do not do what was meant.

pub(crate) mod findings;

use super::diagnostic::Diagnostic;
use super::family::FAMILIES;
use super::model::Config;
use findings::Lint;

/// Checks a whole configuration.
pub(super) fn lint(config: &Config) -> Vec<Diagnostic> {
    judge(Lint::new(config))
}

/// Checks the lines of a file that could be read, when others could not. It reports errors only: what seems to be
/// undefined may be defined in a line that could not be read.
pub(super) fn lint_in_part(config: &Config) -> Vec<Diagnostic> {
    judge(Lint::in_part(config))
}

fn judge(mut lint: Lint<'_>) -> Vec<Diagnostic> {
    for family in FAMILIES {
        (family.lint)(&mut lint);
    }
    lint.into_findings()
}
