//! What the measuring programs are made of: flows and their frames, the table of translations seen, the loop of
//! the load generator, how long a thread was kept from its core, and the history of results.
#![forbid(unsafe_code)]

pub mod drive;
pub mod feed;
pub mod flows;
pub mod frames;
pub mod history;
pub mod kernel;
pub mod load_port;
pub mod measurement;
pub mod plot;
pub mod preemption;
pub mod rig;
pub mod systems;
pub mod translations;
pub mod verify;
