//! A configuration being compiled, and what several families of statements need of it: numbers by name.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::SystemTime;

use dataplane::flow::Vrf;
use dataplane::policy::{AclIndex, Interface, InterfaceIndex, Pin, Policy, Pool, RuleId};
use dataplane::route::fib::{Fib, NextHop, Route};
use dataplane::state::ports::layout::ranges_of;
use dataplane::state::ports::ownership::Ownership;
use ipnet::Ipv4Net;

use crate::config::model::{Config, Place};
use crate::config::{Diagnostic, InterfaceName, Severity};
use crate::means::{Means, Shortage, Tables};

/// The global routing table; VRFs follow.
pub(crate) const GLOBAL: Vrf = 0;

/// A port of the appliance: the interface it belongs to, and the MAC address its device has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// The interface that names the device.
    pub interface: InterfaceName,
    /// The device's own address; none where there is no device.
    pub mac: Option<[u8; 6]>,
    /// Whether the device has a link.
    pub has_link: bool,
}

/// What a configuration comes to.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// For the workers.
    pub policy: Policy,
    /// For the workers: who owns which global ports.
    pub ownership: Ownership,
    /// What workers take memory for.
    pub tables: Tables,
    /// For the workers.
    pub fib: Fib,
    /// Neighbours by configuration, never asked for.
    pub static_neighbours: Vec<(NextHop, [u8; 6])>,
    /// Global addresses that no ARP is answered for, although they lie in a connected subnet.
    pub no_alias: Vec<Ipv4Addr>,
    /// The routes in force, for `show ip route`.
    pub routes: Vec<RouteEntry>,
    /// The number of each rule, by its line. The numbers of rules that went with the configuration before are not
    /// given out again until the next one.
    pub rule_lines: HashMap<String, RuleId>,
    /// The counter of each access-list entry, by list and line, kept like the numbers of rules.
    pub acl_counters: HashMap<(String, String), u32>,
    /// The counter of each limit on sessions, by whom it counts, kept likewise.
    pub limit_counters: HashMap<String, u32>,
    /// The time ranges that are active, and those that are not.
    pub time_ranges: HashMap<String, bool>,
    /// The tracked objects that are up, and those that are not.
    pub tracks: HashMap<u16, bool>,
    /// The names of VRFs 1 and up; they keep their numbers.
    pub vrf_names: Vec<String>,
}

impl Compiled {
    /// The name of a VRF; `default` for the global table.
    pub fn vrf_name(&self, vrf: Vrf) -> &str {
        let name = usize::from(vrf).checked_sub(1).and_then(|number| self.vrf_names.get(number));
        name.map_or("default", String::as_str)
    }
}

/// A route in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The table it is in.
    pub vrf: Vrf,
    /// The destination.
    pub prefix: Ipv4Net,
    /// Where it leads.
    pub route: Route,
    /// Administrative distance.
    pub distance: u8,
    /// Whether it is configured, rather than an interface's own subnet or address.
    pub is_static: bool,
}

/// A configuration being compiled.
pub(crate) struct Compiler<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ports: &'a [PortBinding],
    /// What time ranges are compared with.
    pub(crate) time_of_day: SystemTime,
    pub(crate) errors: Vec<Diagnostic>,
    previous_rule_lines: HashMap<String, RuleId>,
    taken_rule_ids: HashSet<RuleId>,
    next_rule_id: RuleId,
    /// Routes that `add-route` asks for: VRFs of inside and outside, the prefix, and an address that is reached
    /// the same way, or none.
    pub(crate) added_routes: Vec<(Vrf, Vrf, Ipv4Net, Ipv4Addr)>,
    pub(crate) out: Compiled,
    /// Where things stand in the configuration.
    pub(crate) positions: Positions<'a>,
    /// The numbers of pools that rules give addresses of.
    pub(crate) pool_numbers: HashMap<Pool, u16>,
    vrf_numbers: HashMap<String, Vrf>,
    interface_numbers: HashMap<String, InterfaceIndex>,
    /// What there are too many of.
    refused: HashSet<&'static str>,
}

