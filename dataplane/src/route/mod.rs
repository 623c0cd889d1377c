//! Where packets go: routes, and the neighbours that next hops are.

pub mod fib;
pub mod neighbour;
pub mod recent;
