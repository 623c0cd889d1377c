//! What `show ip route` tells: each VRF's routes, where next hops lead, and where all else goes.

mod program;
use program::Scratch;

const CONFIGURATION: &str = "\
vrf definition RED
interface GigabitEthernet0/0/0
 vrf forwarding RED
 mac-address 0200.0000.0001
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 mac-address 0200.0000.0002
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
ip route 192.0.2.0 255.255.255.0 203.0.113.9
ip route 203.0.113.0 255.255.255.0 198.51.100.254
ip route vrf RED 0.0.0.0 0.0.0.0 198.51.100.254 global
";

/// A capture of Ethernet without a frame.
const NOTHING: &[u8] = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";

const GLOBAL: &str = "\
Codes: L - local, C - connected, S - static, * - candidate default

Gateway of last resort is not set

S        192.0.2.0/24 [1/0] via 198.51.100.254, GigabitEthernet0/0/1
C        198.51.100.0/24 is directly connected, GigabitEthernet0/0/1
L        198.51.100.1/32 is directly connected, GigabitEthernet0/0/1
S        203.0.113.0/24 [1/0] via 198.51.100.254, GigabitEthernet0/0/1
";

const RED: &str = "
Routing Table: RED
Codes: L - local, C - connected, S - static, * - candidate default

Gateway of last resort is 198.51.100.254 to network 0.0.0.0

S*       0.0.0.0/0 [1/0] via 198.51.100.254 (default), GigabitEthernet0/0/1
C        10.0.0.0/24 is directly connected, GigabitEthernet0/0/0
L        10.0.0.1/32 is directly connected, GigabitEthernet0/0/0
";

#[test]
fn routes_are_told_by_vrf() {
    let scratch = Scratch::new();
    scratch.write("nat.conf", CONFIGURATION);
    scratch.write("nothing.pcap", NOTHING);
    for (command, expected) in [
        ("show ip route", GLOBAL.to_string()),
        ("show ip route vrf RED", RED.to_string()),
        ("show ip route vrf *", format!("{GLOBAL}{RED}")),
    ] {
        let port = "GigabitEthernet0/0/0=nothing.pcap";
        let ended = scratch
            .run(&["replay", "--config", "nat.conf", "--out", "out", "--port", port, "--show", command]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert_eq!(ended.stdout, expected + "\n", "{command}");
    }
}
