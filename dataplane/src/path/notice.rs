//! What senders are told about packets that were dropped, and when SYNs that nobody asked for are answered.

use std::net::Ipv4Addr;

use alg::Side;
use mem::Packet;

use crate::drops::{Blame, DropReason, Notice};
use crate::flow::InterfaceIndex;
use crate::path::budget::NoticeBudget;
use crate::path::reply;
use crate::path::tables::Tables;
use crate::path::unsolicited::{Kept, Unsolicited};
use crate::path::verdict::Refused;
use crate::port::Ports;
use crate::wire::{ethernet, ipv4};

/// What may be told, and what is told later.
pub struct Notices {
    budget: NoticeBudget,
    /// Apart, so that nobody's traceroute keeps others from learning a path's MTU.
    mtu_budget: NoticeBudget,
    /// ARP questions for hosts that sent something: whoever writes in many names has others asked for.
    question_budget: NoticeBudget,
    /// SYNs that may be answered later.
    pub unsolicited: Unsolicited,
}

impl Notices {
    /// Full budgets at `now`, and nothing to answer.
    pub fn new(now: u32) -> Notices {
        let [budget, mtu_budget, question_budget] = [(); 3].map(|()| NoticeBudget::new(now));
        Notices { budget, mtu_budget, question_budget, unsolicited: Unsolicited::default() }
    }

    /// Whether a host's MAC address may be asked for because of what came in its name.
    pub fn may_ask(&mut self, host: Ipv4Addr, now: u32) -> bool {
        self.question_budget.take(host, false, now)
    }

    /// The ICMP error about `original`, which starts with its IPv4 header, from the address of an interface; none when none
    /// is due or the budget is spent.
    pub fn write(
        &mut self,
        tables: &Tables,
        ports: &mut Ports,
        refused: Refused,
        interface: InterfaceIndex,
        original: &[u8],
        now: u32,
    ) -> Option<Packet> {
        let notice = notice_of(tables, refused.reason);
        let interface = tables.policy.interfaces.get(usize::from(interface))?;
        let &(from, _) = interface.addresses.first()?;
        let port = ports.get_mut(usize::from(interface.port))?;
        let budget = match notice {
            Notice::FragmentationNeeded => &mut self.mtu_budget,
            _ => &mut self.budget,
        };
        if notice == Notice::Silent {
            return None;
        }
        let is_outside = interface.nat == Some(Side::Outside);
        if !budget.take(source(original), is_outside, now) {
            tables.counters.icmp_errors_withheld.add(1);
            return None;
        }
        let mut packet = port.allocate().filter(|packet| packet.headroom() >= ethernet::LEN_MAX)?;
        reply::write_notice(&mut packet, notice, refused.mtu, from, original).then_some(packet)
    }

    /// The next SYN whose time has come, unless a session came to be meanwhile.
    pub fn next_unanswered(&mut self, tables: &Tables, worker: u8, now: u32) -> Option<Kept> {
        while let Some(kept) = self.unsolicited.next_due(now) {
            let shard = &tables.shard;
            // Another worker that has taken the port since may have the session: silence is the safer answer.
            let is_elsewhere = shard.ownership().owner(kept.dst).is_some_and(|owner| owner != worker);
            if !is_elsewhere && shard.find(kept.key, shard.prepare(kept.key)).is_none() {
                return Some(kept);
            }
        }
        None
    }
}

/// The source address of a packet.
fn source(original: &[u8]) -> Ipv4Addr {
    let bytes = original.get(ipv4::SRC..).and_then(<[u8]>::first_chunk::<4>);
    bytes.map_or(Ipv4Addr::UNSPECIFIED, |&bytes| Ipv4Addr::from(bytes))
}

/// What a sender is told. Policy may call a lack of resources a prohibition (RFC 5508 REQ-8).
fn notice_of(tables: &Tables, reason: DropReason) -> Notice {
    let is_prohibition = reason.blame() == Blame::Capacity && tables.policy.behaviour.tells_prohibited;
    match reason.notice() {
        Notice::HostUnreachable if is_prohibition => Notice::AdministrativelyProhibited,
        notice => notice,
    }
}
