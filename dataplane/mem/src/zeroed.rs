use std::alloc::{Layout, alloc_zeroed};
use std::ptr::{NonNull, slice_from_raw_parts_mut};
use std::sync::atomic::{AtomicU8, AtomicU32};

/// Numbers that are 0 where all their bits are.
///
/// # Safety
/// Zeros must be a value of the type, and dropping one must do nothing.
pub unsafe trait Number {}

// SAFETY: an integer, and any bits are a value of one.
unsafe impl Number for u32 {}
// SAFETY: as above.
unsafe impl Number for u64 {}
// SAFETY: it has the same representation as the integer.
unsafe impl Number for AtomicU8 {}
// SAFETY: as above.
unsafe impl Number for AtomicU32 {}

/// So many zeros, asked of the system in one piece: where there are many, they take memory as they are written to. None
/// where the system grants no such piece.
pub fn zeroed<T: Number>(count: usize) -> Option<Box<[T]>> {
    let layout = Layout::array::<T>(count).ok()?;
    if layout.size() == 0 {
        return Some(Box::default());
    }
    // SAFETY: the layout's size is not zero.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast::<T>();
    // SAFETY: the piece was allocated with the layout of this slice, all of it is zero, which `Number` says is a value,
    // and nothing else owns it.
    Some(unsafe { Box::from_raw(slice_from_raw_parts_mut(start.as_ptr(), count)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_zeros_as_asked_for_or_none() {
        for count in [0, 1, 3 << 20] {
            let mut zeros = zeroed::<u64>(count).unwrap();
            assert!(zeros.len() == count && zeros.iter().all(|&zero| zero == 0));
            zeros.fill(7);
        }
        assert!(zeroed::<u64>(usize::MAX / 8).is_none() && zeroed::<u64>(usize::MAX).is_none());
    }
}
