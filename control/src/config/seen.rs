//! What a file has, in a line: whoever checks it sees whether it was read as it was meant.

use super::reader::Parsed;

impl Parsed {
    /// How many there are of what counts, such as `2 interfaces, 1 pool, 1 rule, 12 lines passed over`.
    pub fn seen(&self) -> String {
        let (config, nat) = (&self.config, &self.config.nat);
        let rules = nat.dynamic_rules.len() + nat.destination_rules.len() + nat.outside_dynamic_rules.len();
        let counts = [
            (config.interfaces.len(), "interface", "interfaces"),
            (config.vrfs.len(), "VRF", "VRFs"),
            (nat.pools.len(), "pool", "pools"),
            (rules, "dynamic rule", "dynamic rules"),
            (nat.static_rules.len() + nat.outside_static_rules.len(), "static rule", "static rules"),
            (config.access_lists.len(), "access list", "access lists"),
            (config.route_maps.len(), "route-map", "route-maps"),
            (config.prefix_lists.len(), "prefix list", "prefix lists"),
            (config.object_groups.len(), "object group", "object groups"),
            (config.time_ranges.len(), "time range", "time ranges"),
            (config.tracks.len(), "tracked object", "tracked objects"),
            (config.routes.len(), "static route", "static routes"),
            (self.passed_over, "line passed over", "lines passed over"),
        ];
        let some = counts.into_iter().filter(|(count, ..)| *count > 0);
        let words: Vec<String> = some
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        if words.is_empty() { "no statement".to_string() } else { words.join(", ") }
    }
}
