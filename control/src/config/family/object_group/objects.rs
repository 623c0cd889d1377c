//! The lines of object groups.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::access_list::transport::{IcmpMatch, PortMatch, icmp, port};
use super::super::edit::{network, remove, statement};
use crate::config::builder::{Apply, Builder, Fault, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::model::Place;
use crate::config::names::{self, Names};
use crate::config::text::{mask, named};

/// A line of an object group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub object: GroupObject,
}

/// What a line of an object group says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupObject {
    /// `group-object G`: what is in another group of the same kind.
    Group(String),
    /// `host A` and `A MASK`
    Network(Ipv4Net),
    /// `range A B`: from the first address to the last, which is not below it.
    Range(Ipv4Addr, Ipv4Addr),
    /// `tcp ...`, `udp ...` and `tcp-udp ...`
    Ports {
        /// The protocols.
        transport: GroupTransport,
        /// `source ...`: the source port.
        source: Option<PortMatch>,
        /// The destination port.
        destination: Option<PortMatch>,
    },
    /// `icmp [MESSAGE]`; `None` is any message.
    Icmp(Option<IcmpMatch>),
    /// Another protocol, neither ICMP, TCP nor UDP; `None` is any.
    Protocol(Option<u8>),
}

/// The protocols of a line that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupTransport {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `tcp-udp`
    TcpUdp,
}

impl GroupTransport {
    /// The protocols' numbers.
    pub(super) fn protocols(self) -> &'static [u8] {
        match self {
            GroupTransport::Tcp => &[6],
            GroupTransport::Udp => &[17],
            GroupTransport::TcpUdp => &[6, 17],
        }
    }

    fn word(self) -> &'static str {
        match self {
            GroupTransport::Tcp => "tcp",
            GroupTransport::Udp => "udp",
            GroupTransport::TcpUdp => "tcp-udp",
        }
    }

    fn names(self) -> Names {
        match self {
            GroupTransport::Tcp => names::TCP_PORTS,
            GroupTransport::Udp => names::UDP_PORTS,
            GroupTransport::TcpUdp => names::COMMON_PORTS,
        }
    }
}

#[rustfmt::skip]
pub(super) const NETWORK_GROUP: &[Row<Apply>] = &[
    statement("description / <text>", "Describe the group", description),
    statement("host <address>", "Add a host", host),
    statement("<address> <mask>", "Add a network", subnet),
    statement("range <low:address> <high:address>", "Add the addresses from one to another", range),
    statement("group-object <group:word>", "Add what is in another group", group_object),
];

#[rustfmt::skip]
pub(super) const SERVICE_GROUP: &[Row<Apply>] = &[
    statement("description / <text>", "Describe the group", description),
    statement("tcp [ source (source:tcp-object-ports) ] [ (destination:tcp-object-ports) ]", "Add TCP, or ports of it", tcp),
    statement("udp [ source (source:udp-object-ports) ] [ (destination:udp-object-ports) ]", "Add UDP, or ports of it", udp),
    statement("tcp-udp [ source (source:common-object-ports) ] [ (destination:common-object-ports) ]",
              "Add TCP and UDP, or ports of them", tcp_udp),
    statement("icmp [ <message:icmp-message> | <type:0-255> [ <code:0-255> ] ]", "Add ICMP, or a message of it", icmp_object),
    statement("<protocol>", "Add a protocol", protocol),
    statement("group-object <group:word>", "Add what is in another group", group_object),
];

fn description(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let group = &mut builder.config.object_groups[builder.opened.0];
    group.description = statement.args.optional("text").filter(|_| statement.sets());
    Ok(())
}

fn host(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let address: Ipv4Addr = statement.args.required("address");
    edit(builder, statement, GroupObject::Network(address.into()))
}

fn subnet(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let network = network(statement, "address")?;
    edit(builder, statement, GroupObject::Network(network))
}

fn range(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (low, high): (Ipv4Addr, Ipv4Addr) = (statement.args.required("low"), statement.args.required("high"));
    if low > high {
        return Err(statement.fault("low", format!("the range starts at {low}, after its end {high}")));
    }
    edit(builder, statement, GroupObject::Range(low, high))
}

fn group_object(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    edit(builder, statement, GroupObject::Group(statement.args.required("group")))
}

fn tcp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    ports(builder, statement, GroupTransport::Tcp)
}

fn udp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    ports(builder, statement, GroupTransport::Udp)
}

fn tcp_udp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    ports(builder, statement, GroupTransport::TcpUdp)
}

fn ports(builder: &mut Builder, statement: &Statement, transport: GroupTransport) -> Result<(), Fault> {
    let source = port(&statement.args.within("source"))?;
    let destination = port(&statement.args.within("destination"))?;
    edit(builder, statement, GroupObject::Ports { transport, source, destination })
}

fn icmp_object(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    edit(builder, statement, GroupObject::Icmp(icmp(&statement.args)))
}

fn protocol(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let any_port = |transport| GroupObject::Ports { transport, source: None, destination: None };
    let object = match statement.args.required("protocol") {
        0u8 => GroupObject::Protocol(None),
        1 => GroupObject::Icmp(None),
        6 => any_port(GroupTransport::Tcp),
        17 => any_port(GroupTransport::Udp),
        other => GroupObject::Protocol(Some(other)),
    };
    edit(builder, statement, object)
}

/// Adds to the group whose mode this is, or removes from it.
fn edit(builder: &mut Builder, statement: &Statement, object: GroupObject) -> Result<(), Fault> {
    let index = builder.opened.0;
    let members = &mut builder.config.object_groups[index].members;
    if !statement.sets() {
        let removed = remove(members, |member| member.object == object);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let identity = |member: &GroupMember| format!("{:?}", member.object);
    let list = List::Members(index);
    if let Some(known) = builder.known.position(list, members, identity, &format!("{object:?}")) {
        let text = format!("this repeats line {}", members[known].place.line);
        builder.warn(statement.place.column as usize, text);
        return Ok(());
    }
    members.push(GroupMember { place: statement.place, object });
    Ok(())
}

/// The line, without indentation.
impl Display for GroupObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupObject::Group(name) => write!(f, "group-object {name}"),
            GroupObject::Network(net) if net.prefix_len() == 32 => write!(f, "host {}", net.addr()),
            GroupObject::Network(net) => write!(f, "{} {}", net.addr(), mask(net.prefix_len())),
            GroupObject::Range(low, high) => write!(f, "range {low} {high}"),
            GroupObject::Ports { transport, source, destination } => {
                f.write_str(transport.word())?;
                for (word, ports) in [(" source", source), ("", destination)] {
                    if let Some(ports) = ports {
                        write!(f, "{word} {}", ports.text(transport.names()))?;
                    }
                }
                Ok(())
            }
            GroupObject::Icmp(message) => {
                f.write_str("icmp")?;
                message.map_or(Ok(()), |message| write!(f, " {}", message.text()))
            }
            GroupObject::Protocol(protocol) => f.write_str(&named(names::PROTOCOLS, protocol.unwrap_or(0))),
        }
    }
}
