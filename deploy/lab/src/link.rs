//! Cables and switches: veth pairs between namespaces, and a Linux bridge in a namespace of its own.

use crate::namespace::Namespace;
use crate::scope::Scope;
use anyhow::Result;

/// One end of a cable: a device to be made in a namespace.
#[derive(Clone, Copy)]
pub struct End<'a> {
    /// Where the device lives.
    pub namespace: &'a Namespace,
    /// Its name there, at most 15 characters.
    pub device: &'a str,
}

/// Lays a veth pair between two namespaces and brings both ends up.
pub fn connect(a: End, b: End) -> Result<()> {
    a.namespace.ip(&format!(
        "link add {} type veth peer name {} netns {}",
        a.device,
        b.device,
        b.namespace.name()
    ))?;
    a.start()?;
    b.start()
}

impl End<'_> {
    fn start(self) -> Result<()> {
        // A packet socket would otherwise see frames whose checksum the sender left to hardware that does not exist,
        // and TCP segments far above the link's MTU.
        let features = ["tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"];
        self.namespace.run(&[&["ethtool", "-K", self.device][..], &features[..]].concat())?;
        self.namespace.ip(&format!("link set {} up", self.device))?;
        Ok(())
    }
}

/// A bridge in its own namespace.
pub struct Switch {
    namespace: Namespace,
}

const BRIDGE: &str = "bridge";
/// A pair of devices in the place of a port's: the one that stands for the port, and the one on the bridge.
const PARTED: &str = "parted";
const PARTED_PORT: &str = "parted-port";

impl Switch {
    /// A switch without ports, named `role`.
    pub fn new(scope: &Scope, role: &str) -> Result<Switch> {
        let namespace = scope.namespace(role)?;
        namespace
            .ip(&format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
        namespace.ip(&format!("link set {BRIDGE} up"))?;
        Ok(Switch { namespace })
    }

    /// Connects `end` to a new port of this name.
    pub fn plug(&self, port: &str, end: End) -> Result<()> {
        connect(end, End { namespace: &self.namespace, device: port })?;
        self.namespace.ip(&format!("link set {port} master {BRIDGE}"))?;
        Ok(())
    }

    /// The switch's end of a port's cable.
    pub fn port<'s>(&'s self, port: &'s str) -> End<'s> {
        End { namespace: &self.namespace, device: port }
    }

    /// Takes a port off the bridge. What arrives at it goes on only if somebody carries it to the second of these ends,
    /// and back.
    pub fn part<'s>(&'s self, port: &'s str) -> Result<[End<'s>; 2]> {
        let namespace = &self.namespace;
        namespace.ip(&format!("link set {port} nomaster"))?;
        let ends = [PARTED, PARTED_PORT].map(|device| End { namespace, device });
        namespace.ip(&format!("link add {PARTED} type veth peer name {PARTED_PORT}"))?;
        ends.into_iter().try_for_each(End::start)?;
        namespace.ip(&format!("link set {PARTED_PORT} master {BRIDGE}"))?;
        Ok([End { namespace, device: port }, ends[0]])
    }
}
