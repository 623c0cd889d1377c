//! The lab's network.
//!
//! ```text
//!   host 0 .. host N-1                                      server (web, names)    client
//!      |          |                                                 |                 |
//!   [ inside switch ]---inside  gateway  outside---[ outside switch ]-----------------+
//!     10.0.0.0/24      .1                  .1       198.51.100.0/24
//!                                                           |
//!                                                     router .254 ---(far link)--- far server
//!                                                                  192.0.2.0/24
//! ```
//! The outside hosts route 203.0.113.0/24 through the gateway and have no route to the inside. With VRFs, the network
//! drawn at the left is there twice, the second behind the gateway's device `inside-blue`.

use crate::address::{
    CLIENT, FAR_ROUTER, FAR_SERVER, INSIDE_GATEWAY, OUTSIDE_GATEWAY, ROUTER, SERVER, inside_host,
};
use crate::gateway::{Gateway, Peer};
use crate::link::{End, Switch, connect};
use crate::namespace::Namespace;
use crate::rules::Rules;
use crate::scope::Scope;
use crate::server::{NameServer, WebServer, outside_zones};
use crate::tap::{Report, Tap};
use anyhow::Result;
use std::net::Ipv4Addr;
use std::path::Path;

/// The switches' port that the gateway is at.
pub const GATEWAY_PORT: &str = "gateway";

/// What to build.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway.
    pub peer: Peer,
    /// What it translates.
    pub rules: Rules,
    /// The number of inside hosts, 2 to 200.
    pub inside_host_count: usize,
    /// The MTU of the link between the outside router and the far server.
    pub far_mtu: u16,
}

impl Plan {
    /// Five inside hosts, the routed pool and no narrow link.
    pub fn new(peer: Peer) -> Plan {
        Plan { peer, rules: Rules::default(), inside_host_count: 5, far_mtu: 1500 }
    }
}

/// A host and its address.
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its only address.
    pub address: Ipv4Addr,
}

/// A running lab; dropping it removes everything.
pub struct Lab {
    // Fields drop in order: programs first, then their namespaces, the scratch directory last.
    /// The gateway.
    pub gateway: Gateway,
    /// The web server of the outside server.
    pub web: WebServer,
    /// The web server of the first inside host.
    pub inside_web: WebServer,
    /// The web server of the far server.
    pub far_web: WebServer,
    _names: NameServer,
    /// The web server of BLUE's first inside host, where there are VRFs.
    pub blue_web: Option<WebServer>,
    /// The inside hosts.
    pub hosts: Vec<Host>,
    /// The inside hosts of the VRF BLUE, with the addresses of the others.
    pub blue_hosts: Vec<Host>,
    /// The outside server.
    pub server: Host,
    /// The outside client.
    pub client: Host,
    /// The server beyond the outside router.
    pub far: Host,
    _router: Namespace,
    /// What looks at all that the appliance sends outside; the kernel's NAT has none.
    tap: Option<Tap>,
    /// The inside's switch first, the outside's last; the gateway is at the port [`GATEWAY_PORT`] of each.
    pub switches: Vec<Switch>,
    /// What the gateway was started with.
    pub rules: Rules,
    scope: Scope,
}

impl Lab {
    /// Builds the network and starts the servers, then the gateway.
    pub fn build(plan: &Plan) -> Result<Lab> {
        let scope = Scope::new()?;
        let outside = Switch::new(&scope, "outside-switch")?;
        let gateway = scope.namespace("portico")?;
        let (inside, hosts) = inside_network(&scope, "", plan.inside_host_count, &gateway)?;
        let mut switches = vec![inside];
        let mut blue_hosts = Vec::new();
        if plan.rules.vrfs.is_some() {
            let (inside, hosts) = inside_network(&scope, "-blue", plan.inside_host_count, &gateway)?;
            switches.push(inside);
            blue_hosts = hosts;
        }
        let server = outside_host(&scope, &outside, "server", SERVER)?;
        let client = outside_host(&scope, &outside, "client", CLIENT)?;
        let router = outside_host(&scope, &outside, "router", ROUTER)?.namespace;
        let far = far_host(&scope, &router, plan.far_mtu)?;

        outside.plug(GATEWAY_PORT, End { namespace: &gateway, device: "outside" })?;
        // What the kernel's NAT lets out is not ours to answer for.
        let is_tapped = plan.peer == Peer::Portico;
        let tap = || Tap::start(&outside, GATEWAY_PORT, scope.directory(), &plan.rules);
        let tap = is_tapped.then(tap).transpose()?;
        switches.push(outside);

        let directory = scope.directory();
        let web = WebServer::start(&server.namespace, directory, "web")?;
        let inside_web = WebServer::start(&hosts[0].namespace, directory, "inside-web")?;
        let start_blue = |host: &Host| WebServer::start(&host.namespace, directory, "blue-web");
        let blue_web = blue_hosts.first().map(start_blue).transpose()?;
        let far_web = WebServer::start(&far.namespace, directory, "far-web")?;
        let names = NameServer::start(&server.namespace, directory, "named", &outside_zones())?;
        let gateway = Gateway::start(plan.peer, gateway, directory, &plan.rules)?;
        Ok(Lab {
            gateway,
            web,
            inside_web,
            far_web,
            blue_web,
            _names: names,
            hosts,
            blue_hosts,
            server,
            client,
            far,
            _router: router,
            tap,
            switches,
            rules: plan.rules.clone(),
            scope,
        })
    }

