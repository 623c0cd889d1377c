#!/usr/bin/env python3
"""What ntc-templates read in answers of the appliance, field by field.

usage: fields.py FOLDER, with a file for each answer that is called as its command. Each template's every field is expected:
a value, a pattern (/.../), or nothing where the appliance has no such thing.
"""

import re
import sys
from pathlib import Path

from ntc_templates.parse import parse_output

NUMBER = "/[0-9]+/"
SOME = "/[1-9][0-9]*/"
AGO = "/[0-9:]+|never/"
MAC = "/([0-9a-f]{4}[.]){2}[0-9a-f]{4}/"
GI = "GigabitEthernet0/0/"


def interface(number, status, address, description=""):
    """A row of `show interfaces`."""
    return {
        "interface": f"{GI}{number}", "link_status": status, "protocol_status": status,
        "hardware_type": "DPDK", "mac_address": f"0200.0000.000{number + 1}", "bia": f"0200.0000.000{number + 1}",
        "description": description, "ip_address": address, "prefix_length": "24", "mtu": "1500",
        "duplex": "Auto Duplex", "speed": "Auto Speed", "media_type": "DPDK", "bandwidth": "1000000 Kbit",
        "delay": "10 usec", "encapsulation": "ARPA", "last_input": AGO, "last_output": AGO,
        "last_output_hang": "never", "queue_strategy": "fifo", "input_rate": NUMBER, "output_rate": NUMBER,
        "input_pps": NUMBER, "output_pps": NUMBER, "input_packets": SOME, "output_packets": SOME, "runts": "0",
        "giants": "0", "input_errors": "0", "crc": "0", "frame": "0", "overrun": NUMBER, "abort": "",
        "output_errors": "0", "vlan_id": "", "vlan_id_inner": "", "vlan_id_outer": "", "queue_size": "0",
        "queue_max": "1024", "queue_drops": NUMBER, "queue_flushes": "0", "queue_output_drops": "0",
    }


def ip_interface(number, address, vrf="", inbound=""):
    """A row of `show ip interface`."""
    return {
        "interface": f"{GI}{number}", "link_status": "up", "protocol_status": "up", "ip_address": [address],
        "prefix_length": ["24"], "vrf": vrf, "mtu": "1500", "ip_helper": [], "outgoing_acl": "", "inbound_acl": inbound,
    }


def brief(number, address):
    """A row of `show ip interface brief`."""
    return {"interface": f"{GI}{number}", "ip_address": address, "status": "up", "proto": "up"}


def route(code, network, length, vrf="", flag="", **fields):
    """A row of `show ip route`."""
    row = dict.fromkeys(["distance", "metric", "nexthop_ip", "nexthop_vrf", "nexthop_if", "uptime", "type"], "")
    return row | {
        "vrf": vrf, "protocol": code, "network": network, "prefix_length": length, "flag": flag,
    } | fields


def arp(address, mac, number, age=NUMBER):
    """A row of `show ip arp`."""
    return {
        "protocol": "Internet", "ip_address": address, "age": age, "mac_address": mac, "type": "ARPA",
        "interface": f"{GI}{number}",
    }


def show_arp(row):
    """A row of `show arp`, whose template has other names."""
    names = {"ip_address": "address", "age": "age_min", "mac_address": "hardware_address"}
    return {names.get(name, name): value for name, value in row.items()}


def ip_entry(name, kind, number="", action="", **fields):
    """A row of `show ip access-lists`, whose template has a row for each list too."""
    names = [
        "protocol", "src_host", "src_any", "src_network", "src_wildcard", "src_network_object_group_name", "src_port_match",
        "src_port", "src_port_range_start", "src_port_range_end", "dst_host", "dst_any", "dst_network", "dst_wildcard",
        "dst_network_object_group_name", "dst_port_match", "dst_port", "dst_port_range_start", "dst_port_range_end",
        "service_object_group_name", "flags_match", "tcp_flag", "log", "log_tag", "icmp_type", "time", "state", "matches",
    ]
    return dict.fromkeys(names, "") | {
        "acl_type": kind, "acl_name": name, "line_num": number, "action": action,
    } | fields


