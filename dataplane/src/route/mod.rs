//! Where packets go: routes, and the stations that next hops are.

pub mod fib;
pub mod neighbour;
pub mod recent;
