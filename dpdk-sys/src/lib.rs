//! Raw bindings to libdpdk and to the shim for its inline functions. The crate `dataplane-dpdk` is the only
//! user; DPDK's own documentation describes each item.
#![allow(missing_docs, non_camel_case_types, non_upper_case_globals, unused_qualifications)]
#![allow(clippy::all, clippy::too_many_lines, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
