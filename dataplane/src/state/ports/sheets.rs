//! Sheets: small records of 64-bit words, allocated on demand from memory that is not touched before.
//!
//! A sheet is all zero when it is taken, and when it is given back. The control thread makes the memory. A sheet that was
//! given back is taken again before a new one, so that only as many sheets are touched as were in use at once.

/// Stands for "no sheet".
pub const NO_SHEET: u32 = 0;
/// Sheets of a piece of memory.
pub const SHEETS_PER_PIECE: usize = 4096;

/// Sheets of `WORDS` words each.
pub struct Sheets<const WORDS: usize> {
    pieces: Vec<Box<[u64]>>,
    /// Sheets that were ever in use; their numbers begin with 1.
    touched: u32,
    /// The first sheet of the list of those given back. The last word of each has the number of the next one.
    free: u32,
    len: usize,
}

/// Makes the pieces of memory that are missing for `count` sheets, where `had` pieces exist already. There are fewer pieces
/// if the system has no more memory.
pub fn pieces<const WORDS: usize>(had: usize, count: usize) -> impl Iterator<Item = Box<[u64]>> {
    let wanted = count.div_ceil(SHEETS_PER_PIECE).saturating_sub(had);
    (0..wanted).map_while(|_| mem::zeroed(SHEETS_PER_PIECE * WORDS))
}

impl<const WORDS: usize> Sheets<WORDS> {
    /// No sheets, and no memory for any.
    pub fn new() -> Sheets<WORDS> {
        Sheets { pieces: Vec::new(), touched: 0, free: NO_SHEET, len: 0 }
    }

    /// Adds memory that [`pieces`] made.
    pub fn extend(&mut self, pieces: Vec<Box<[u64]>>) {
        self.pieces.extend(pieces);
    }

    /// A sheet by its number.
    #[inline]
    pub fn at(&self, number: u32) -> Option<&[u64; WORDS]> {
        let place = number.checked_sub(1)? as usize;
        let piece = self.pieces.get(place / SHEETS_PER_PIECE)?;
        piece.as_chunks().0.get(place % SHEETS_PER_PIECE)
    }

    /// A sheet by its number, to be written.
    #[inline]
    pub fn at_mut(&mut self, number: u32) -> Option<&mut [u64; WORDS]> {
        let place = number.checked_sub(1)? as usize;
        let piece = self.pieces.get_mut(place / SHEETS_PER_PIECE)?;
        piece.as_chunks_mut().0.get_mut(place % SHEETS_PER_PIECE)
    }

    /// Takes a sheet of zeros. None when there is no room.
    pub fn take(&mut self) -> Option<u32> {
        let number = self.free;
        let number = if let Some(sheet) = self.at_mut(number) {
            let next = std::mem::take(&mut sheet[WORDS - 1]);
            self.free = next as u32;
            number
        } else {
            self.at(self.touched + 1)?;
            self.touched += 1;
            self.touched
        };
        self.len += 1;
        Some(number)
    }

    /// Gives a sheet back. The caller has set all its words to zero.
    pub fn give_back(&mut self, number: u32) {
        let next = u64::from(self.free);
        let Some(sheet) = self.at_mut(number) else { return };
        debug_assert!(sheet.iter().all(|&word| word == 0), "a sheet is given back as it was taken");
        sheet[WORDS - 1] = next;
        self.free = number;
        self.len -= 1;
    }

    /// Whether no further sheet can be taken.
    pub fn is_full(&self) -> bool {
        self.free == NO_SHEET && self.at(self.touched + 1).is_none()
    }

    /// Sheets in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All sheets that were ever in use, with their numbers.
    pub fn touched(&self) -> impl Iterator<Item = &[u64; WORDS]> {
        (1..=self.touched).filter_map(|number| self.at(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_zero_and_those_given_back_come_first() {
        let mut sheets = Sheets::<3>::new();
        assert!(sheets.is_full() && sheets.take().is_none());
        sheets.extend(pieces::<3>(0, 1).collect());
        let all: Vec<u32> = std::iter::from_fn(|| sheets.take()).collect();
        assert_eq!((all.len(), sheets.len(), sheets.is_full()), (SHEETS_PER_PIECE, SHEETS_PER_PIECE, true));
        for &number in &all[..2] {
            *sheets.at_mut(number).unwrap() = [7; 3];
            *sheets.at_mut(number).unwrap() = [0; 3];
            sheets.give_back(number);
        }
        assert_eq!((sheets.take(), sheets.take(), sheets.take()), (Some(all[1]), Some(all[0]), None));
        assert_eq!((sheets.at(all[1]), sheets.at(NO_SHEET)), (Some(&[0; 3]), None));
        sheets.extend(pieces::<3>(1, SHEETS_PER_PIECE + 1).collect());
        assert_eq!(sheets.take(), Some(SHEETS_PER_PIECE as u32 + 1));
        assert_eq!(pieces::<3>(2, SHEETS_PER_PIECE + 1).count(), 0, "there is room for those");
    }
}
