/// Which of ten words equal `word`, a bit each: a cache line's worth of tags, compared in a few instructions.
#[inline(always)]
pub fn equal_lanes(words: &[u16; 10], word: u16) -> u32 {
    lanes(words, word)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn lanes(words: &[u16; 10], word: u16) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16,
    };
    // SAFETY: every x86-64 CPU has SSE2, and the loads' sixteen bytes are the first eight of ten words and the last.
    let equal = unsafe {
        let sought = _mm_set1_epi16(word as i16);
        let first = _mm_cmpeq_epi16(_mm_loadu_si128(words.as_ptr().cast()), sought);
        let last = _mm_cmpeq_epi16(_mm_loadu_si128(words.as_ptr().add(2).cast()), sought);
        _mm_movemask_epi8(_mm_packs_epi16(first, last)) as u32
    };
    // Both loads have words two to seven.
    equal & 0xff | equal >> 6 & 0x300
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn lanes(words: &[u16; 10], word: u16) -> u32 {
    (0..10).fold(0, |found, lane| found | u32::from(words[lane] == word) << lane)
}

#[cfg(test)]
mod tests {
    use super::equal_lanes;

    #[test]
    fn every_lane_has_its_bit() {
        let words = [7, 0, 7, 0xffff, 0x8000, 1, 7, 2, 7, 9];
        assert_eq!(equal_lanes(&words, 7), 0b01_0100_0101);
        assert_eq!(equal_lanes(&words, 0xffff), 1 << 3);
        assert_eq!(equal_lanes(&words, 0x8000), 1 << 4);
        assert_eq!(equal_lanes(&words, 9), 1 << 9);
        assert_eq!(equal_lanes(&words, 0x0700), 0);
    }
}
