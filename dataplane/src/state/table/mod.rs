//! Tables of fixed size: records by index, found by keys, ended by time.

pub mod index;
pub mod keyed;
pub mod queue;
pub mod share;
pub mod slots;
pub mod timer;
