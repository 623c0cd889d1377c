//! What a host may have of the ports of an address.

use crate::drops::DropReason;
use crate::state::ports::bitmaps::{AddressPorts, LOW_PORTS, Wish};
use crate::state::table::share::{FEW, Places};

/// Why a host with so many mappings, of any kind, may have none of the ports of an address that a wish is for, while there
/// are some: it has its share of one worker's part, or, if it `is_limited` by the configuration, all but the reserve. The last
/// of that is for destinations to which it has few flows.
pub fn refusal(
    ports: &AddressPorts<'_>,
    wish: &Wish,
    (held, is_limited): (u32, bool),
    worker_count: u8,
    is_of_few: impl FnOnce() -> bool,
) -> Option<DropReason> {
    let (held, (low, high)) = (held as usize, wish.range);
    if held < FEW {
        return None;
    }
    let used = ports.used_between(wish.protocol, low, high) as usize;
    let all = (usize::from(high) + 1).saturating_sub(low.into());
    let capacity = all / usize::from(worker_count.max(1));
    let places = Places { capacity, free: capacity.saturating_sub(used) };
    // What a host has above the low ports is no reason to refuse it one of these.
    let is_low = usize::from(high) < LOW_PORTS;
    if used == all {
        return None;
    }
    match if is_limited || is_low { places.left_but_reserve(held) } else { places.left(held) } {
        0 => Some(DropReason::PortShare),
        left if !is_low && Places::are_reserved(held, left) && !is_of_few() => {
            Some(DropReason::DestinationShare)
        }
        _ => None,
    }
}
