//! The poller Lambda.
fn main() -> Result<(), poller::Error> {
    poller::run()
}
