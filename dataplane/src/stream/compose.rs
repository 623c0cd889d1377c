//! Segments of our own making: they look as if their sender had sent them just now.

use mem::Packet;

use super::header::write_checksum;
use super::sender::HeaderFields;
use super::{Emission, Means, Sender, Stream};
use crate::flow::TCP;
use crate::wire::checksum::checksum;
use crate::wire::ipv4;
use crate::wire::tcp::{self, ACK, URG};

const TIMESTAMPS_LEN: usize = 12;

impl Stream {
    /// Puts headers in front of a packet that is nothing but payload, and emits it. A packet without room for
    /// headers is lost, as packets may be.
    pub(super) fn emit_own(
        &mut self,
        sender: Sender,
        mut packet: Packet,
        seq: u32,
        flags: u8,
        means: &mut Means,
    ) {
        let options_len = if self.has_timestamps { TIMESTAMPS_LEN } else { 0 };
        let headers_len = ipv4::LEN + tcp::LEN + options_len;
        if !packet.shift_front(-(headers_len as isize)) {
            return means.chunks.consume(packet);
        }
        let urgent = self.flows[sender.index()]
            .urgent
            .map(|urgent| self.flows[sender.index()].map(means.chunks).to_receiver(urgent).wrapping_sub(seq));
        let ack = self.flows[sender.other().index()].told;
        let echo = self.fields[sender.other().index()].timestamp;
        let fields = &mut self.fields[sender.index()];
        fields.announced = (ack, fields.window);
        let total_len = packet.len() as u16;
        let bytes = packet.bytes_mut();
        bytes[..headers_len].fill(0);
        write_ipv4(bytes, fields, total_len);
        let tcp = &mut bytes[ipv4::LEN..headers_len];
        tcp[0..2].copy_from_slice(&fields.source_port.to_be_bytes());
        tcp[2..4].copy_from_slice(&fields.destination_port.to_be_bytes());
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&ack.to_be_bytes());
        tcp[12] = (((tcp::LEN + options_len) / 4) << 4) as u8;
        tcp[13] = flags | ACK;
        tcp[14..16].copy_from_slice(&fields.window.to_be_bytes());
        if let Some(pointer) =
            urgent.and_then(|pointer| u16::try_from(pointer).ok()).filter(|pointer| *pointer > 0)
        {
            tcp[13] |= URG;
            tcp[18..20].copy_from_slice(&pointer.to_be_bytes());
        }
        if self.has_timestamps {
            // Two no-operations align the values (RFC 7323 appendix A).
            tcp[20..24].copy_from_slice(&[1, 1, 8, 10]);
            tcp[24..28].copy_from_slice(&fields.timestamp.to_be_bytes());
            tcp[28..32].copy_from_slice(&echo.to_be_bytes());
        }
        write_checksum(&mut packet, 0, ipv4::LEN);
        means.output.push(Emission { sender, packet, l3: 0, l4: ipv4::LEN as u16 });
    }

    /// Payload bytes that fit a segment of our own.
    pub(super) fn payload_len_max(&self, sender: Sender) -> u32 {
        let options_len = if self.has_timestamps { TIMESTAMPS_LEN } else { 0 };
        u32::from(self.flows[sender.index()].segment_len_max).saturating_sub(options_len as u32).max(1)
    }
}

fn write_ipv4(bytes: &mut [u8], fields: &mut HeaderFields, total_len: u16) {
    fields.identification = fields.identification.wrapping_add(1);
    let header = &mut bytes[..ipv4::LEN];
    (header[0], header[1]) = (0x45, fields.tos);
    header[2..4].copy_from_slice(&total_len.to_be_bytes());
    header[4..6].copy_from_slice(&fields.identification.to_be_bytes());
    header[6] = if fields.dont_fragment { 0x40 } else { 0 };
    (header[8], header[9]) = (fields.ttl, TCP);
    header[12..16].copy_from_slice(&fields.source);
    header[16..20].copy_from_slice(&fields.destination);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
