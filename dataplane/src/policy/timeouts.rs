//! Idle times.

use serde::{Deserialize, Serialize};

/// What kind of session it is, as far as its idle time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum IdleClass {
    /// Address-only mappings and protocols without ports.
    Other,
    /// UDP.
    Udp,
    /// UDP to or from port 53.
    Dns,
    /// ICMP queries.
    Icmp,
    /// TCP before its handshake is done.
    TcpSyn,
    /// TCP with its handshake done.
    TcpEstablished,
    /// TCP after a FIN from both sides, or a RST.
    TcpClosing,
}

/// Idle times in milliseconds, by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts([u32; 7]);

impl Timeouts {
    /// An idle time that never runs out.
    pub const NEVER: u32 = u32::MAX;

    /// The idle time of a class.
    #[inline]
    pub fn of(&self, class: IdleClass) -> u32 {
        self.0[class as usize]
    }

    /// Sets the idle time of a class.
    pub fn set(&mut self, class: IdleClass, idle_ms: u32) {
        self.0[class as usize] = idle_ms;
    }
}

impl Default for Timeouts {
    /// The defaults of IOS.
    fn default() -> Timeouts {
        let seconds = |s: u32| s * 1000;
        Timeouts([
            seconds(86_400),
            seconds(300),
            seconds(60),
            seconds(60),
            seconds(60),
            seconds(86_400),
            seconds(60),
        ])
    }
}
