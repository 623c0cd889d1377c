//! A call as one of its agents has it: its dialog and its descriptions.

use super::description::{Description, ReadDescription};
use super::parcel::Outgoing;

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The caller has invited.
    Calling,
    /// The callee rings.
    Ringing,
    /// They talk.
    Confirmed,
    /// BYE, or CANCEL, is on its way.
    Closing,
    /// It is over.
    Over,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number.
    pub number: usize,
    /// 0 for the caller's, 1 for the callee's.
    pub side: usize,
    /// Its Call-ID.
    pub call_id: String,
    /// How it stands.
    pub state: State,
    /// The own and the other side's name with tags, as they stand in From and To.
    pub local: String,
    /// The same of the other side.
    pub remote: String,
    /// Where requests within the call go.
    pub target: String,
    /// By which proxies.
    pub routes: Vec<String>,
    /// The own last sequence number, and the other side's.
    pub cseq: u32,
    /// The other side's.
    pub remote_cseq: u32,
    /// The own descriptions, and which is in force.
    pub own: Vec<Description>,
    /// The one in force.
    pub now: usize,
    /// The other side's in force.
    pub theirs: Option<ReadDescription>,
    /// Which was offered and not answered yet.
    pub offered: Option<usize>,
    /// Steps done.
    pub step: usize,
    /// When there is something to do: the next step, hang up, answer, cancel.
    pub act_ms: Option<u64>,
    /// When media is due.
    pub media_ms: Option<u64>,
    /// When media could be sent first.
    pub media_start_ms: u64,
    /// When a stream that was heard is shown to be alive.
    pub alive_ms: u64,
    /// Acknowledgements by sequence number, to be sent again with each repeated answer.
    pub acks: Vec<(u32, Outgoing)>,
    /// Branch of the invitation.
    pub branch: String,
}

impl Call {
    /// A call that begins.
    pub fn new(number: usize, side: usize, call_id: &str, state: State) -> Call {
        Call {
            number,
            side,
            call_id: call_id.to_string(),
            state,
            local: String::new(),
            remote: String::new(),
            target: String::new(),
            routes: Vec::new(),
            cseq: 0,
            remote_cseq: 0,
            own: Vec::new(),
            now: 0,
            theirs: None,
            offered: None,
            step: 0,
            act_ms: None,
            media_ms: None,
            media_start_ms: 0,
            alive_ms: 0,
            acks: Vec::new(),
            branch: String::new(),
        }
    }

    /// Whether they talk, or are about to.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closing | State::Over)
    }

    /// Ports that no other call may have.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        let former = self.own.len().saturating_sub(2).min(self.now);
        let own = if self.state == State::Over { &[] } else { &self.own[former..] };
        own.iter().flat_map(|description| &description.lines).flat_map(|line| line.ports()).flatten()
    }
}
