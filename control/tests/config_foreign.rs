//! Files of IOS routers load: what is not a matter of NAT is passed over, what a NAT would need is refused.

use control::config::{Parsed, parse, parse_strictly};

/// A branch router, as `show running-config` prints it.
const BRANCH: &str = "\
Building configuration...

Current configuration : 2817 bytes
!
! Last configuration change at 09:12:44 UTC Mon Nov 30 2026 by admin
!
version 17.9
service timestamps debug datetime msec
service password-encryption
platform qfp utilization monitor load 80
!
hostname branch1
!
boot-start-marker
boot-end-marker
!
enable secret 9 $9$abcdefg
!
aaa new-model
aaa authentication login default local
!
ip domain name example.com
ip cef
no ip source-route
ipv6 unicast-routing
!
crypto pki trustpoint TP-self-signed-1
 enrollment selfsigned
 revocation-check none
!
username admin privilege 15 secret 9 $9$hijklmn
redundancy
!
class-map match-any VOICE
 match ip dscp ef
policy-map WAN
 class VOICE
  priority percent 30
 class class-default
  fair-queue
!
interface GigabitEthernet0/0/0
 description to the provider
 ip address 198.51.100.2 255.255.255.252
 no ip redirects
 no ip proxy-arp
 ip nat outside
 negotiation auto
 service-policy output WAN
 crypto map VPN
!
interface GigabitEthernet0/0/1
 ip address 10.0.0.1 255.255.255.0
 ip helper-address 10.9.9.9
 ip nat inside
 ip ospf 1 area 0
 duplex auto
 speed auto
!
interface Serial0/1/0
 no ip address
 shutdown
!
router ospf 1
 network 10.0.0.0 0.0.0.255 area 0
!
ip nat inside source list 10 interface GigabitEthernet0/0/0 overload
ip forward-protocol nd
no ip http server
ip route 0.0.0.0 0.0.0.0 198.51.100.1
!
access-list 10 permit 10.0.0.0 0.0.0.255
snmp-server community public RO
!
banner motd ^C
ip nat inside source list 99 pool NOBODY
 Authorized users only.
^C
!
line con 0
 stopbits 1
line vty 0 4
 login
 transport input ssh
!
ntp server 192.0.2.123
end
";