    /// What looks at all that the appliance sends outside.
    ///
    /// # Panics
    /// When the gateway is the kernel's NAT: asking is a mistake of the test.
    pub fn tap(&self) -> &Tap {
        self.tap.as_ref().expect("the appliance is the gateway")
    }

    /// The lab's scratch directory: configurations and logs.
    pub fn directory(&self) -> &Path {
        self.scope.directory()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the gateway's last words:\n{}", self.gateway.last_words());
        } else if let Some(tap) = self.tap.as_ref().filter(|tap| tap.is_running()) {
            // Every run ends with this: a test need not ask for it, and cannot forget it.
            let Report { read, leaks, passed } = tap.finish().expect("a tap that saw everything");
            println!("the tap looked at {read} payloads; inside addresses passed: {passed:?}");
            assert!(leaks.is_empty(), "inside addresses left by the outside:\n{}", leaks.join("\n"));
        }
    }
}

/// A switch with inside hosts, plugged into the gateway; what it makes there has `suffix` in its name.
fn inside_network(
    scope: &Scope,
    suffix: &str,
    host_count: usize,
    gateway: &Namespace,
) -> Result<(Switch, Vec<Host>)> {
    let switch = Switch::new(scope, &format!("inside-switch{suffix}"))?;
    let host = |index| {
        let address = inside_host(index);
        let namespace = scope.namespace(&format!("host{index}{suffix}"))?;
        switch.plug(&format!("host{index}"), End { namespace: &namespace, device: "eth0" })?;
        namespace.ip(&format!("addr add {address}/24 dev eth0"))?;
        namespace.ip(&format!("route add default via {INSIDE_GATEWAY}"))?;
        Ok(Host { namespace, address })
    };
    let hosts = (0..host_count).map(host).collect::<Result<Vec<Host>>>()?;
    switch.plug(GATEWAY_PORT, End { namespace: gateway, device: &format!("inside{suffix}") })?;
    Ok((switch, hosts))
}

fn outside_host(scope: &Scope, switch: &Switch, role: &str, address: Ipv4Addr) -> Result<Host> {
    let namespace = scope.namespace(role)?;
    switch.plug(role, End { namespace: &namespace, device: "eth0" })?;
    namespace.ip(&format!("addr add {address}/24 dev eth0"))?;
    namespace.ip(&format!("route add 203.0.113.0/24 via {OUTSIDE_GATEWAY}"))?;
    if address != ROUTER {
        namespace.ip(&format!("route add 192.0.2.0/24 via {ROUTER}"))?;
    }
    Ok(Host { namespace, address })
}

fn far_host(scope: &Scope, router: &Namespace, mtu: u16) -> Result<Host> {
    let namespace = scope.namespace("far")?;
    connect(End { namespace: &namespace, device: "eth0" }, End { namespace: router, device: "far" })?;
    namespace.ip(&format!("addr add {FAR_SERVER}/24 dev eth0"))?;
    namespace.ip(&format!("link set eth0 mtu {mtu}"))?;
    // The far server announces the segment size of an ordinary link, so that who sends to it must discover the MTU.
    namespace.ip(&format!("route add default via {FAR_ROUTER} advmss 1460"))?;
    router.ip(&format!("addr add {FAR_ROUTER}/24 dev far"))?;
    router.ip(&format!("link set far mtu {mtu}"))?;
    // The gateway sends it what it could send to the server itself, where its route says so.
    let settings = [
        "net.ipv4.ip_forward=1",
        "net.ipv4.conf.all.send_redirects=0",
        "net.ipv4.conf.eth0.send_redirects=0",
    ];
    router.run(&[&["sysctl", "-qw"], &settings[..]].concat())?;
    Ok(Host { namespace, address: FAR_SERVER })
}
