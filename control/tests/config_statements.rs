//! Every statement: its long form, an abbreviation and another case of letters read the same, and `no` undoes it.
mod config_cases;
use std::collections::BTreeSet;

use config_cases::{CONDITIONS, Case};

use control::config::family::MODES;
use control::config::grammar::Grammar;
use control::config::lex::tokens;
use control::config::{Apply, Mode, parse};

const GI: &str = "interface GigabitEthernet0/0/0";
const IN_VRF: &str = "vrf definition V\ninterface GigabitEthernet0/0/0";
const SUB: &str = "interface GigabitEthernet0/0/0.5";
const VRF: &str = "vrf definition V";
const DPDK: &str = "platform dpdk";
const POOL: &str = "ip nat pool P netmask 255.255.255.0";
const MAP: &str = "route-map R permit 10";
const STANDARD: &str = "ip access-list standard S";
const EXTENDED: &str = "ip access-list extended E";
const TRACK: &str = "track 7 interface GigabitEthernet0/0/0 line-protocol";

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("", "hostname EDGE-1", "host EDGE-1", "hostname EDGE-1"),
    Case("", "logging host 192.0.2.9", "logg h 192.0.2.9", "logging host 192.0.2.9"),
    Case("", "logging trap debugging", "log tr deb", "logging trap debugging"),
    Case("", "logging trap 4", "log tr 4", "logging trap warnings"),
    Case("", "logging console errors", "log c err", "logging console errors"),
    Case("", "logging console", "log c", "logging console debugging"),
    Case("", "no logging console", "no log c", "no logging console"),
    Case("", "prometheus exporter 127.0.0.1 9464", "prom e 127.0.0.1 9464", "prometheus exporter 127.0.0.1 9464"),
    Case(DPDK, "workers 2", "w 2", "workers 2"),
    Case(DPDK, "cores 2,3,5", "c 2-3,5", "cores 2-3,5"),
    Case(DPDK, "memory 1024", "mem 1024", "memory 1024"),
    Case(DPDK, "no hugepages", "no huge", "no hugepages"),
    Case(DPDK, "max-sessions 4000000", "max 4000000", "max-sessions 4000000"),
    Case("", "vrf definition V", "vrf def V", "vrf definition V"),
    Case("", "ip vrf V", "ip v V", "ip vrf V"),
    Case(VRF, "rd 65000:1", "rd 65000:1", "rd 65000:1"),
    Case("ip vrf V", "rd 192.0.2.1:7", "rd 192.0.2.1:7", "rd 192.0.2.1:7"),
    Case(VRF, "description CUSTOMER  A", "desc CUSTOMER  A", "description CUSTOMER  A"),
    Case("", "interface GigabitEthernet0/0/0", "int gi0/0/0", GI),
    Case("", "interface TenGigabitEthernet0/1/0.100", "int te 0/1/0.100", "interface TenGigabitEthernet0/1/0.100"),
    Case("", "interface loopback 0", "int lo0", "interface Loopback0"),
    Case(GI, "description TO  THE ! ISP", "desc TO  THE ! ISP", "description TO  THE ! ISP"),
    Case(GI, "device net_af_packet0,iface=eth1", "dev net_af_packet0,iface=eth1",
         "device net_af_packet0,iface=eth1"),
    Case(GI, "mac-address 0200.0000.00fe", "mac 0200.0.FE", "mac-address 0200.0000.00fe"),
    Case(SUB, "encapsulation dot1q 5", "enc d 5", "encapsulation dot1Q 5"),
    Case(SUB, "encapsulation dot1Q 4094 native", "enc d 4094 n", "encapsulation dot1Q 4094 native"),
    Case(IN_VRF, "vrf forwarding V", "vrf f V", "vrf forwarding V"),
    Case(IN_VRF, "ip vrf forwarding V", "ip vrf for V", "vrf forwarding V"),
    Case(GI, "ip address 10.0.0.1 255.255.255.0", "ip addr 10.0.0.1 /24", "ip address 10.0.0.1 255.255.255.0"),
    Case("interface GigabitEthernet0/0/0\nip address 10.0.0.1 255.255.255.0",
         "ip address 10.0.0.2 255.255.255.0 secondary", "ip addr 10.0.0.2 255.255.255.0 sec",
         "ip address 10.0.0.2 255.255.255.0 secondary"),
    Case(GI, "ip nat inside", "ip n i", "ip nat inside"),
    Case(GI, "ip nat outside", "ip nat out", "ip nat outside"),
    Case(GI, "ip mtu 1400", "ip m 1400", "ip mtu 1400"),
    Case(GI, "ip tcp adjust-mss 1360", "ip tcp adj 1360", "ip tcp adjust-mss 1360"),
    Case(GI, "ip access-group 101 in", "ip acc 101 i", "ip access-group 101 in"),
    Case(GI, "ip access-group FILTER out", "ip access-g FILTER o", "ip access-group FILTER out"),
    Case(GI, "ip verify unicast source reachable-via rx", "ip ver u s r r",
         "ip verify unicast source reachable-via rx"),
    Case(GI, "ip verify unicast source reachable-via any allow-default 101", "ip ver u s r a a 101",
         "ip verify unicast source reachable-via any allow-default 101"),
    Case(GI, "ip verify unicast source reachable-via rx 1300", "ip ver u s r r 1300",
         "ip verify unicast source reachable-via rx 1300"),
    Case(GI, "shutdown", "shut", "shutdown"),
    Case("", "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0", "ip nat po P 192.0.2.1 192.0.2.9 net /24",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0"),
    Case("", "ip nat pool P 192.0.2.1 192.0.2.9 prefix-length 28 type rotary", "ip nat po P 192.0.2.1 192.0.2.9 p 28 t r",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.240 type rotary"),
    Case("", "ip nat pool P netmask 255.255.255.0 type match-host", "ip nat pool P prefix 24 type match",
         "ip nat pool P netmask 255.255.255.0 type match-host"),
    Case("", "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0 type generic",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask /24 type g",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0"),
    Case(POOL, "address 192.0.2.1 192.0.2.9", "range 192.0.2.1 192.0.2.9",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0"),
    Case("", "ip nat inside source list 10 pool P", "ip nat i s l 10 p P", "ip nat inside source list 10 pool P"),
    Case("", "ip nat inside source list NAT pool P overload", "ip nat in so list NAT pool P over",
         "ip nat inside source list NAT pool P overload"),
    Case("", "ip nat inside source list 10 interface GigabitEthernet0/0/0 overload", "ip nat in so l 10 int Gi0/0/0",
         "ip nat inside source list 10 interface GigabitEthernet0/0/0 overload"),
    Case("", "ip nat inside source static 10.0.0.1 192.0.2.1", "ip nat in so st 10.0.0.1 192.0.2.1",
         "ip nat inside source static 10.0.0.1 192.0.2.1"),
    Case("", "ip nat inside source static 10.0.0.1 192.0.2.1 no-payload no-alias extendable",
         "ip nat in so st 10.0.0.1 192.0.2.1 ext no-p no-a",
         "ip nat inside source static 10.0.0.1 192.0.2.1 extendable no-alias no-payload"),
    Case("", "ip nat inside source static 10.0.0.1 interface GigabitEthernet0/0/0", "ip nat in so st 10.0.0.1 int gi 0/0/0",
         "ip nat inside source static 10.0.0.1 interface GigabitEthernet0/0/0"),
    Case("", "ip nat inside source static tcp 10.0.0.1 80 192.0.2.1 8080", "ip nat in so st t 10.0.0.1 80 192.0.2.1 8080",
         "ip nat inside source static tcp 10.0.0.1 80 192.0.2.1 8080 extendable"),
    Case("", "ip nat inside source static tcp 10.0.0.1 www 192.0.2.1 telnet", "ip nat in so st t 10.0.0.1 80 192.0.2.1 tel",
         "ip nat inside source static tcp 10.0.0.1 80 192.0.2.1 23 extendable"),
    Case("", "ip nat inside source static udp 10.0.0.1 isakmp interface GigabitEthernet0/0/0 non500-isakmp",
         "ip nat in so st u 10.0.0.1 isa int gi 0/0/0 4500",
         "ip nat inside source static udp 10.0.0.1 500 interface GigabitEthernet0/0/0 4500"),
    Case("", "ip nat outside source static tcp 198.51.100.7 smtp 10.0.0.7 pop3", "ip nat o so st t 198.51.100.7 25 10.0.0.7 pop3",
         "ip nat outside source static tcp 198.51.100.7 25 10.0.0.7 110"),
    Case("", "ip nat outside source static udp 198.51.100.7 domain 10.0.0.7 tftp", "ip nat o so st u 198.51.100.7 dom 10.0.0.7 69",
         "ip nat outside source static udp 198.51.100.7 53 10.0.0.7 69"),
    Case("", "ip nat translation port-timeout tcp www 120", "ip nat tr port t ww 120", "ip nat translation port-timeout tcp 80 120"),
    Case("", "ip nat translation port-timeout udp ntp 60", "ip nat tr port u nt 60", "ip nat translation port-timeout udp 123 60"),
    Case("", "ip nat service ftp tcp port telnet", "ip nat serv ft t p tel", "ip nat service ftp tcp port 23"),
    Case("", "ip nat service list 10 rtsp udp port snmp", "ip nat serv li 10 rt u p snmp", "ip nat service list 10 rtsp udp port 161"),
    Case("", "ip nat service fullrange udp port ntp", "ip nat serv fu u p nt", "ip nat service fullrange udp port 123"),
    Case("", "ip nat settings interface-overload block port udp non500-isakmp", "ip nat set int b po u non",
         "ip nat settings interface-overload block port udp 4500"),
    Case("", "ip nat inside source static udp 10.0.0.1 53 interface GigabitEthernet0/0/0 53 no-payload",
         "ip nat in so st u 10.0.0.1 53 int gi 0/0/0 53 no-p",
         "ip nat inside source static udp 10.0.0.1 53 interface GigabitEthernet0/0/0 53 no-payload"),
    Case("", "ip nat inside source static network 10.0.0.0 192.0.2.0 /24", "ip nat in so st n 10.0.0.0 192.0.2.0 255.255.255.0",
         "ip nat inside source static network 10.0.0.0 192.0.2.0 255.255.255.0"),
    Case("", "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0 accounting LIST add-route arp-ping",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask /24 arp add acc LIST",
         "ip nat pool P 192.0.2.1 192.0.2.9 netmask 255.255.255.0"),
    Case("", "ip nat inside source route-map R pool P reversible no-payload overload pap",
         "ip nat in so ro R po P over pap no-p rev",
         "ip nat inside source route-map R pool P overload pap reversible no-payload"),
    Case(VRF, "ip nat inside source list 10 pool P redundancy 1 mapping-id 100 vrf V match-in-vrf overload",
         "ip nat in so l 10 p P over vrf V match red 1 map 100",
         "ip nat inside source list 10 pool P vrf V match-in-vrf overload"),
    Case(VRF, "ip nat inside source list 10 pool P vrf V oer overload egress-interface TwoGigabitEthernet1/0/8",
         "ip nat in so l 10 p P eg tw 1/0/8 over o v V",
         "ip nat inside source list 10 pool P vrf V overload egress-interface TwoGigabitEthernet1/0/8"),
    Case(VRF, "ip nat inside source list 10 pool P vrf V oer overload pap", "ip nat in so l 10 p P overl pap o v V",
         "ip nat inside source list 10 pool P vrf V overload pap"),
    Case(VRF, "ip nat inside source route-map R interface GigabitEthernet0/0/0 vrf V overload track 7",
         "ip nat in so ro R i gi 0/0/0 t 7 v V",
         "ip nat inside source route-map R interface GigabitEthernet0/0/0 vrf V overload"),
    Case(VRF, "ip nat inside source static 10.0.0.1 192.0.2.1 vrf V match-in-vrf stateless no-alias",
         "ip nat in so st 10.0.0.1 192.0.2.1 no-a vrf V m s",
         "ip nat inside source static 10.0.0.1 192.0.2.1 vrf V match-in-vrf no-alias"),
    Case(VRF, "ip nat inside source static 10.0.0.1 192.0.2.1 vrf V route-map R reversible redundancy HA extendable",
         "ip nat in so st 10.0.0.1 192.0.2.1 ext red HA route R rev v V",
         "ip nat inside source static 10.0.0.1 192.0.2.1 vrf V route-map R reversible extendable"),
    Case("", "ip nat inside source static tcp 10.0.0.1 80 interface GigabitEthernet0/0/0 80 pool P track 1 overload egress-interface GigabitEthernet0/0/1",
         "ip nat in so st t 10.0.0.1 80 int gi0/0/0 80 egr gi0/0/1 p P t 1 ov",
         "ip nat inside source static tcp 10.0.0.1 80 interface GigabitEthernet0/0/0 80 egress-interface GigabitEthernet0/0/1"),
    Case("", "ip nat inside source static esp 10.0.0.1 interface GigabitEthernet0/0/0", "ip nat in so st e 10.0.0.1 int gi 0/0/0",
         "ip nat inside source static esp 10.0.0.1 interface GigabitEthernet0/0/0"),
    Case("", "ip nat inside destination list 10 pool SERVERS redundancy 1 mapping-id 5", "ip nat in d l 10 p SERVERS red 1 map 5",
         "ip nat inside destination list 10 pool SERVERS"),
    Case(VRF, "ip nat outside source list 10 pool P vrf V add-route no-payload overload redundancy 1", "ip nat out s l 10 p P ov red 1 add v V no-p",
         "ip nat outside source list 10 pool P vrf V overload add-route no-payload"),
    Case("", "ip nat outside source route-map R pool P", "ip nat o s r R p P", "ip nat outside source route-map R pool P"),
    Case(VRF, "ip nat outside source static 198.51.100.7 10.0.0.7 vrf V match-in-vrf add-route extendable no-alias no-payload",
         "ip nat o so st 198.51.100.7 10.0.0.7 no-p no-a ext a v V m",
         "ip nat outside source static 198.51.100.7 10.0.0.7 vrf V match-in-vrf add-route extendable no-alias no-payload"),
    Case("", "ip nat outside source static tcp 198.51.100.7 80 10.0.0.7 8080 add-route redundancy HA mapping-id 4 pool P",
         "ip nat o so st t 198.51.100.7 80 10.0.0.7 8080 p P red HA map 4 a",
         "ip nat outside source static tcp 198.51.100.7 80 10.0.0.7 8080 add-route"),
    Case("", "ip nat outside source static network 198.51.100.0 10.0.0.0 /24 no-payload", "ip nat o so st n 198.51.100.0 10.0.0.0 /24 no-p",
         "ip nat outside source static network 198.51.100.0 10.0.0.0 255.255.255.0 no-payload"),
    Case("", "route-map R permit 10", "route R p", "route-map R permit 10"),
    Case("", "route-map R", "route R", "route-map R permit 10"),
    Case("", "route-map R deny 20", "route R d 20", "route-map R deny 20"),
    Case(MAP, "match as-path 1", "m as 1", "match as-path 1"),
    Case(MAP, "description TO THE ISP", "desc TO THE ISP", "description TO THE ISP"),
    Case(MAP, "match ip address 10 LIST", "m ip a 10 LIST", "match ip address 10 LIST"),
    Case(MAP, "match interface GigabitEthernet0/0/0 GigabitEthernet0/0/1", "mat int gi 0/0/0 gi0/0/1",
         "match interface GigabitEthernet0/0/0 GigabitEthernet0/0/1"),
    Case(MAP, "match ip next-hop NEXT 7", "mat ip n NEXT 7", "match ip next-hop NEXT 7"),
    Case("", "ip nat translation max-entries 4000000", "ip nat tr max-e 4000000", "ip nat translation max-entries 4000000"),
    Case("", "ip nat translation max-entries all-host 300", "ip nat tr max-e all-h 300", "ip nat translation max-entries all-host 300"),
    Case("", "ip nat translation max-entries all-vrf 300", "ip nat tr max-e all-v 300", "ip nat translation max-entries all-vrf 300"),
    Case("", "ip nat translation max-entries host 10.0.0.9 5", "ip nat tr max-e h 10.0.0.9 5", "ip nat translation max-entries host 10.0.0.9 5"),
    Case("", "ip nat translation max-entries list 10 300", "ip nat tr max-e l 10 300", "ip nat translation max-entries list 10 300"),
    Case(VRF, "ip nat translation max-entries vrf V 300", "ip nat tr max-e v V 300", "ip nat translation max-entries vrf V 300"),
    Case("", "ip nat translation max-rate all-host 100", "ip nat tr max-r a 100", "ip nat translation max-rate all-host 100"),
    Case("", "ip nat translation max-rate host 10.0.0.9 5", "ip nat tr max-r h 10.0.0.9 5", "ip nat translation max-rate host 10.0.0.9 5"),
    Case("", "no ip nat service ftp", "no ip nat serv ft",
         "no ip nat service ftp"),
    Case("", "no ip nat service H225", "no ip nat serv h2",
         "no ip nat service H225"),
    Case("", "no ip nat service ras", "no ip nat serv ra",
         "no ip nat service ras"),
    Case("", "no ip nat service ldap", "no ip nat serv ld",
         "no ip nat service ldap"),
    Case("", "no ip nat service netbios-dgm", "no ip nat serv netbios-d",
         "no ip nat service netbios-dgm"),
    Case("", "no ip nat service netbios-ssn", "no ip nat serv netbios-s",
         "no ip nat service netbios-ssn"),
    Case("", "no ip nat service pptp", "no ip nat serv pp",
         "no ip nat service pptp"),
    Case("", "no ip nat service rcmd", "no ip nat serv rc",
         "no ip nat service rcmd"),
    Case("", "no ip nat service tftp", "no ip nat serv tf",
         "no ip nat service tftp"),
    Case("", "no ip nat service gatekeeper", "no ip nat serv gate",
         "no ip nat service gatekeeper"),
    Case("", "no ip nat service allow-h323-even-rtp-ports", "no ip nat serv allow-h323-e",
         "no ip nat service allow-h323-even-rtp-ports"),
    Case("", "no ip nat service allow-sip-even-rtp-ports", "no ip nat serv allow-si",
         "no ip nat service allow-sip-even-rtp-ports"),
    Case("", "no ip nat service allow-skinny-even-rtp-ports", "no ip nat serv allow-sk",
         "no ip nat service allow-skinny-even-rtp-ports"),
    Case("", "ip nat service dns-reset-ttl", "ip nat serv dns-r",
         "ip nat service dns-reset-ttl"),
    Case("", "ip nat service multi-wan-link", "ip nat serv mu",
         "ip nat service multi-wan-link"),
    Case("", "ip nat service allow-h323-keepalive", "ip nat serv allow-h323-k",
         "ip nat service allow-h323-keepalive"),
    Case("", "ip nat service allow-multipart", "ip nat serv allow-m",
         "ip nat service allow-multipart"),
    Case("", "ip nat service append-ldap-search-res", "ip nat serv ap",
         "ip nat service append-ldap-search-res"),
    Case("", "ip nat service enable-mib", "ip nat serv enable-m",
         "ip nat service enable-mib"),
    Case("", "ip nat service enable-sym-port", "ip nat serv enable-s",
         "ip nat service enable-sym-port"),
    Case("", "ip nat service mgcp", "ip nat serv mg",
         "ip nat service mgcp"),
    Case("", "ip nat service nbar", "ip nat serv nb",
         "ip nat service nbar"),
    Case("", "ip nat service port-randomization", "ip nat serv po",
         "ip nat service port-randomization"),
    Case("", "ip nat service ipsec-esp enable", "ip nat serv ip e",
         "ip nat service ipsec-esp enable"),
    Case("", "ip nat service modify-in-progress drop", "ip nat serv mod d",
         "ip nat service modify-in-progress drop"),
    Case("", "no ip nat service dns tcp", "no ip nat serv dns t",
         "no ip nat service dns tcp"),
    Case("", "no ip nat service dns udp", "no ip nat serv dns u",
         "no ip nat service dns udp"),
    Case("", "no ip nat service sunrpc tcp", "no ip nat serv su t",
         "no ip nat service sunrpc tcp"),
    Case("", "no ip nat service sunrpc udp", "no ip nat serv su u",
         "no ip nat service sunrpc udp"),
    Case("", "no ip nat service netbios-ns tcp", "no ip nat serv netbios-n t",
         "no ip nat service netbios-ns tcp"),
    Case("", "no ip nat service netbios-ns udp", "no ip nat serv netbios-n u",
         "no ip nat service netbios-ns udp"),
    Case("", "no ip nat service rtsp tcp", "no ip nat serv rt t",
         "no ip nat service rtsp tcp"),
    Case("", "no ip nat service rtsp udp", "no ip nat serv rt u",
         "no ip nat service rtsp udp"),
    Case("", "no ip nat service alg udp dns", "no ip nat serv alg u d",
         "no ip nat service dns udp"),
    Case("", "no ip nat service rtsp", "no ip nat serv rt", "no ip nat service rtsp udp"),
    Case("", "no ip nat service msrpc", "no ip nat serv ms", "no ip nat service msrpc tcp"),
    Case("", "no ip nat service msrpc tcp", "no ip nat serv ms t",
         "no ip nat service msrpc tcp"),
    Case("", "no ip nat service sip udp port 5060", "no ip nat serv sip u p 5060",
         "no ip nat service sip udp port 5060"),
    Case("", "ip nat service sip tcp port 5070", "ip nat serv sip t p 5070",
         "ip nat service sip tcp port 5070"),
    Case("", "ip nat service skinny tcp port 20002", "ip nat serv sk t p 20002",
         "ip nat service skinny tcp port 20002"),
    Case("", "no ip nat service skinny tcp port 2000", "no ip nat serv sk t p 2000",
         "no ip nat service skinny tcp port 2000"),
    Case("", "ip nat service list 10 ftp tcp port 2121", "ip nat serv li 10 f t p 2121",
         "ip nat service list 10 ftp tcp port 2121"),
    Case("", "ip nat service ftp tcp port 2121", "ip nat serv ft t p 2121", "ip nat service ftp tcp port 2121"),
    Case("", "no ip nat service rtsp udp port 8554", "no ip nat serv rt u p 8554",
         "no ip nat service rtsp udp port 8554"),
    Case("", "ip nat service list 10 dns udp port 5353", "ip nat serv li 10 d u p 5353",
         "ip nat service list 10 dns udp port 5353"),
    Case("", "alg defaults ietf", "alg de i", "alg defaults ietf"),
    Case("", "alg third-party 10", "alg th 10", "alg third-party 10"),
    Case("", "alg doors per-host 2000", "alg do p 2000", "alg doors per-host 2000"),
    Case("", "ip nat service list 10 ESP spi-match", "ip nat serv li 10 esp spimatch",
         "ip nat service list 10 ESP spi-match"),
    Case("", "ip nat service list 10 IKE preserve-port", "ip nat serv li 10 i p",
         "ip nat service list 10 IKE preserve-port"),
    Case("", "ip nat service fullrange udp port 500", "ip nat serv full u p 500",
         "ip nat service fullrange udp port 500"),
    Case("", "no ip nat service all-algs", "no ip nat serv all-a",
         "no ip nat service ftp"),
    Case("", "ip nat settings mode cgn", "ip nat set m c",
         "ip nat settings mode cgn"),
    Case("", "no ip nat settings support mapping outside", "no ip nat set su m o",
         "no ip nat settings support mapping outside"),
    Case("", "ip nat settings pap", "ip nat set pap",
         "ip nat settings pap"),
    Case("", "ip nat settings pap pool", "ip nat set pap p",
         "ip nat settings pap pool"),
    Case("", "ip nat settings pap limit 60 soft", "ip nat set pap s l 60",
         "ip nat settings pap limit 60 soft"),
    Case("", "ip nat settings pap limit 120 bpa set-size 512 step-size 8", "ip nat set pap b",
         "ip nat settings pap bpa"),
    Case("", "ip nat settings pap soft bpa set-size 1024 step-size 1 single-set", "ip nat set pap s b si st 1 se 1024",
         "ip nat settings pap soft bpa set-size 1024 step-size 1 single-set"),
    Case("", "ip nat settings gatekeeper-size 1048576", "ip nat set g 1048576",
         "ip nat settings gatekeeper-size 1048576"),
    Case("", "ip nat settings nonpatdrop", "ip nat set nonpatd",
         "ip nat settings nonpatdrop"),
    Case("", "ip nat settings inside-local drop", "ip nat set ins d",
         "ip nat settings inside-local drop"),
    Case("", "ip nat settings pool watermark high 80", "ip nat set poo w h 80",
         "ip nat settings pool watermark high 80"),
    Case("", "ip nat settings pool watermark high 80 low 60", "ip nat set poo w h 80 l 60",
         "ip nat settings pool watermark high 80 low 60"),
    Case("", "ip nat settings interface-overload port range start 2048 end 65535", "ip nat set int p r s 2048 e 65535",
         "ip nat settings interface-overload port range start 2048 end 65535"),
    Case("", "ip nat settings interface-overload block port tcp 8080", "ip nat set int b p t 8080",
         "ip nat settings interface-overload block port tcp 8080"),
    Case("", "ip nat settings log-destination", "ip nat set log",
         "ip nat settings log-destination"),
    Case("", "ip nat settings record-sessions", "ip nat set rec",
         "ip nat settings record-sessions"),
    Case("", "ip nat settings filtering endpoint-independent", "ip nat set fil e",
         "ip nat settings filtering endpoint-independent"),
    Case("", "ip nat settings filtering address-dependent", "ip nat set fil address-d",
         "ip nat settings filtering address-dependent"),
    Case("", "ip nat settings filtering address-and-port-dependent", "ip nat set fil address-a",
         "ip nat settings filtering address-and-port-dependent"),
    Case("", "ip nat settings port parity ignore", "ip nat set port p i",
         "ip nat settings port parity ignore"),
    Case("", "ip nat settings port parity preserve", "ip nat set port p p",
         "ip nat settings port parity preserve"),
    Case("", "ip nat settings port choice random", "ip nat set port c r",
         "ip nat settings port choice random"),
    Case("", "ip nat settings port choice preserve", "ip nat set port c p",
         "ip nat settings port choice preserve"),
    Case("", "ip nat settings hold-down 120", "ip nat set ho 120",
         "ip nat settings hold-down 120"),
    Case("", "ip nat settings hold-down 120 max 1000", "ip nat set ho 120 m 1000",
         "ip nat settings hold-down 120 max 1000"),
    Case("", "ip nat settings deterministic pool P list 10 ports-per-host 4032 reserved 5060,0-1023 dynamic-ports 8000 max-ports 5040", "ip nat set det p P l 10 por 4032 max 5040 dyn 8000 res 0-1023,5060",
         "ip nat settings deterministic pool P list 10 ports-per-host 4032 dynamic-ports 8000 max-ports 5040 reserved 0-1023,5060"),
    Case("", "ip nat settings deterministic pool P list 10 ports-per-host 4032 reserved 0-1023", "ip nat set det p P l 10 por 4032",
         "ip nat settings deterministic pool P list 10 ports-per-host 4032"),
    Case("", "ip nat settings icmp admin-prohibited", "ip nat set ic a",
         "ip nat settings icmp admin-prohibited"),
    Case("", "ip nat settings tcp unsolicited-syn silent", "ip nat set tcp u s",
         "ip nat settings tcp unsolicited-syn silent"),
    Case("", "ip nat settings tcp unsolicited-syn hold", "ip nat set tcp u h",
         "ip nat settings tcp unsolicited-syn hold"),
    Case("", "ip nat translation timeout 3600", "ip nat tr timeout 3600", "ip nat translation timeout 3600"),
    Case("", "ip nat translation tcp-timeout never", "ip nat tr tcp never", "ip nat translation tcp-timeout never"),
    Case("", "ip nat translation pptp-timeout 3600", "ip nat tr pptp 3600", "ip nat translation pptp-timeout 3600"),
    Case("", "ip nat translation udp-timeout 120", "ip nat tr udp 120", "ip nat translation udp-timeout 120"),
    Case("", "ip nat translation finrst-timeout 120", "ip nat tr f 120", "ip nat translation finrst-timeout 120"),
    Case("", "ip nat translation syn-timeout 120", "ip nat tr s 120", "ip nat translation syn-timeout 120"),
    Case("", "ip nat translation dns-timeout 120", "ip nat tr d 120", "ip nat translation dns-timeout 120"),
    Case("", "ip nat translation icmp-timeout 120", "ip nat tr i 120", "ip nat translation icmp-timeout 120"),
    Case("", "ip nat translation routemap-entry-timeout 120", "ip nat tr r 120",
         "ip nat translation routemap-entry-timeout 120"),
    Case("", "ip nat translation arp-ping-timeout 120", "ip nat tr a 120", "ip nat translation arp-ping-timeout 120"),
    Case("", "ip nat translation port-timeout tcp 80 600", "ip nat tr port t 80 600",
         "ip nat translation port-timeout tcp 80 600"),
    Case("", "ip route 0.0.0.0 0.0.0.0 192.0.2.1", "ip ro 0.0.0.0 0.0.0.0 192.0.2.1", "ip route 0.0.0.0 0.0.0.0 192.0.2.1"),
    Case("", "ip route 10.0.0.0 255.0.0.0 null0 250", "ip ro 10.0.0.0 /8 nu 0 250", "ip route 10.0.0.0 255.0.0.0 Null0 250"),
    Case("", "ip route 10.0.0.0 255.0.0.0 GigabitEthernet0/0/0 192.0.2.1 5", "ip ro 10.0.0.0 /8 gi 0/0/0 192.0.2.1 5",
         "ip route 10.0.0.0 255.0.0.0 GigabitEthernet0/0/0 192.0.2.1 5"),
    Case("", "ip route 10.0.0.0 255.0.0.0 GigabitEthernet0/0/0", "ip ro 10.0.0.0 /8 gi 0/0/0 1",
         "ip route 10.0.0.0 255.0.0.0 GigabitEthernet0/0/0"),
    Case("", "ip route 10.0.0.0 255.0.0.0 192.0.2.1 permanent tag 7 name UPLINK 250", "ip ro 10.0.0.0 /8 192.0.2.1 250 na UPLINK ta 7 p",
         "ip route 10.0.0.0 255.0.0.0 192.0.2.1 250 name UPLINK tag 7 permanent"),
    Case(VRF, "ip route vrf V 0.0.0.0 0.0.0.0 192.0.2.1 global", "ip ro v V 0.0.0.0 0.0.0.0 192.0.2.1 g",
         "ip route vrf V 0.0.0.0 0.0.0.0 192.0.2.1 global"),
    Case(VRF, "ip nat route vrf V 0.0.0.0 0.0.0.0 global", "ip nat ro v V 0.0.0.0 /0 g",
         "ip nat route vrf V 0.0.0.0 0.0.0.0 global"),
    Case(VRF, "arp vrf V 198.51.100.254 0200.0000.00fe arpa", "arp v V 198.51.100.254 200.0.FE a",
         "arp vrf V 198.51.100.254 0200.0000.00fe arpa"),
    Case("", "arp 198.51.100.254 0200.0000.00fe arpa", "arp 198.51.100.254 200.0.FE a",
         "arp 198.51.100.254 0200.0000.00fe arpa"),
    Case("", "access-list 10 permit any", "acc 10 per a", "access-list 10 permit any"),
    Case("", "access-list 10 deny host 192.0.2.1 log", "acc 10 d 192.0.2.1 l", "access-list 10 deny 192.0.2.1 log"),
    Case("", "access-list 1300 permit 192.0.2.3 0.0.0.255", "acc 1300 p 192.0.2.0 0.0.0.255",
         "access-list 1300 permit 192.0.2.0 0.0.0.255"),
    Case("", "access-list 99 remark SUBSCRIBERS  ONLY", "acc 99 r SUBSCRIBERS  ONLY", "access-list 99 remark SUBSCRIBERS  ONLY"),
    Case("", "access-list 199 permit ip any any", "acc 199 p ip a a", "access-list 199 permit ip any any"),
    Case("", "access-list 2000 remark X", "acc 2000 rem X", "access-list 2000 remark X"),
    Case("", "ip access-list standard S", "ip acc st S", "ip access-list standard S"),
    Case("", "ip access-list extended 101", "ip acc ext 101", "ip access-list extended 101"),
    Case(STANDARD, "permit 10.0.0.0 0.255.255.255", "per 10.0.0.0 0.255.255.255", "10 permit 10.0.0.0 0.255.255.255"),
    Case(STANDARD, "5 deny any log", "5 d a l", "5 deny any log"),
    Case(STANDARD, "7 remark X", "7 r X", "7 remark X"),
    Case(EXTENDED, "permit tcp any any eq www 443 established log", "p t a a eq 80 443 est log-i",
         "10 permit tcp any any eq www 443 established log"),
    Case(EXTENDED, "permit tcp host 10.0.0.1 gt 1023 192.0.2.0 0.0.0.255 range ftp-data 21 syn ack",
         "p tcp host 10.0.0.1 g 1023 192.0.2.9 0.0.0.255 ra 20 21 ack syn",
         "10 permit tcp host 10.0.0.1 gt 1023 192.0.2.0 0.0.0.255 range ftp-data ftp ack syn"),
    Case(EXTENDED, "deny udp any lt 1024 any neq domain dscp ef", "den u a l 1024 any n 53 ds 46",
         "10 deny udp any lt 1024 any neq domain dscp ef"),
    Case(EXTENDED, "permit icmp any any echo-reply", "p icmp any any 0", "10 permit icmp any any echo-reply"),
    Case(EXTENDED, "permit icmp any any host-unreachable", "p icmp any any 3 1", "10 permit icmp any any host-unreachable"),
    Case(EXTENDED, "permit icmp any any 8 1", "p icmp any any 8 1", "10 permit icmp any any 8 1"),
    Case(EXTENDED, "15 permit gre any any fragments", "15 p 47 a a f", "15 permit gre any any fragments"),
    Case(EXTENDED, "permit 6 any any", "p tcp any any", "10 permit tcp any any"),
    Case(EXTENDED, "permit 0 any any", "p ip any any", "10 permit ip any any"),
    Case(EXTENDED, "remark X ! Y", "r X ! Y", "10 remark X ! Y"),
];

/// Lines that are read to be refused, with the mode they stand in.
const REFUSED: &[(&str, &str)] = &[("", "ip route 0.0.0.0 0.0.0.0 dhcp")];

/// Lines that leave no trace.
const SILENT: &[(&str, &str)] = &[
    ("", "exit"),
    ("", "end"),
    ("", "do show version"),
    ("", "version 17.3"),
    ("", "service timestamps log datetime msec"),
    ("", "logging buffered 4096 debugging"),
    (VRF, "address-family ipv4"),
    (VRF, "exit-address-family"),
    ("", "ip nat service dns-v6 list 10"),
    ("", "ip nat service all-algs"),
    ("", "alg defaults cisco"),
    ("", "alg doors per-host 128"),
    ("", "no ip nat service ftp tcp port 2121"),
    ("", "ip nat service rtsp tcp port 554"),
    ("", "ip nat settings nonpatlog-disable"),
    ("", "ip nat settings high-performance"),
    ("", "ip nat settings reserve-ports"),
    ("", "ip nat settings preserve-sdwan-ports"),
    ("", "ip nat settings central-policy"),
    ("", "ip nat settings fbd"),
    ("", "ip nat settings scale bind"),
    ("", "ip nat settings cfg-check static-map-removal"),
    ("", "ip nat settings trans-err-limit per-ip-pool 10"),
    ("", "ip nat settings mode default"),
    ("", "ip nat settings support mapping outside"),
    (MAP, "set ip next-hop 192.0.2.1"),
    ("", "alg sip timer max-call-duration 90"),
    ("", "ip nat dia track-enable 1"),
    ("", "ip nat log translations syslog bind-only"),
    (
        "",
        "ip nat log translations flow-export v9 udp destination 192.0.2.50 2055 vrf V source GigabitEthernet0/0/1 bind-only",
    ),
    ("", "ip nat create flow-entries"),
    ("", "no ip nat create flow-entries"),
    ("", "ip nat switchover replication http port 80"),
    ("", "ip nat translation max-entries redundancy 1 1000"),
    (GI, "ip virtual-reassembly in"),
    ("", "track timer interface msec 500"),
    (TRACK, "delay down 10 up 20"),
    (TRACK, "object 3 not"),
    ("access-list 10 permit any", "ip access-list resequence 10 10 10"),
];

fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(CONDITIONS)
}

#[track_caller]
fn canonical(text: &str) -> String {
    match parse("test", text) {
        Ok(parsed) => parsed.config.to_string(),
        Err(diagnostics) => panic!("{text}\n{}", diagnostics[0]),
    }
}

/// The keywords of a line with every second letter a capital.
fn mixed_case(line: &str) -> String {
    let capital = |(position, c): (usize, char)| if position % 2 == 0 { c.to_ascii_uppercase() } else { c };
    let is_keyword = |word: &str| word.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    let mixed = line.split(' ').map(|word| match is_keyword(word) {
        true => word.chars().enumerate().map(capital).collect(),
        false => word.to_string(),
    });
    mixed.collect::<Vec<String>>().join(" ")
}

#[test]
fn every_spelling_reads_the_same() {
    for Case(mode, long, short, printed) in cases() {
        let text = canonical(&format!("{mode}\n{long}"));
        assert!(text.lines().any(|line| line.trim() == *printed), "{printed:?} is missing from {text}");
        assert_eq!(canonical(&format!("{mode}\n   {short}  \r\n")), text, "abbreviated: {short}");
        let mixed = mixed_case(long);
        assert_eq!(canonical(&format!("{mode}\n{mixed} ")), text, "in mixed case: {mixed}");
        assert_eq!(canonical(&text), text, "what is printed reads back the same");
    }
}

#[test]
fn no_undoes_what_a_line_did() {
    // As in IOS, `no logging console` is a setting of its own, beside the default.
    for Case(mode, long, short, _) in cases().filter(|case| !case.1.contains("logging console")) {
        // The pool and the lists of these modes are made by their headers and stay.
        let before = canonical(&format!("{mode}\n"));
        for line in [long, short] {
            let opposite = line.strip_prefix("no ").map_or(format!("no {line}"), str::to_string);
            assert_eq!(
                canonical(&format!("{mode}\n{long}\n{opposite}")),
                list_kept(&before, long),
                "{opposite}"
            );
        }
    }
}

/// A list that has lost its last entry is still there, as IOS has it.
fn list_kept(before: &str, line: &str) -> String {
    let mut words = line.split(' ');
    match (words.next(), words.next().and_then(|number| number.parse::<u16>().ok())) {
        (Some("access-list"), Some(number)) => {
            let kind = if matches!(number, 1..=99 | 1300..=1999) { "standard" } else { "extended" };
            format!("ip access-list {kind} {number}\n!\n")
        }
        _ => before.to_string(),
    }
}

#[test]
fn silent_lines_are_accepted() {
    for (mode, line) in SILENT {
        assert_eq!(canonical(&format!("{mode}\n{line}")), canonical(mode), "{line}");
    }
}

/// The tables in the order that lines are tried in.
fn grammars() -> Vec<&'static Grammar<Apply>> {
    let (global, modes): (Vec<_>, Vec<_>) = MODES.iter().partition(|row| row.mode == Mode::Global);
    modes.into_iter().chain(global).map(|row| &row.grammar).collect()
}

