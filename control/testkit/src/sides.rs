//! The network that tests with loops have in common: subscribers behind a router inside, the Internet behind another one.

/// Interfaces, the route inside, and neighbours. Inside hosts are those of 10.0.0.0/16.
pub const TWO_SIDES: &str = "
interface GigabitEthernet0/0/0
 mac-address 0200.0000.0001
 ip address 10.1.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 mac-address 0200.0000.0002
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
ip route 10.0.0.0 255.255.0.0 10.1.0.2
arp 10.1.0.2 0200.0000.000a arpa
arp 192.0.2.254 0200.0000.000b arpa
";

/// The route outside.
pub const DEFAULT_ROUTE: &str = "ip route 0.0.0.0 0.0.0.0 192.0.2.254\n";

/// A pool that all of them share.
pub const SHARED_POOL: &str = "
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat pool P 203.0.113.1 203.0.113.8 prefix-length 24
ip nat inside source list 1 pool P overload
";

/// Likewise, but inside hosts of 10.0.0.0/16 are on the appliance's own subnet. Nothing says that stations are there: they answer.
pub const ON_LINK: &str = "
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.0.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
ip route 0.0.0.0 0.0.0.0 192.0.2.254
";
