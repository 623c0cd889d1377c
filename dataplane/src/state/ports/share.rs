//! What a host may have of the ports of an address.

use crate::state::ports::bitmaps::{AddressPorts, LOW_PORTS, Wish};
use crate::state::table::share::{FEW, Places};

/// Whether a host with so many mappings, of any kind, has all that it may have of the ports of an address that a wish is for,
/// while there are others: its share of one worker's part, or, if it `is_limited` by the configuration, all but the reserve.
pub fn has_its_share(
    ports: &AddressPorts<'_>,
    wish: &Wish,
    (held, is_limited): (u32, bool),
    worker_count: u8,
) -> bool {
    let (held, (low, high)) = (held as usize, wish.range);
    if held < FEW {
        return false;
    }
    let used = ports.used_between(wish.protocol, low, high) as usize;
    let all = (usize::from(high) + 1).saturating_sub(low.into());
    let capacity = all / usize::from(worker_count.max(1));
    let places = Places { capacity, free: capacity.saturating_sub(used) };
    // What a host has above the low ports is no reason to refuse it one of these.
    let is_low = usize::from(high) < LOW_PORTS;
    used < all && places.left_within(held, (is_limited || is_low).then_some(u32::MAX)) == 0
}