#[test]
fn refused_lines_are_errors() {
    for (mode, line) in REFUSED {
        assert!(parse("test", &format!("{mode}\n{line}")).is_err(), "{line}");
    }
}

/// A slip of one letter makes a line wrong, or another one of ours; it is never taken for a line of another feature.
#[test]
fn a_slip_is_not_passed_over() {
    for Case(mode, long, ..) in cases() {
        for (at, _) in long.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
            let (before, after) = (&long[..at], &long[at + 1..]);
            for slip in [format!("{before}{after}"), format!("{before}q{after}"), format!("{long}q")] {
                let passed_over =
                    parse("test", &format!("{mode}\n{slip}")).map_or(0, |parsed| parsed.passed_over);
                assert_eq!(passed_over, 0, "{slip:?} of {long:?}");
            }
        }
    }
}

#[test]
fn every_row_is_tested() {
    let mut untested: BTreeSet<&str> =
        grammars().iter().flat_map(|grammar| grammar.rows()).map(|row| row.syntax).collect();
    for line in
        cases().map(|case| case.1).chain(SILENT.iter().chain(REFUSED).map(|line| line.1)).chain([DPDK])
    {
        for found in grammars().iter().filter_map(|grammar| grammar.parse(&tokens(line)).ok()) {
            untested.remove(found.row.syntax);
        }
    }
    assert_eq!(untested, BTreeSet::new());
}

#[test]
fn help_is_never_empty() {
    for Case(_, long, ..) in cases() {
        let reads = |grammar: &&Grammar<Apply>| grammar.parse(&tokens(long)).is_ok();
        let grammar = grammars().into_iter().find(reads).expect("the line is of some mode");
        for (cursor, _) in
            long.match_indices(' ').filter(|_| !long.contains("remark") && !long.contains("desc"))
        {
            let candidates = grammar.complete(long, cursor + 1);
            assert!(!candidates.is_empty(), "nothing may follow {:?}", &long[..cursor]);
            assert!(candidates.iter().all(|candidate| !candidate.help.is_empty()), "{candidates:?}");
        }
    }
}
