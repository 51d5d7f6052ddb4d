//! What time it is, and chance. Whatever asks for either asks here, so that a simulation can answer: with a clock that
//! is a few seconds off, and with numbers that follow from a seed.
//!
//! How much time has passed is Tokio's to say (`tokio::time::Instant`), whose clock can be paused.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// Answers in place of the machine.
pub trait Surroundings: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Sixteen bytes of chance.
    fn random(&self) -> [u8; 16];
}

tokio::task_local! {
    static SURROUNDINGS: Arc<dyn Surroundings>;
}

/// Runs `work` with these surroundings. What it spawns is without them.
pub async fn within<F: Future>(surroundings: Arc<dyn Surroundings>, work: F) -> F::Output {
    SURROUNDINGS.scope(surroundings, work).await
}

/// What time it is.
#[must_use]
pub fn now() -> Timestamp {
    SURROUNDINGS.try_with(|surroundings| surroundings.now()).unwrap_or_else(|_| Timestamp::now())
}

/// What time it is, as the standard library says it.
#[must_use]
pub fn system_time() -> SystemTime {
    // Every time that a clock shows can be one of the standard library.
    SystemTime::try_from(now()).unwrap_or_else(|_| SystemTime::now())
}

/// A UUID of chance alone (version 4).
#[must_use]
pub fn uuid_v4() -> Uuid {
    let random = SURROUNDINGS.try_with(|surroundings| surroundings.random());
    random.map_or_else(|_| Uuid::new_v4(), |random| Builder::from_random_bytes(random).into_uuid())
}

/// A UUID that begins with the time (version 7), so that those of later sort after it.
#[must_use]
pub fn uuid_v7() -> Uuid {
    let made = SURROUNDINGS.try_with(|surroundings| {
        let [random @ .., _, _, _, _, _, _] = surroundings.random();
        let millis = u64::try_from(surroundings.now().as_millisecond()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    });
    made.unwrap_or_else(|_| Uuid::now_v7())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Surroundings for Fixed {
        fn now(&self) -> Timestamp {
            "2026-03-01T12:00:00Z".parse().unwrap()
        }

        fn random(&self) -> [u8; 16] {
            [7; 16]
        }
    }

    #[tokio::test]
    async fn surroundings_answer_in_place_of_the_machine() {
        let made = within(Arc::new(Fixed), async { (now(), system_time(), uuid_v4(), uuid_v7()) }).await;
        let again = within(Arc::new(Fixed), async { (now(), system_time(), uuid_v4(), uuid_v7()) }).await;
        assert_eq!(made, again);
        assert_eq!(made.0, Fixed.now());
        assert_eq!((made.2.get_version_num(), made.3.get_version_num()), (4, 7));
        let (seconds, _) = made.3.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, u64::try_from(Fixed.now().as_second()).unwrap());
        assert!(now() > Fixed.now(), "the machine answers where nobody else does");
        assert_ne!(uuid_v4(), uuid_v4());
    }
}
