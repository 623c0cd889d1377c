//! Route-maps as text.

use std::fmt::Display;

use super::super::model::*;

impl RouteMap {
    /// Each entry's line with those of its conditions.
    pub fn lines(&self) -> Vec<String> {
        self.entries.iter().flat_map(|entry| entry.lines(&self.name)).collect()
    }
}

impl RouteMapEntry {
    fn lines(&self, name: &str) -> Vec<String> {
        let mut lines = vec![format!("route-map {name} {} {}", self.action, self.sequence)];
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        lines.extend(condition("ip address", &self.access_lists));
        lines.extend(condition("interface", &self.interfaces));
        lines.extend(condition("ip next-hop", &self.next_hops));
        lines
    }
}

/// A condition that has values.
fn condition(keyword: &str, values: &[impl Display]) -> Option<String> {
    let values: String = values.iter().map(|value| format!(" {value}")).collect();
    (!values.is_empty()).then(|| format!(" match {keyword}{values}"))
}
