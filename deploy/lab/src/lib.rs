//! A lab of network namespaces with real clients and servers around a NAT gateway.
//!
//! [`Lab::build`] makes the network of `topology.rs`, starts the gateway its [`Plan`] names (the appliance, or the
//! kernel's own NAT as a peer to compare with) and the servers. [`session`] holds what a user does there: ping,
//! download, upload, resolve. Everything is removed when the lab is dropped, also by a panicking test; what a killed
//! run left behind is removed by the next. Root is needed.
#![forbid(unsafe_code)]

pub mod address;
mod appliance;
pub mod comparison;
mod configuration;
pub mod console;
pub mod datagram;
pub mod discovery;
pub mod ftp;
mod gateway;
mod kernel_nat;
mod link;
mod namespace;
mod process;
pub mod rcmd;
pub mod rtsp;
mod rules;
pub mod scenario;
mod scope;
mod server;
pub mod session;
pub mod ssh;
pub mod table;
mod tap;
pub mod tftp;
mod topology;
mod traffic;

pub use appliance::{Appliance, program};
pub use gateway::{Gateway, Peer};
pub use kernel_nat::KernelNat;
pub use link::{End, Switch, connect};
pub use namespace::{Namespace, Outcome};
pub use process::{Process, Stopped};
pub use rules::{Protocol, Rules, Source, Static, Vrfs, static_global, web_global};
pub use scope::{Scope, sweep_own};
pub use server::{Blob, Documents, NameServer, STUN_PORT, StunServer, WebServer, Zone};
pub use tap::{Report, Tap};
pub use topology::{GATEWAY_PORT, Host, Lab, Plan};
pub use traffic::Traffic;

/// Waits for this test's turn: labs in one process run one after another, for each loads every core.
pub fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
