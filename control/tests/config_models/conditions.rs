//! Random object groups.

use std::net::Ipv4Addr;

use control::config::model::*;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{name, place, port_match, prefix, text, unique};

/// A port condition that a group may have: no `neq`, and one port only.
fn ports() -> impl Strategy<Value = PortMatch> {
    port_match().prop_map(|ports| match ports {
        PortMatch::Equal(ports) => PortMatch::Equal(ports[..1].to_vec()),
        PortMatch::NotEqual(port) => PortMatch::Equal(vec![port]),
        others => others,
    })
}

fn network_object() -> impl Strategy<Value = GroupObject> {
    let range = (any::<u32>(), any::<u32>())
        .prop_map(|(a, b)| GroupObject::Range(Ipv4Addr::from_bits(a.min(b)), Ipv4Addr::from_bits(a.max(b))));
    prop_oneof![prefix().prop_map(GroupObject::Network), range]
}

fn service_object() -> impl Strategy<Value = GroupObject> {
    let transport = select(vec![GroupTransport::Tcp, GroupTransport::Udp, GroupTransport::TcpUdp]);
    let with_ports = (transport, option::of(ports()), option::of(ports()))
        .prop_map(|(transport, source, destination)| GroupObject::Ports { transport, source, destination });
    let icmp = (any::<u8>(), option::of(0u8..20)).prop_map(|(kind, code)| IcmpMatch { kind, code });
    let others = option::of((2u8..).prop_filter("lines of their own", |number| ![6, 17].contains(number)));
    prop_oneof![
        with_ports,
        option::of(icmp).prop_map(GroupObject::Icmp),
        others.prop_map(GroupObject::Protocol)
    ]
}

/// Names of groups of the two kinds are apart, so that no entry names one of the other kind.
pub fn group_name(kind: GroupKind, name: &str) -> String {
    match kind {
        GroupKind::Network => format!("N{name}"),
        GroupKind::Service => format!("S{name}"),
    }
}

/// Groups that hold those before them and others that there are not, so that none holds itself.
pub fn object_groups() -> impl Strategy<Value = Vec<ObjectGroup>> {
    let kind = select(vec![GroupKind::Network, GroupKind::Service]);
    let objects = (vec(network_object(), 0..4), vec(service_object(), 0..4), any::<bool>());
    let body = (kind, option::of(text()), objects);
    (btree_set(name(), 0..4), vec(body, 4)).prop_map(|(names, bodies)| {
        let mut groups: Vec<ObjectGroup> = Vec::new();
        for (name, (kind, description, (networks, services, holds))) in names.into_iter().zip(bodies) {
            let mut objects = if kind == GroupKind::Network { networks } else { services };
            let inner = groups.iter().filter(|group| group.kind == kind && holds);
            objects.extend(inner.map(|group| GroupObject::Group(group.name.clone())));
            let members = unique(objects).into_iter().map(|object| GroupMember { place: place(), object });
            let name = group_name(kind, &name);
            groups.push(ObjectGroup { place: place(), name, kind, description, members: members.collect() });
        }
        groups
    })
}
