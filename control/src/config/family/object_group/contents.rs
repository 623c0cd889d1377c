//! What object groups come to, with the groups in them.

use std::collections::{HashMap, HashSet};

use ipnet::{Ipv4Net, Ipv4Subnets};

use super::super::access_list::transport::{ServiceMatch, port_ranges};
use super::{GroupKind, GroupObject};
use crate::config::model::Config;

impl Config {
    /// The networks of a group, none of which overlap; none of a group that is not there, or of the other kind.
    pub(in crate::config::family) fn networks_of_group(&self, name: &str) -> Vec<Ipv4Net> {
        let mut networks = Vec::new();
        for object in self.objects_of_group(name, GroupKind::Network) {
            match object {
                GroupObject::Network(network) => networks.push(*network),
                GroupObject::Range(low, high) => networks.extend(Ipv4Subnets::new(*low, *high, 0)),
                _ => {}
            }
        }
        Ipv4Net::aggregate(&networks)
    }

    /// The services of a group; none of a group that is not there, or of the other kind.
    pub(in crate::config::family) fn services_of_group(&self, name: &str) -> Vec<ServiceMatch> {
        let mut services = Vec::new();
        for object in self.objects_of_group(name, GroupKind::Service) {
            match object {
                GroupObject::Ports { transport, source, destination } => {
                    let of = |protocol: &u8| ServiceMatch {
                        protocol: Some(*protocol),
                        src_ports: port_ranges(source.as_ref()),
                        dst_ports: port_ranges(destination.as_ref()),
                        icmp: None,
                    };
                    services.extend(transport.protocols().iter().map(of));
                }
                GroupObject::Icmp(message) => {
                    let icmp = message.map(|message| (message.kind, message.code));
                    services.push(ServiceMatch { protocol: Some(1), icmp, ..ServiceMatch::default() });
                }
                GroupObject::Protocol(protocol) => {
                    services.push(ServiceMatch { protocol: *protocol, ..ServiceMatch::default() });
                }
                _ => {}
            }
        }
        services
    }

    /// What is in a group and in the groups in it. A group that is in several of them counts once, so that this ends for any
    /// groups, those in a circle too.
    fn objects_of_group(&self, name: &str, kind: GroupKind) -> Vec<&GroupObject> {
        let groups: HashMap<&str, _> =
            self.object_groups.iter().map(|group| (group.name.as_str(), group)).collect();
        let mut open = vec![name];
        let mut seen: HashSet<&str> = HashSet::from([name]);
        let mut objects = Vec::new();
        while let Some(name) = open.pop() {
            let Some(group) = groups.get(name).filter(|group| group.kind == kind) else { continue };
            for member in &group.members {
                match &member.object {
                    GroupObject::Group(inner) if seen.insert(inner) => open.push(inner),
                    GroupObject::Group(_) => {}
                    object => objects.push(object),
                }
            }
        }
        objects
    }
}
