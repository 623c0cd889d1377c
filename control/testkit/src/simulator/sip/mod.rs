//! Phones that talk SIP through a whole appliance: agents and a proxy written from RFC 3261 and RFC 3264 alone.
//!
//! A crowd is random from its seed alone. Inside [phones](agent) register with an outside [proxy], place and receive calls
//! over UDP and TCP with the timers that the RFC gives them, change their offers amid calls, are refused, give up, restart
//! without a word; an inside exchange has many calls over one connection. Each agent judges what it reads: a Via, Contact,
//! URI, route, name or Call-ID that comes back to it must be what it wrote. Whatever media one side sends must arrive at the
//! port that the other announced in the description that was read, and come from where its sender said that it is
//! ([book]). In the end nothing may be left in the appliance.

pub mod agent;
pub mod book;
mod call;
mod callee;
mod caller;
pub mod cast;
pub mod description;
mod dialog;
mod long;
mod media;
pub mod message;
mod offers;
pub mod parcel;
pub mod plan;
mod play;
pub mod proxy;
mod register;
pub mod registered;
mod turn;
pub mod wires;

pub use long::{LongCall, long_call};
pub use play::{Crowd, Options, Outcome, Stage, run};