def entry(name, kind, number, action, source, **fields):
    """A row of `show access-lists`."""
    names = [
        "protocol", "operator_source_port", "source_port", "destination", "operator_destination_port",
        "destination_port", "modifier", "matches",
    ]
    return dict.fromkeys(names, "") | {
        "name": name, "type": kind, "sn": number, "action": action, "source": source,
    } | fields


def translation(protocol, inside_global, inside_local, outside="---", ports=("", "", "")):
    """A row of `show ip nat translations`."""
    return {
        "protocol": protocol, "inside_global_ip": inside_global, "inside_global_port": ports[0],
        "inside_local_ip": inside_local, "inside_local_port": ports[1], "outside_local_ip": outside,
        "outside_local_port": ports[2], "outside_global_ip": outside, "outside_global_port": ports[2],
    }


VIA = {"distance": "1", "metric": "0", "nexthop_ip": "198.51.100.254", "nexthop_if": f"{GI}1"}
ARP_RED = [arp("10.0.0.1", "0200.0000.0001", 0, "-"), arp("10.0.0.11", MAC, 0)]
ARP_GLOBAL = [arp("198.51.100.1", "0200.0000.0002", 1, "-"), arp("198.51.100.10", MAC, 1)]

# Commands with rows that must be there, and whether there are no others.
EXPECTED = {
    "show ip route": ([
        route("S", "0.0.0.0", "0", flag="*", **VIA),
        route("C", "198.51.100.0", "24", nexthop_if=f"{GI}1"),
        route("L", "198.51.100.1", "32", nexthop_if=f"{GI}1"),
    ], True),
    "show ip route vrf RED": ([
        route("S", "0.0.0.0", "0", vrf="RED", flag="*", **VIA, nexthop_vrf="default"),
        route("C", "10.0.0.0", "24", vrf="RED", nexthop_if=f"{GI}0"),
        route("L", "10.0.0.1", "32", vrf="RED", nexthop_if=f"{GI}0"),
        route("S", "192.0.2.128", "25", vrf="RED", nexthop_if="Null0"),
    ], True),
    "show ip arp": (ARP_GLOBAL, False),
    "show arp": ([show_arp(row) for row in ARP_GLOBAL], False),
    "show ip arp vrf RED": (ARP_RED, False),
    "show arp vrf RED": ([show_arp(row) for row in ARP_RED], False),
    "show vrf": ([
        {"name": "RED", "default_rd": "65000:1", "protocols": "ipv4", "interfaces": [f"{GI}0"]},
        {"name": "BLUE", "default_rd": "<not set>", "protocols": "ipv4", "interfaces": [f"{GI}2"]},
    ], True),
    "show interfaces": ([
        interface(0, "up", "10.0.0.1", "subscribers"), interface(1, "up", "198.51.100.1"), interface(2, "up", "10.0.0.1"),
    ], True),
    "show ip interface": ([
        ip_interface(0, "10.0.0.1", "RED", "WEB"), ip_interface(1, "198.51.100.1"), ip_interface(2, "10.0.0.1", "BLUE"),
    ], True),
    "show ip interface brief": ([brief(0, "10.0.0.1"), brief(1, "198.51.100.1"), brief(2, "10.0.0.1")], True),
    "show access-lists": ([
        entry("10", "Standard", "10", "permit", "10.0.0.0, wildcard bits 0.0.0.255", matches=SOME),
        entry("WEB", "Extended", "10", "deny", "any", protocol="tcp", destination="host 198.51.100.10",
              operator_source_port="eq", source_port="daytime"),
        entry("WEB", "Extended", "20", "permit", "any", protocol="ip", destination="any", matches=SOME),
    ], True),
    "show ip access-lists": ([
        ip_entry("10", "Standard"),
        ip_entry("10", "Standard", "10", "permit", src_network="10.0.0.0", src_wildcard="0.0.0.255", matches=SOME),
        ip_entry("WEB", "Extended"),
        ip_entry("WEB", "Extended", "10", "deny", protocol="tcp", src_any="any", dst_host="198.51.100.10",
                 dst_port_match="eq", dst_port="daytime"),
        ip_entry("WEB", "Extended", "20", "permit", protocol="ip", src_any="any", dst_any="any", matches=SOME),
    ], True),
    "show route-map": ([
        {
            "name": "OUT", "action": "permit", "seq": "10",
            "match_clauses": ["ip address (access-lists): 10", f"interface {GI}1"], "set_clauses": [],
        },
        {
            "name": "OUT", "action": "deny", "seq": "20", "match_clauses": ["ip next-hop (access-lists): 10"],
            "set_clauses": [],
        },
    ], True),
    "show version": ([{
        "software_image": "portico", "version": "/[0-9.]+/", "release": "/[0-9.]+/", "rommon": "", "hostname": "edge",
        "uptime": "/[0-9]+ minutes?/", "uptime_years": "", "uptime_weeks": "", "uptime_days": "", "uptime_hours": "",
        "uptime_minutes": NUMBER, "reload_reason": "program start", "running_image": "/.*portico/", "hardware": [],
        "serial": [], "config_register": "", "mac_address": [],
        "restarted": "/[0-9:]{8} UTC [A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{1,2} 20[0-9]{2}/",
    }], True),
    "show logging": ([{
        "number": "", "month": "/[A-Z][a-z]{2}/", "day": "/[0-9]{1,2}/", "time": "/[0-9:]{8}[.][0-9]{3}/", "timezone": "UTC",
        "facility": "SYS", "severity": "5", "mnemonic": "READY",
        "message": ["Forwarding with 1 worker(s) on 3 port(s)"],
    }], False),
    "show clock": ([{
        "time": "/[0-9:]{8}[.][0-9]{3}/", "timezone": "UTC", "dayweek": "/(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/",
        "month": "/[A-Z][a-z]{2}/", "day": "/[0-9]{1,2}/", "year": "/20[0-9]{2}/",
    }], True),
    "show ip nat translations": ([
        translation("tcp", "/203[.]0[.]113[.][0-9]+/", "10.0.0.11", "198.51.100.10", (SOME, SOME, "80")),
        translation("icmp", "/203[.]0[.]113[.][0-9]+/", "10.0.0.11", "198.51.100.10", (SOME, SOME, SOME)),
    ], False),
}


def is_like(value, expected):
    """Whether a field has the value that is expected."""
    if isinstance(expected, str) and len(expected) > 1 and expected[0] == expected[-1] == "/":
        return isinstance(value, str) and re.fullmatch(expected[1:-1], value) is not None
    return value == expected


def is_row(row, expected):
    """Whether a row has the expected fields, all of them and no others."""
    return row.keys() == expected.keys() and all(is_like(row[name], expected[name]) for name in row)


def main():
    folder, failures, count = Path(sys.argv[1]), 0, 0
    for command, (expected, is_all) in EXPECTED.items():
        text = (folder / command).read_text()
        try:
            rows = parse_output("cisco_ios", command, text)
        except Exception as error:  # a template that gives up says where
            print(f"{command}: {error}\n{text}")
            failures += 1
            continue
        missing = [row for row in expected if not any(is_row(found, row) for found in rows)]
        odd = [row for row in rows if is_all and not any(is_row(row, known) for known in expected)]
        count += sum(len(row) for row in expected)
        for row in missing:
            print(f"{command}: no row {row}")
        for row in odd:
            print(f"{command}: the row {row}")
        failures += len(missing) + len(odd)
    print(f"{len(EXPECTED)} commands, {count} fields, {failures} rows amiss")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
