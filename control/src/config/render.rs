//! The model as canonical text: what a running configuration shows, only what differs from the defaults.

use std::fmt::{self, Display};

use super::family::FAMILIES;
use super::model::Config;

/// The whole configuration. Reading it gives the same model again.
impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_families = FAMILIES.iter().flat_map(|family| family.render);
        let mut sections: Vec<_> = of_families.map(|(section, lines)| (*section, lines(self))).collect();
        sections.retain(|(_, lines)| !lines.is_empty());
        sections.sort_by_key(|(section, _)| *section);
        for block in sections.chunk_by(|(one, _), (other, _)| one.is_nat() && other.is_nat()) {
            for line in block.iter().flat_map(|(_, lines)| lines) {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "!")?;
        }
        Ok(())
    }
}
