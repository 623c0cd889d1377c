//! What the program is made of: threads, sockets, signals, devices, rights.
#![forbid(unsafe_code)]

pub mod client;
pub mod confine;
pub mod console;
pub mod desk;
pub mod devices;
pub mod exec;
pub mod exporter;
pub mod jobs;
pub mod leader;
pub mod privileges;
pub mod refusals;
pub mod reload;
pub mod replay;
pub mod request;
pub mod run;
pub mod signals;
pub mod socket;
pub mod startup;
pub mod watchdog;
pub mod workers;
