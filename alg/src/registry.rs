//! The gateways, a row each, and what they remember. Dispatch, keywords, counters, labels, tables, documents and fuzzing are
//! loops over the rows. A new gateway touches its own file and this one.

use std::net::SocketAddrV4;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::{Context, Framing, Handled, Message, Refusal, Transport};

/// Where a gateway attaches unless configured otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// What carries the protocol there.
    pub transport: Transport,
    /// The control session's destination port.
    pub port: u16,
}

/// How a gateway comes to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// It listens to these ports of servers, unless configured otherwise.
    Ports(&'static [Port]),
    /// Through a door whose `child` it is, and in no other way.
    Door,
}

/// When a gateway has anything to do to what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Whatever the configuration: its messages announce endpoints, or their sessions' own.
    Always,
    /// Where configuration maps whole addresses: it has a word on them alone.
    MappedAddresses,
}

/// A gateway.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name: in metrics, in `show`, as folder of its cases.
    pub name: &'static str,
    /// The label of its row in `show platform hardware qfp active feature alg statistics`.
    pub label: &'static str,
    /// The words after `ip nat service`, as in IOS; `{}` stands for the transport. Rows that share them are switched together.
    pub keyword: &'static str,
    /// Where it attaches by default.
    pub attach: Attach,
    /// It stays on under the `ietf` preset (RFC 4787 REQ-10, RFC 5382 REQ-6).
    pub is_ietf: bool,
    /// When it attaches at all. Elsewhere its sessions take the fast path.
    pub reads: Reads,
    /// The memory of a new control session.
    pub state: fn() -> State,
    /// What the beginning of a stream's unread bytes is. Datagrams have none. It is asked again when what it asked
    /// for has come, with all bytes from the beginning on: it must ask so that no byte is read more than
    /// [`READS_PER_BYTE_MAX`] times over, however few come at once.
    pub framing: fn(&State, &Message) -> Framing,
    /// Reads a message, edits it and reserves doors.
    pub handle: fn(&mut State, &Message, &mut dyn Context) -> Result<Handled, Refusal>,
    /// What it does, in a sentence for the documents.
    pub about: &'static str,
    /// What defines the protocol, and what NAT does with it.
    pub standards: &'static str,
    /// The names of the kinds of messages that it counts apart ([`Context::count`]): values of a label of metrics.
    pub kinds: &'static [&'static str],
}

impl Row {
    /// The ports that it listens to by default.
    pub const fn ports(&self) -> &'static [Port] {
        match self.attach {
            Attach::Ports(ports) => ports,
            Attach::Door => &[],
        }
    }
}

/// How often framing may read a byte, on average over a message: what a sender of single bytes costs is bounded.
pub const READS_PER_BYTE_MAX: usize = 256;

/// All gateways.
pub const ROWS: &[Row] = &[
    crate::ftp::ROW,
    crate::tftp::ROW,
    crate::rtsp::ROW,
    crate::dns::ROW,
    crate::rcmd::ROW,
    crate::sip::ROW,
];

/// The most kinds of messages that one of them counts apart.
pub const KIND_COUNT_MAX: usize = {
    let (mut most, mut n) = (0, 0);
    while n < ROWS.len() {
        if ROWS[n].kinds.len() > most {
            most = ROWS[n].kinds.len();
        }
        n += 1;
    }
    most
};

/// A gateway's memory of one control session, of fixed size: the shard has a slot for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing.
    #[default]
    None,
    /// Of DNS between two hosts.
    Dns {
        /// The largest answer that the asker takes in a datagram, as it said last.
        payload_size_max: u16,
        /// What a subscriber asked and was not told yet, by the messages' numbers, the latest last.
        asked: ArrayVec<u16, 16>,
        /// Numbers of messages of a stream whose questions or answers were signed: a signature covers messages of a transfer
        /// that have none of their own (RFC 8945 section 5.3.1).
        signed: ArrayVec<u16, 16>,
    },
    /// Of an FTP control connection.
    Ftp(crate::ftp::FtpState),
    /// Of an RTSP control connection.
    Rtsp(crate::rtsp::RtspState),
    /// Of a connection of rsh, rexec or rlogin.
    Rcmd {
        /// The client's first word was read.
        has_begun: bool,
    },
}

/// Gateways' memory of one call or registration, of fixed size, which outlives the control session that it began in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Nothing.
    #[default]
    None,
    /// Endpoints that its messages announced, the latest last.
    Announced(ArrayVec<SocketAddrV4, 4>),
    /// Of a call of SIP, or another dialog.
    Dialog(crate::sip::Dialog),
    /// Of a registration with SIP.
    Registration(crate::sip::Registration),
    /// Of an endpoint that somebody is reached at.
    Reach {
        /// How many calls rely on it.
        calls: u32,
        /// How it is written.
        forms: crate::sip::Forms,
        /// When that ends, in milliseconds.
        ends_ms: u32,
    },
}
