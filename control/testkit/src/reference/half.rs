//! Half of a translation: the sender's, or the receiver's.

use super::facts::Endpoint;
use super::tables::Local;

/// What an endpoint becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stays.
    Same,
    /// This.
    Known(Endpoint),
    /// Whatever the appliance chose, if it may; the second is what it may also have kept.
    Fresh(Option<Endpoint>),
}

/// One half.
#[derive(Clone, Debug)]
pub struct Half {
    /// What the endpoint becomes when the packet is forwarded; none if it must not be.
    pub end: Option<End>,
    /// Reasons to drop it that are legal.
    pub drops: Vec<&'static str>,
    /// The inside endpoint, and the peer, whose session this is; none where the NAT has no part.
    pub session: Option<(Local, Endpoint)>,
    /// The session is a dynamic rule's.
    pub is_dynamic: bool,
}

impl Half {
    pub(super) fn untouched() -> Half {
        Half { end: Some(End::Same), drops: Vec::new(), session: None, is_dynamic: false }
    }

    pub(super) fn refused(reasons: &[&'static str]) -> Half {
        Half { end: None, drops: reasons.to_vec(), session: None, is_dynamic: false }
    }
}

/// Who sends what to whom.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The IP protocol.
    pub protocol: u8,
    /// TCP flags.
    pub flags: u8,
    /// The endpoint to be translated.
    pub own: Endpoint,
    /// The other one.
    pub peer: Endpoint,
    /// The same packet may have begun a session already: that of a hairpin's sender.
    pub has_begun: bool,
}
