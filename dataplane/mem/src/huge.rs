use std::ffi::c_void;

/// Bytes of a huge page.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// An empty vector with room for `capacity` elements, in huge pages where the system has some to spare: a table
/// much larger than the caches then costs no page walk for each look-up. Fill it at once and never beyond its room.
pub fn vec_in_huge_pages<T>(capacity: usize) -> Vec<T> {
    let vec: Vec<T> = Vec::with_capacity(capacity);
    let start = (vec.as_ptr() as usize).next_multiple_of(HUGE_PAGE_BYTES);
    let end = (vec.as_ptr() as usize + capacity * size_of::<T>()) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if start < end {
        // SAFETY: the range lies within the vector's own allocation. The advice changes no content, and where it
        // is not taken the pages are ordinary ones.
        unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_HUGEPAGE) };
    }
    vec
}

#[cfg(test)]
mod tests {
    use super::vec_in_huge_pages;

    #[test]
    fn a_vector_of_any_size_is_an_ordinary_one() {
        for capacity in [0, 1, 1000, 3 << 20] {
            let mut vec = vec_in_huge_pages(capacity);
            vec.resize(capacity, 7u16);
            assert!(vec.iter().all(|&element| element == 7));
        }
    }
}
