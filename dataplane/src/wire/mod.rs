//! Bytes of packets: where each field stands, checksums, fragments. Nothing here knows a table.
//!
//! Offsets are from the start of the header that the module is named after.

pub mod arp;
pub mod bytes;
pub mod checksum;
pub mod ethernet;
pub mod fragment;
pub mod icmp;
pub mod ipv4;
pub mod stretches;
pub mod tcp;
pub mod udp;
