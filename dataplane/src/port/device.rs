//! The device behind ports, as far as the control side looks at it.

/// A device, whose queue pairs are [`Port`](super::Port)s.
pub trait Device {
    /// Whether the link is up, as far as the device knows.
    fn link_is_up(&self) -> bool;

    /// What the device has counted.
    fn statistics(&self) -> DeviceStatistics;
}

/// What a device has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Frames received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Frames sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Frames lost because the receive queue was full.
    pub missed: u64,
    /// Frames received with an error.
    pub receive_errors: u64,
    /// Frames that failed to be sent.
    pub transmit_errors: u64,
    /// Times the mempool had no buffer to receive into.
    pub no_buffer: u64,
    /// Frames longer than a packet buffer, dropped.
    pub giants: u64,
    /// Frames received in several segments that do not fit in one buffer, dropped.
    pub unusable: u64,
}
