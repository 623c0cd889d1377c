//! The control side of Portico: everything that is not the packet path.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod arp;
pub mod baselines;
pub mod cli;
pub mod compile;
pub mod config;
pub mod confine;
pub mod console;
pub mod desk;
pub mod devices;
pub mod exporter;
pub mod fault;
pub mod interface_state;
pub mod jobs;
pub mod leader;
pub mod load;
pub mod log;
pub mod means;
pub mod metrics;
pub mod neighbours;
pub mod operation;
pub mod outbox;
pub mod privileges;
pub mod rates;
pub mod refusals;
pub mod reload;
pub mod replay;
pub mod request;
pub mod run;
pub mod signals;
pub mod socket;
pub mod watch;
pub mod watchdog;
pub mod workers;
