//! Sequence numbers: 32 bits that wrap around, compared by their distance (RFC 9293 section 3.4).

/// Whether `a` comes before `b`.
#[inline]
pub fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// The later of two.
#[inline]
pub fn later(a: u32, b: u32) -> u32 {
    if is_before(a, b) { b } else { a }
}

/// The earlier of two.
#[inline]
pub fn earlier(a: u32, b: u32) -> u32 {
    if is_before(b, a) { b } else { a }
}

/// How far `to` lies ahead of `from`; 0 where it lies behind.
#[inline]
pub fn ahead(from: u32, to: u32) -> u32 {
    if is_before(from, to) { to.wrapping_sub(from) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_around() {
        assert!(is_before(u32::MAX, 0) && !is_before(0, u32::MAX));
        assert_eq!((later(u32::MAX, 5), earlier(u32::MAX, 5)), (5, u32::MAX));
        assert_eq!((ahead(u32::MAX, 5), ahead(5, u32::MAX)), (6, 0));
    }
}
