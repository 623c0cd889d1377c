//! Dice, and damage to what is said that they draw.

/// Numbers at which fields overflow.
const NUMBERS: &[&str] =
    &["0", "1", "255", "256", "1023", "65535", "65536", "4294967295", "4294967296", "-1", "007"];

/// Random numbers (xorshift), the same in every run with the same seed.
pub struct Dice(u64);

impl Dice {
    /// Dice that have not been thrown.
    pub fn new(seed: u64) -> Dice {
        // Seeds that follow each other are to be far apart, and none may be zero.
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    /// A part of some bytes.
    fn part<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let start = self.below(bytes.len() + 1);
        let len = self.below(bytes.len() - start + 1);
        &bytes[start..start + len]
    }

    /// Bytes with something left out, doubled, put in, repeated, overwritten, or another number in them.
    pub fn damage(&mut self, bytes: &[u8], others: &[u8]) -> Vec<u8> {
        let (head, tail) = bytes.split_at(self.below(bytes.len() + 1));
        match self.below(8) {
            0 => [head, self.part(tail)].concat(),
            1 => [head, head, tail].concat(),
            2 => [head, self.part(others), tail].concat(),
            3 => {
                let (len, count) = (self.below(32) + 1, self.below(400) + 1);
                let part = &tail[..len.min(tail.len())];
                [head, &part.repeat(count), tail].concat()
            }
            4 | 5 => self.renumber(head, tail),
            6 => bytes.iter().map(|byte| if self.below(8) == 0 { byte ^ 0x20 } else { *byte }).collect(),
            _ => {
                let mut damaged = bytes.to_vec();
                for _ in 0..self.below(4) {
                    let at = self.below(damaged.len());
                    let value = [0, 0xff, self.below(256) as u8][self.below(3)];
                    damaged.get_mut(at).into_iter().for_each(|byte| *byte = value);
                }
                damaged
            }
        }
    }

    /// Another number in place of the first in `tail`.
    fn renumber(&mut self, head: &[u8], tail: &[u8]) -> Vec<u8> {
        let start = tail.iter().position(u8::is_ascii_digit).unwrap_or(tail.len());
        let len = tail[start..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len() - start);
        let number = NUMBERS[self.below(NUMBERS.len())].as_bytes();
        [head, &tail[..start], number, &tail[start + len..]].concat()
    }
}
