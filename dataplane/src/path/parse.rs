//! Reading a frame: which interface it arrived on, and what its headers say, or why it is not one we carry.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::InterfaceIndex;
use crate::head::Head;
use crate::policy::Policy;
use crate::wire::bytes::word;
use crate::wire::ethernet;

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedFrame {
    /// An IPv4 packet, whose [`Head`] was read.
    Ipv4,
    /// An ARP packet at this offset, for the control thread.
    Arp(InterfaceIndex, u16),
}

/// Reads a frame's headers into `head`, which says nothing unless the answer is [`ParsedFrame::Ipv4`]. Cuts off Ethernet
/// padding, and changes nothing else.
#[inline]
pub fn parse(packet: &mut Packet, policy: &Policy, head: &mut Head) -> Result<ParsedFrame, DropReason> {
    let bytes = packet.bytes();
    let Frame { header, ethertype, l3, index } = frame(packet, policy)?;
    let interface = &policy.interfaces[usize::from(index)];
    let is_ours = header[..6] == interface.mac;
    if ethertype != ethernet::IPV4 || !is_ours {
        return not_for_us(header, ethertype, is_ours, index, l3);
    }
    head.read(bytes, l3, index, interface.vrf)?;
    // On a wire, that is: a hairpinned packet may have one global address at both ends.
    if head.src == head.dst {
        return Err(DropReason::Ipv4Land);
    }
    // Shrinking a frame always succeeds: the head was read of what it holds.
    let _ = packet.resize(l3 + usize::from(head.total_len));
    Ok(ParsedFrame::Ipv4)
}

/// What a frame's Ethernet headers say, and the interface it arrived on.
struct Frame<'a> {
    header: &'a [u8; ethernet::LEN],
    ethertype: u16,
    l3: usize,
    index: InterfaceIndex,
}

#[inline(always)]
fn frame<'a>(packet: &'a Packet, policy: &Policy) -> Result<Frame<'a>, DropReason> {
    let bytes = packet.bytes();
    let header: &[u8; ethernet::LEN] = bytes.first_chunk().ok_or(DropReason::EthernetTruncated)?;
    let mut ethertype = word(header, ethernet::TYPE);
    let mut l3 = ethernet::LEN;
    let mut vlan = None;
    if ethertype == ethernet::VLAN {
        (vlan, ethertype) = ethernet::tag(bytes).ok_or(DropReason::EthernetTruncated)?;
        l3 += ethernet::TAG_LEN;
    }
    let index = policy.attachments.find(packet.port(), vlan).ok_or(match vlan {
        Some(_) => DropReason::VlanUnknown,
        None => DropReason::InterfaceDown,
    })?;
    if !policy.interfaces[usize::from(index)].is_up {
        return Err(DropReason::InterfaceDown);
    }
    Ok(Frame { header, ethertype, l3, index })
}

/// The interface that a frame arrived on, if there is one and it is up.
#[cold]
pub fn interface_of(packet: &Packet, policy: &Policy) -> Option<InterfaceIndex> {
    frame(packet, policy).ok().map(|frame| frame.index)
}

/// A frame that is no IPv4 packet to the interface's own MAC address.
#[cold]
fn not_for_us(
    header: &[u8; ethernet::LEN],
    ethertype: u16,
    is_ours: bool,
    index: InterfaceIndex,
    l3: usize,
) -> Result<ParsedFrame, DropReason> {
    let is_to_many = header[0] & 1 == 1;
    match ethertype {
        ethernet::ARP if is_ours || is_to_many => Ok(ParsedFrame::Arp(index, l3 as u16)),
        ethernet::IPV4 if is_to_many => Err(DropReason::Ipv4Multicast),
        ethernet::IPV4 | ethernet::ARP => Err(DropReason::EthernetNotForUs),
        _ => Err(DropReason::EtherTypeUnknown),
    }
}