/// Positions in the configuration, by names.
pub(crate) struct Positions<'a> {
    access_lists: HashMap<&'a str, usize>,
    pub(crate) pools: HashMap<&'a str, usize>,
    pub(crate) route_maps: HashMap<&'a str, usize>,
    pub(crate) prefix_lists: HashMap<&'a str, usize>,
}

impl<'a> Positions<'a> {
    fn of(config: &'a Config) -> Positions<'a> {
        Positions {
            access_lists: first_of(config.access_lists.iter().map(|list| list.name.as_str())),
            pools: first_of(config.nat.pools.iter().map(|pool| pool.name.as_str())),
            prefix_lists: first_of(config.prefix_lists.iter().map(|list| list.name.as_str())),
            route_maps: first_of(config.route_maps.iter().map(|map| map.name.as_str())),
        }
    }
}

/// The position of each name, where it comes first.
fn first_of<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut positions = HashMap::new();
    for (position, name) in names.enumerate() {
        positions.entry(name).or_insert(position);
    }
    positions
}

impl<'a> Compiler<'a> {
    /// Begins with what is carried over from `previous`.
    pub(crate) fn new(
        config: &'a Config,
        ports: &'a [PortBinding],
        previous: Option<&Compiled>,
        time_of_day: SystemTime,
    ) -> Compiler<'a> {
        let mut compiler = Compiler {
            config,
            ports,
            time_of_day,
            errors: Vec::new(),
            previous_rule_lines: HashMap::new(),
            taken_rule_ids: HashSet::new(),
            next_rule_id: 1,
            added_routes: Vec::new(),
            out: Compiled::default(),
            positions: Positions::of(config),
            pool_numbers: HashMap::new(),
            vrf_numbers: HashMap::new(),
            interface_numbers: HashMap::new(),
            refused: HashSet::new(),
        };
        compiler.carry_over(previous);
        compiler
    }

    pub(crate) fn error(&mut self, place: Place, text: impl Into<String>) {
        let file = self.config.source.file.clone();
        let Place { line, column } = place;
        self.errors.push(Diagnostic { file, line, column, severity: Severity::Error, text: text.into() });
    }

    /// Refuses the first of those that are too many.
    pub(crate) fn refuse_once(&mut self, place: Place, what: &'static str, most: usize) {
        if self.refused.insert(what) {
            self.error(place, format!("more than {most} {what}"));
        }
    }

    fn carry_over(&mut self, previous: Option<&Compiled>) {
        let Some(previous) = previous else { return };
        self.previous_rule_lines = previous.rule_lines.clone();
        self.out.acl_counters = previous.acl_counters.clone();
        self.out.limit_counters = previous.limit_counters.clone();
        self.out.vrf_names = previous.vrf_names.clone();
        let hole = |old: &Interface| Interface { name: old.name.clone(), ..Interface::default() };
        self.out.policy.interfaces = previous.policy.interfaces.iter().map(hole).collect();
        let names = previous.policy.interfaces.iter().map(|interface| interface.name.to_string());
        self.interface_numbers = names.zip(0..).collect();
        self.vrf_numbers = previous.vrf_names.iter().cloned().zip(1..).collect();
    }

    /// The index of a VRF, new ones behind those known before; the global table is 0.
    pub(crate) fn vrf(&mut self, name: Option<&str>) -> Vrf {
        let Some(name) = name else { return GLOBAL };
        if let Some(&known) = self.vrf_numbers.get(name) {
            return known;
        }
        let Ok(number) = Vrf::try_from(self.out.vrf_names.len() + 1) else {
            let what = "VRFs, those that go with this reload included";
            self.refuse_once(Place::default(), what, usize::from(Vrf::MAX));
            return GLOBAL;
        };
        self.out.vrf_names.push(name.to_string());
        self.vrf_numbers.insert(name.to_string(), number);
        number
    }

    /// The number of a rule: the one its line had before, or the smallest that no rule has or had before.
    pub(crate) fn rule_id(&mut self, place: Place, line: String) -> RuleId {
        let known = self.out.rule_lines.get(&line).or(self.previous_rule_lines.get(&line)).copied();
        let id = known.or_else(|| {
            if self.taken_rule_ids.is_empty() {
                self.taken_rule_ids = self.previous_rule_lines.values().copied().collect();
            }
            let id = (self.next_rule_id..RuleId::MAX).find(|id| !self.taken_rule_ids.contains(id))?;
            self.next_rule_id = id + 1;
            Some(id)
        });
        let Some(id) = id else {
            let what = "rules, those that go with this reload included";
            self.refuse_once(place, what, usize::from(RuleId::MAX) - 1);
            return RuleId::MAX;
        };
        self.out.rule_lines.insert(line, id);
        id
    }

    /// The counter of an access-list entry: the one it had before, or a new one.
    pub(crate) fn acl_counter(&mut self, list: String, line: String) -> u32 {
        let next = self.out.acl_counters.len() as u32;
        *self.out.acl_counters.entry((list, line)).or_insert(next)
    }

    pub(crate) fn interface_index(&self, name: &InterfaceName) -> Option<InterfaceIndex> {
        self.interface_numbers.get(name.as_str()).copied()
    }

    /// Gives an interface that is new its index.
    pub(crate) fn add_interface(&mut self, name: &InterfaceName) -> InterfaceIndex {
        let index = self.out.policy.interfaces.len() as InterfaceIndex;
        self.out.policy.interfaces.push(Interface::default());
        self.interface_numbers.insert(name.as_str().to_string(), index);
        index
    }

    /// Access lists are numbered in the order of the configuration, so that their index is known beforehand.
    pub(crate) fn acl_index(&self, name: &str) -> Option<AclIndex> {
        self.positions.access_lists.get(name).map(|&index| index as AclIndex)
    }

    /// The address that an interface lends.
    pub(crate) fn lent_by(&self, name: &InterfaceName) -> Option<Ipv4Addr> {
        self.config.interface(name)?.primary_address().map(|net| net.addr())
    }

    /// Hosts that one worker must see together, with those of other lists that they are of too.
    pub(crate) fn pin(&mut self, ranges: &[(Ipv4Addr, Ipv4Addr)]) {
        let pins = &mut self.out.policy.pins;
        let mut merged = ranges.to_vec();
        while let Some(other) = pins.iter().position(|pin| pin.overlaps(&merged)) {
            merged.extend(pins.remove(other).ranges);
        }
        pins.push(Pin { ranges: merged });
    }

    /// Who owns which global ports: what was claimed under the previous policy stays claimed. Refused where there is no memory
    /// for them.
    pub(crate) fn claimable(&mut self, previous: Option<&Compiled>, means: &Means) {
        let nothing = Ownership::default();
        let before = previous.map_or(&nothing, |previous| &previous.ownership);
        let tables = previous.map_or(Tables::at_start(self.config, means.worker_count), |it| it.tables);
        let layout = before.layout().with(ranges_of(&self.out.policy));
        let granted = tables.with(&self.out.policy, layout.count(), means.free_bytes);
        let shortage = match granted {
            Ok(granted) => match Ownership::new(layout, before, tables.worker_count) {
                Some(ownership) => {
                    (self.out.ownership, self.out.tables) = (ownership, granted);
                    return;
                }
                None => {
                    Shortage { needed: granted.granted_bytes, free: means.free_bytes.unwrap_or_default() }
                }
            },
            Err(shortage) => shortage,
        };
        self.refuse_for(shortage, tables.worker_count);
    }
}
