//! The lab's addresses.

use std::net::Ipv4Addr;

/// The gateway's inside address; the inside hosts of 10.0.0.0/24 route through it.
pub const INSIDE_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The gateway's outside address on 198.51.100.0/24.
pub const OUTSIDE_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The outside web and name server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// The outside server's second address, which a STUN server needs to try filters.
pub const SERVER_SECOND: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 11);
/// The outside client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
/// The outside router, the gateway's default route.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
/// The router's address towards the far server.
pub const FAR_ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The web server beyond the router, on 192.0.2.0/24.
pub const FAR_SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The first address of the routed pool, within 203.0.113.0/24.
pub const POOL_FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The last address of the routed pool.
pub const POOL_LAST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 4);
/// The global address of the inside host that has one to itself, in the routed pool's lab.
pub const STATIC_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
/// Where the outside reaches the web server of the first inside host.
pub const STATIC_PORT: u16 = 8080;
/// The number of the inside host with a one-to-one static.
pub const STATIC_HOST: usize = 1;

/// Whether an address is an inside host's, of those that the lab's configurations know.
pub fn is_inside(addr: Ipv4Addr) -> bool {
    addr.octets()[..2] == [10, 0]
}

/// The inside address of host `index`, counted from 0.
pub fn inside_host(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 11 + index as u8)
}
