//! Bytes of packets: headers, checksums, fragments. Nothing here knows a table.

pub mod checksum;
pub mod fragment;
