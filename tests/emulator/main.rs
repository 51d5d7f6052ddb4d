//! What the product does, seen from outside: on the emulator, with IAM enforced.

mod pipeline;