fn parsed(text: &str) -> Parsed {
    parse("t", text).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

#[test]
fn a_branch_router_loads() {
    let found = parsed(BRANCH);
    assert_eq!(
        found.seen(),
        "2 interfaces, 1 dynamic rule, 1 access list, 1 static route, 51 lines passed over"
    );
    let said = found.config.to_string();
    for line in
        ["hostname branch1", "ip nat inside", "ip nat outside", "access-list 10 permit 10.0.0.0 0.0.0.255"]
    {
        assert!(said.contains(line), "{line} is missing in\n{said}");
    }
    assert!(!said.contains("NOBODY"), "a banner's text is no statement");
}

/// Each is warned of once, with its block.
#[test]
fn what_is_passed_over_is_told() {
    for (text, expected) in [
        ("no ip http server\n", "t:1:1: warning: \"no ip http server\" is passed over: not a matter of NAT"),
        (
            "router bgp 65000\n neighbor 192.0.2.1 remote-as 65001\n !\n exit-address-family\nhostname x\n",
            "t:1:1: warning: \"router bgp 65000\" and the lines under it are passed over: not a matter of NAT",
        ),
        (
            "interface Gi0/0/0\n  Speed 1000\n",
            "t:2:3: warning: \"Speed 1000\" is passed over: not a matter of NAT",
        ),
        (
            "crypto ipsec nat-transparency spi-matching\nhostname x\n",
            "t:1:1: warning: \"crypto ipsec nat-transparency spi-matching\" is passed over: not a matter of NAT",
        ),
        (
            "crypto ipsec profile P\n set transform-set T\nhostname x\n",
            "t:1:1: warning: \"crypto ipsec profile P\" and the lines under it are passed over: not a matter of NAT",
        ),
        (
            "banner login #one line#\nhostname x\n",
            "t:1:1: warning: \"banner login #one line#\" is passed over: not a matter of NAT",
        ),
    ] {
        let found = parsed(text);
        let told: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told.iter().filter(|line| line.contains("passed over")).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
}

/// The same words begin lines of an interface and global blocks.
#[test]
fn a_block_after_an_interface_is_not_the_interfaces() {
    let found = parsed(
        "interface Gi0/0/0\n ip address 10.0.0.1 255.255.255.0\ncrypto isakmp policy 10\n encr aes\nhostname x\n\
         interface Gi0/0/1\nduplex auto\nip nat inside\n",
    );
    assert_eq!(found.passed_over, 3);
    assert!(
        found.config.interfaces[1].nat.is_some(),
        "an interface's lines go on behind one that is passed over"
    );
}

#[test]
fn what_a_nat_would_need_is_refused() {
    for (text, place) in [
        (
            "interface Gi0/0/0\n ip address negotiated\n",
            "t:2:2: error: an address that the link gives is not supported",
        ),
        (
            "interface Gi0/0/0\n ip address dhcp\n",
            "t:2:2: error: an address that DHCP gives is not supported",
        ),
        ("interface Gi0/0/0\n ip nat enable\n", "t:2:2: error: the NAT virtual interface is not supported"),
        ("ip nat source list 1 pool P\n", "t:1:1: error: the NAT virtual interface is not supported"),
        (
            "interface Serial0/0/0\n ip address 10.0.0.1 255.255.255.0\n ip nat inside\n",
            "t:3:2: error: NAT on an interface of this type is not supported",
        ),
        ("interface Dialer1\n ip nat outside\n", "t:1:11: error: dialer interfaces are not supported"),
    ] {
        let found = parse("t", text).expect_err(text);
        assert!(found.iter().any(|found| found.to_string().starts_with(place)), "{text}: {found:#?}");
    }
}

/// What asks for nothing is not refused.
#[test]
fn what_takes_back_what_is_not_there_is_passed_over() {
    let found = parsed(
        "interface Gi0/0/0\n no ip address dhcp\n no ip unnumbered Gi0/0/1\n no ip nat enable\n no ip policy route-map X\n \
         default ip address negotiated\n ip address 10.0.0.1 255.255.255.0\nno ip nat source list 1 pool P\n",
    );
    let told = found.warnings.iter().filter(|found| found.text == "there is nothing like this to remove");
    assert_eq!((found.passed_over, told.count()), (6, 6));
    assert_eq!(found.config.interfaces[0].addresses.len(), 1);
}

/// Whatever way it is written, NAT on an interface that is passed over is noticed.
#[test]
fn nat_on_an_interface_that_is_passed_over_is_refused() {
    for line in [" IP NAT INSIDE", " ip na in", "  Ip Nat Enable", "ip nat outside", "ip na o"] {
        for interface in ["Serial0/0/0", "Tunnel1", "ATM0/1/0.5 point-to-point"] {
            let text = format!("interface {interface}\n{line}\nhostname x\n");
            let found = parse("t", &text).expect_err(&text);
            let told = "error: NAT on an interface of this type is not supported";
            assert!(found.iter().any(|found| found.to_string().contains(told)), "{text}: {found:#?}");
        }
    }
    assert_eq!(parsed("interface Serial0/0/0\n no ip nat inside\n").passed_over, 2);
}

/// A file that lost its white space: the lines of a block are those that are no line of ours.
#[test]
fn blocks_without_indentation_are_passed_over() {
    let found = parsed(
        "router ospf 1\nrouter-id 192.0.2.1\n!\nnetwork 10.0.0.0 0.0.0.255 area 0\nno auto-summary\n!\n\
         interface Serial0/0/0\nip address 192.0.2.1 255.255.255.252\nno fair-queue\nframe-relay lmi-type ansi\nshutdown\n!\n\
         interface GigabitEthernet0/0\nip address 10.0.0.1 255.255.255.0\nip ospf cost 10\nip nat inside\nduplex auto\n!\n\
         line vty 0 4\naccess-class 10 in\nlogin local\ntransport input ssh\nversion 15.1\nprivilege level 15\nhostname x\n",
    );
    assert_eq!(found.seen(), "1 interface, 16 lines passed over");
    assert!(found.config.to_string().contains("hostname x\n"));
    assert!(found.config.interfaces[0].nat.is_some());
}

#[test]
fn a_slip_behind_a_block_is_a_mistake() {
    let blocks = [
        "router ospf 1\nnetwork 10.0.0.0 0.0.0.255 area 0\n",
        "router ospf 1\n network 10.0.0.0 0.0.0.255 area 0\n",
        "interface Gi0/0/0\ncrypto map X\n",
        "interface Gi0/0/0\n service instance 1 ethernet\n",
    ];
    for block in blocks {
        for slip in [
            "intrface Gi0/0/0",
            "ip nat isnide source list 1 pool P",
            "ipnat pool P",
            "acess-list 10 permit any",
            "itn Gi0/0/0",
            "rout-map X permit 10",
            "ip rotue 0.0.0.0 0.0.0.0 192.0.2.1",
            "p nat inside source list 1 pool P",
            "vrg definition X",
        ] {
            let text = format!("{block}{slip}\n");
            assert!(parse("t", &text).is_err(), "{text}");
        }
    }
    for slip in ["shutdwn", "descripton x", "encapsulatoin dot1Q 5", " ip nat isnide"] {
        let text = format!("interface Gi0/0/0\ncrypto map X\n{slip}\n");
        assert!(parse("t", &text).is_err(), "{text}");
    }
    // Nothing is under a line that opens no block.
    assert!(parse("t", "crypto ipsec nat-transparency spi-matching\nneighbor 192.0.2.1\n").is_err());
    // An indented file has nothing unknown at the margin.
    assert!(parse("t", "router ospf 1\n network 10.0.0.0 0.0.0.255 area 0\nneighbor 192.0.2.1\n").is_err());
    assert!(parse("t", "redundancy\n!\nneighbor 192.0.2.1\n").is_err());
}

/// Lines of other features within blocks of ours.
#[test]
fn what_is_no_matter_of_nat_within_our_blocks_is_passed_over() {
    let found = parsed(
        "vrf definition V\n rd 65000:1\n route-target export 65000:1\n !\n address-family ipv4\n  import map X\n exit-address-family\n \
         !\n address-family ipv6\n exit-address-family\n description V\n\
         interface Te0/1/0\n service instance 10 ethernet\n  encapsulation dot1q 10\n  bridge-domain 10\n !\n mtu 9000\n \
         no ip address\n",
    );
    assert_eq!(found.passed_over, 7);
    assert_eq!(found.config.vrfs[0].description.as_deref(), Some("V"));
}

#[test]
fn a_prompt_is_passed_over() {
    let found = parsed("edge-1#show running-config\nhostname x\nedge-1#\nedge-1(config)#exit\n");
    assert_eq!(found.passed_over, 3);
    assert!(parse("t", "#show running-config\n").is_err());
}

/// Our own statements with a mistake behind a word that other features have too.
#[test]
fn a_mistake_in_a_line_of_ours_is_one() {
    for text in [
        "platform dpdk\n memory much\n",
        "logging trap loud\n",
        "interface Gi0/0/0\n ip acess-group 1 in\n",
        "ip acess-list standard A\n",
        "intrface Gi0/0/0\n",
        "interface Gi0/0/0\n ip ospf 1 area 0\n ip nat inisde\n",
    ] {
        assert!(parse("t", text).is_err(), "{text}");
    }
}

/// It would take all lines behind it for its text.
#[test]
fn a_banner_without_end_is_a_mistake() {
    let found = parse("t", "banner motd #hello\nhostname x\n").expect_err("a mistake");
    assert!(
        found.iter().any(|found| found.to_string().contains("the file ends within a banner")),
        "{found:#?}"
    );
}

#[test]
fn a_strict_reading_passes_nothing_over() {
    assert!(parse_strictly("t", "hostname x\nip cef\n").is_err());
    assert!(parse_strictly("t", "hostname x\n").is_ok());
}
