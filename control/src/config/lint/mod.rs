//! What a configuration says that it probably does not mean: checks that need all of it.

pub(crate) mod findings;

use super::diagnostic::Diagnostic;
use super::family::FAMILIES;
use super::model::Config;
use findings::Lint;

/// Judges a whole configuration: what does not fit together.
pub(super) fn lint(config: &Config) -> Vec<Diagnostic> {
    judge(Lint::new(config))
}

/// Judges the lines of a file that could be read, when others could not: what seems to be missing may be there.
pub(super) fn lint_in_part(config: &Config) -> Vec<Diagnostic> {
    judge(Lint::in_part(config))
}

fn judge(mut lint: Lint<'_>) -> Vec<Diagnostic> {
    for family in FAMILIES {
        (family.lint)(&mut lint);
    }
    lint.into_findings()
}
