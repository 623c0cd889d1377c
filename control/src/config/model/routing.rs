//! VRFs, static routes and static neighbours.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::interface_name::InterfaceName;
use super::{MacAddress, Place};

/// `vrf definition NAME`, or `ip vrf NAME`: a routing table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// How it was written.
    pub form: VrfForm,
    /// `rd N:N`: a label that is kept and shown, and has no other use here.
    pub route_distinguisher: Option<String>,
    /// `description TEXT`
    pub description: Option<String>,
}

/// The two ways to define a VRF, which mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VrfForm {
    /// `vrf definition NAME`, always with `address-family ipv4`.
    Definition,
    /// `ip vrf NAME`
    Legacy,
}

/// `ip route [vrf V] PREFIX MASK TARGET [global] [DISTANCE] [name N] [tag T] [permanent]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it stands.
    pub place: Place,
    /// The VRF whose table it belongs to; `None` is the global table.
    pub vrf: Option<String>,
    /// The destination, without host bits.
    pub prefix: Ipv4Net,
    /// Where packets go.
    pub target: RouteTarget,
    /// `global`: a VRF's route whose next hop is found in the global table.
    pub global: bool,
    /// The administrative distance, 1 unless given.
    pub distance: u8,
    /// `name N`: a remark.
    pub name: Option<String>,
    /// `tag T`: a remark.
    pub tag: Option<u32>,
    /// `permanent`: the route stays while its interface is down.
    pub permanent: bool,
}

impl Route {
    /// A route of the global table without any option.
    pub fn new(place: Place, prefix: Ipv4Net, target: RouteTarget) -> Route {
        Route {
            place,
            vrf: None,
            prefix,
            target,
            global: false,
            distance: 1,
            name: None,
            tag: None,
            permanent: false,
        }
    }
}

/// What a route points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A neighbour, on whichever interface reaches it.
    NextHop(Ipv4Addr),
    /// An interface, and the neighbour there; without one every destination is its own neighbour.
    Interface(InterfaceName, Option<Ipv4Addr>),
    /// `Null0`: packets are dropped.
    Null,
}

/// `ip nat route vrf V PREFIX MASK global`: what a VRF does not route to itself, it finds in the global table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrfLeak {
    /// Where it stands.
    pub place: Place,
    /// The VRF.
    pub vrf: String,
    /// The destination, without host bits.
    pub prefix: Ipv4Net,
}

/// `arp [vrf V] A MAC arpa`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpEntry {
    /// Where it stands.
    pub place: Place,
    /// The VRF of its interface; `None` is the global table.
    pub vrf: Option<String>,
    /// The neighbour.
    pub address: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: MacAddress,
}
