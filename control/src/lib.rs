//! The control side of Portico: configuration, commands, metrics, ARP; without threads, sockets, devices and clocks but the
//! log's. The program around it is `control/program`.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod arp;
pub mod baselines;
pub mod calendar;
pub mod change;
pub mod cli;
pub mod compile;
pub mod config;
pub mod fault;
pub mod interface_state;
pub mod load;
pub mod log;
pub mod means;
pub mod metrics;
pub mod neighbours;
pub mod operation;
pub mod outbox;
pub mod question;
pub mod rates;
pub mod tracks;
pub mod vty;
pub mod watch;
