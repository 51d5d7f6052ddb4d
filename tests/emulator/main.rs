//! What the product does, seen from outside: on the emulator, with IAM enforced.

mod command_line;
mod crash;
mod pipeline;
mod readme;
mod s3_public_bucket;
