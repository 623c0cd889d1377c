//! Many hosts on both sides of a whole appliance, who talk FTP, DNS and RTSP with each other over bad links, all at the
//! same time, on the appliance's clock.
//!
//! A crowd is random from its seed alone. Each of its sessions is a [`conversation`] between two TCP hosts; what either
//! has read must be what an ideal rewriter makes of what the other said, which knows the fields that change and asks the
//! appliance only for the doors that it has. Announced endpoints are tried: what is sent there must arrive. Some sessions'
//! clients reset their connection, or restart amid it, and open another one over the same ports. Beside half of the
//! sessions a stranger guesses numbers. In the end, when its time has passed, nothing may be left in the appliance.

mod configuration;
pub mod conversation;
mod dns;
mod ftp;
mod member;
mod parties;
mod play;
mod reuse;
mod rtsp;
mod stranger;
mod trial;

use conversation::Conversation;
use rand::rngs::SmallRng;

pub use configuration::is_inside;
pub use dns::NAMED;
pub use parties::Parties;
pub use play::{Outcome, run};

/// What a session's hosts talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// FTP.
    Ftp,
    /// DNS over TCP.
    Dns,
    /// RTSP.
    Rtsp,
}

impl Speech {
    /// All, in the order in which outcomes count them.
    pub const ALL: [Speech; 3] = [Speech::Ftp, Speech::Dns, Speech::Rtsp];

    /// The servers' port.
    pub fn port(self) -> u16 {
        match self {
            Speech::Ftp => 21,
            Speech::Dns => 53,
            Speech::Rtsp => rtsp::PORT,
        }
    }

    /// A random conversation between these two.
    pub fn conversation(self, parties: &Parties, generator: &mut SmallRng) -> Conversation {
        match self {
            Speech::Ftp => ftp::conversation(parties, generator),
            Speech::Dns => dns::conversation(parties, generator),
            Speech::Rtsp => rtsp::conversation(parties, generator),
        }
    }
}
