//! The typed configuration: plain values in the order of the file, each statement with its place.
//!
//! The model holds only what text can say: references are names, and nothing is resolved. Fields that are `None`,
//! false or empty were not configured; the default that then holds is the reader's to know. What a family of statements
//! holds is in its file.

mod mac_address;
mod place;
mod ports;

use super::interface_name::InterfaceName;

pub use super::family::access_list::*;
pub use super::family::inside::*;
pub use super::family::interface::*;
pub use super::family::object_group::*;
pub use super::family::outside::*;
pub use super::family::platform::*;
pub use super::family::pool::*;
pub use super::family::prefix_list::*;
pub use super::family::route_map::*;
pub use super::family::routing::*;
pub use super::family::rule::*;
pub use super::family::service::*;
pub use super::family::settings::*;
pub use super::family::system::*;
pub use super::family::time_range::*;
pub use super::family::track::*;
pub use super::family::translation::*;
pub use mac_address::*;
pub use place::*;
pub use ports::*;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The file that was read, with what was remarkable about it.
    pub source: Source,
    /// `hostname NAME`
    pub hostname: Option<String>,
    /// `platform dpdk`
    pub platform: Platform,
    /// `vrf definition NAME` and `ip vrf NAME`
    pub vrfs: Vec<Vrf>,
    /// `interface NAME`
    pub interfaces: Vec<Interface>,
    /// `ip nat ...`
    pub nat: Nat,
    /// `access-list ...` and `ip access-list ...`
    pub access_lists: Vec<AccessList>,
    /// `time-range ...`
    pub time_ranges: Vec<TimeRange>,
    /// `object-group ...`
    pub object_groups: Vec<ObjectGroup>,
    /// `ip prefix-list ...`
    pub prefix_lists: Vec<PrefixList>,
    /// `route-map ...`
    pub route_maps: Vec<RouteMap>,
    /// `track ...`
    pub tracks: Vec<Track>,
    /// `ip route ...`
    pub routes: Vec<Route>,
    /// `arp [vrf V] A MAC arpa`
    pub arp_entries: Vec<ArpEntry>,
    /// `logging ...`
    pub logging: Logging,
    /// `prometheus exporter ADDRESS PORT`
    pub prometheus_exporter: Option<Exporter>,
}

impl Config {
    /// The interface of this name.
    pub fn interface(&self, name: &InterfaceName) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == *name)
    }

    /// The VRF of this name.
    pub fn vrf(&self, name: &str) -> Option<&Vrf> {
        self.vrfs.iter().find(|vrf| vrf.name == name)
    }

    /// The route-map of this name.
    pub fn route_map(&self, name: &str) -> Option<&RouteMap> {
        self.route_maps.iter().find(|map| map.name == name)
    }

    /// The access list of this name or number.
    pub fn access_list(&self, name: &str) -> Option<&AccessList> {
        self.access_lists.iter().find(|list| list.name == name)
    }
}

/// The file a configuration was read from. It is no part of what the configuration says: all sources are equal.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file's name as given.
    pub file: String,
}

impl PartialEq for Source {
    fn eq(&self, _: &Source) -> bool {
        true
    }
}

/// Everything under `ip nat`, but for the interfaces' sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nat {
    /// `ip nat pool ...`
    pub pools: Vec<Pool>,
    /// `ip nat inside source {list | route-map} ...`
    pub dynamic_rules: Vec<DynamicRule>,
    /// `ip nat inside source static ...`
    pub static_rules: Vec<StaticRule>,
    /// `ip nat inside destination ...`
    pub destination_rules: Vec<DestinationRule>,
    /// `ip nat outside source {list | route-map} ...`
    pub outside_dynamic_rules: Vec<OutsideDynamicRule>,
    /// `ip nat outside source static ...`
    pub outside_static_rules: Vec<OutsideStaticRule>,
    /// `ip nat translation ...`
    pub translations: Translations,
    /// `ip nat settings ...`
    pub settings: Settings,
    /// `ip nat service ...` and `alg ...`
    pub algs: Algs,
    /// `ip nat route vrf ...`
    pub vrf_leaks: Vec<VrfLeak>,
}

impl Nat {
    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}
