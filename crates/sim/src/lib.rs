//! A simulator.

#[cfg(test)]
mod protocol;
