//! Route-maps, which select what a rule translates.

use super::super::interface_name::InterfaceName;
use super::{AccessAction, Place};

/// `route-map NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMap {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// Its entries, by ascending sequence number; there is at least one.
    pub entries: Vec<RouteMapEntry>,
}

/// `route-map NAME {permit|deny} SEQ`: a packet matches when every kind of condition does, each by any of its values.
/// The first entry that matches decides; what none matches is not translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMapEntry {
    /// Where it stands.
    pub place: Place,
    /// Whether what matches is translated, or left untouched.
    pub action: AccessAction,
    /// Its sequence number.
    pub sequence: u16,
    /// `description TEXT`
    pub description: Option<String>,
    /// `match ip address ACL...`: packets that one of these lists permits; empty is any.
    pub access_lists: Vec<String>,
    /// `match interface IFACE...`: packets that leave through one of these; empty is any.
    pub interfaces: Vec<InterfaceName>,
    /// `match ip next-hop ACL...`: packets whose next hop one of these lists permits; empty is any.
    pub next_hops: Vec<String>,
}

impl RouteMapEntry {
    /// An entry without conditions, which matches every packet.
    pub fn new(place: Place, action: AccessAction, sequence: u16) -> RouteMapEntry {
        RouteMapEntry {
            place,
            action,
            sequence,
            description: None,
            access_lists: Vec::new(),
            interfaces: Vec::new(),
            next_hops: Vec::new(),
        }
    }
}
