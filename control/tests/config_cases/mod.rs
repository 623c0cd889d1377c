//! Cases of statements: conditions that access lists, route-maps and routes name.

/// The mode, the line in full, abbreviated, and as it is printed. Names are in capitals, so that every word of small
/// letters is a keyword.
pub struct Case(pub &'static str, pub &'static str, pub &'static str, pub &'static str);

const MAP: &str = "route-map R permit 10";
const EXTENDED: &str = "ip access-list extended E";
const NETWORKS: &str = "object-group network G";
const SERVICES: &str = "object-group service G";
const TIMES: &str = "time-range T";

/// Object groups, prefix lists, tracked objects, time ranges, and what names them.
#[rustfmt::skip]
pub const CONDITIONS: &[Case] = &[
    Case("", "ip route 0.0.0.0 0.0.0.0 192.0.2.1 track 7", "ip ro 0.0.0.0 /0 192.0.2.1 tr 7", "ip route 0.0.0.0 0.0.0.0 192.0.2.1 track 7"),
    Case("", "time-range T", "ti T", "time-range T"),
    Case(TIMES, "absolute start 08:00 1 January 2026 end 18:30 31 December 2026", "abs st 8:00 1 jan 2026 e 18:30 31 D 2026",
         "absolute start 08:00 01 January 2026 end 18:30 31 December 2026"),
    Case(TIMES, "absolute end 00:00 29 February 2028", "ab end 0:00 29 f 2028", "absolute end 00:00 29 February 2028"),
    Case(TIMES, "periodic weekdays 8:00 to 17:00", "per weekd 08:00 to 17:00", "periodic weekdays 8:00 to 17:00"),
    Case(TIMES, "periodic daily 0:00 to 23:59", "p d 0:00 t 23:59", "periodic daily 0:00 to 23:59"),
    Case(TIMES, "periodic weekend 9:05 to 9:05", "p weeke 9:05 t 9:05", "periodic weekend 9:05 to 9:05"),
    Case(TIMES, "periodic Monday Sunday 7:00 to 8:00", "p mon sun 7:00 to 8:00", "periodic Monday Sunday 7:00 to 8:00"),
    Case(TIMES, "periodic Friday 18:00 to Monday 6:00", "p f 18:00 to m 6:00", "periodic Friday 18:00 to Monday 6:00"),
    Case(EXTENDED, "permit tcp any any eq www log time-range T", "p t a a eq 80 time-r T log",
         "10 permit tcp any any eq www log time-range T"),
    Case(EXTENDED, "deny ip any any time-range T", "den ip a a ti T", "10 deny ip any any time-range T"),
    Case("", "track 7 interface GigabitEthernet0/0/0 line-protocol", "tr 7 int gi 0/0/0 l",
         "track 7 interface GigabitEthernet0/0/0 line-protocol"),
    Case("", "track 7 interface GigabitEthernet0/0/0 ip routing", "tr 7 int gi 0/0/0 ip r",
         "track 7 interface GigabitEthernet0/0/0 ip routing"),
    Case("", "track 1000 list BOOLEAN", "tr 1000 li BOOLEAN", "track 1000 list BOOLEAN"),
    Case("", "ip prefix-list LAN seq 5 permit 10.0.0.0/8 le 32", "ip pre LAN per 10.1.1.1/8 le 32",
         "ip prefix-list LAN seq 5 permit 10.0.0.0/8 le 32"),
    Case("", "ip prefix-list LAN seq 12 deny 10.0.0.0/8 ge 9 le 32", "ip prefix LAN s 12 den 10.0.0.0/8 g 9 l 32",
         "ip prefix-list LAN seq 12 deny 10.0.0.0/8 ge 9 le 32"),
    Case("", "ip prefix-list LAN description THE  LAN", "ip prefix LAN des THE  LAN", "ip prefix-list LAN description THE  LAN"),
    Case(MAP, "match ip address prefix-list LAN OTHER", "m ip a PREFIX-LIST LAN OTHER", "match ip address prefix-list LAN OTHER"),
    Case(EXTENDED, "permit object-group SVC object-group LAN any", "p obj SVC obj LAN a",
         "10 permit object-group SVC object-group LAN any"),
    Case(EXTENDED, "deny tcp object-group LAN gt 1023 object-group WEB eq www log", "den t ob LAN g 1023 ob WEB eq 80 log",
         "10 deny tcp object-group LAN gt 1023 object-group WEB eq www log"),
    Case("", "access-list 101 permit ip object-group LAN any", "acc 101 p ip o LAN any", "access-list 101 permit ip object-group LAN any"),
    Case("", "object-group network G", "obj n G", "object-group network G"),
    Case("", "object-group service G", "obj s G", "object-group service G"),
    Case(NETWORKS, "description THE  LAN ! X", "desc THE  LAN ! X", "description THE  LAN ! X"),
    Case(NETWORKS, "host 10.0.0.1", "h 10.0.0.1", "host 10.0.0.1"),
    Case(NETWORKS, "10.0.0.0 255.255.255.0", "10.0.0.0 /24", "10.0.0.0 255.255.255.0"),
    Case(NETWORKS, "range 10.0.0.1 10.0.0.9", "r 10.0.0.1 10.0.0.9", "range 10.0.0.1 10.0.0.9"),
    Case(NETWORKS, "group-object OTHER", "g OTHER", "group-object OTHER"),
    Case(SERVICES, "description THE SERVICES", "desc THE SERVICES", "description THE SERVICES"),
    Case(SERVICES, "tcp eq www", "tcp 80", "tcp eq www"),
    Case(SERVICES, "tcp", "6", "tcp"),
    Case(SERVICES, "tcp source gt 1023 range ftp-data ftp", "tcp so gt 1023 ra 20 21", "tcp source gt 1023 range ftp-data ftp"),
    Case(SERVICES, "udp source eq isakmp", "ud so 500", "udp source eq isakmp"),
    Case(SERVICES, "udp lt 1024", "ud l 1024", "udp lt 1024"),
    Case(SERVICES, "tcp-udp eq domain", "tcp-u dom", "tcp-udp eq domain"),
    Case(SERVICES, "icmp echo", "icmp 8", "icmp echo"),
    Case(SERVICES, "icmp 3 77", "ic 3 77", "icmp 3 77"),
    Case(SERVICES, "icmp", "1", "icmp"),
    Case(SERVICES, "gre", "47", "gre"),
    Case(SERVICES, "ip", "0", "ip"),
    Case(SERVICES, "group-object OTHER", "group OTHER", "group-object OTHER"),
];
