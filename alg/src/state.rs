//! What gateways remember of a control session between its messages.

use std::net::SocketAddrV4;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

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
    },
    /// Of an FTP control connection.
    Ftp(crate::ftp::Control),
    /// Of an RTSP control connection.
    Rtsp(crate::rtsp::Control),
}

/// Gateways' memory of one call or registration, of fixed size, which outlives the control session that it began in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Nothing.
    #[default]
    None,
    /// Endpoints that its messages announced, the latest last.
    Announced(ArrayVec<SocketAddrV4, 4>),
}
