//! How pollers that know nothing of each other share a tenant's rate: each has turns of its own, by the clock, and sends a
//! request only in one of them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

/// How long a turn is: in each, one request is sent. The API accepts four a second.
pub(crate) const TURN: Duration = Duration::from_millis(250);
/// The most pollers that share a tenant. So many have a turn every four minutes.
const MOST: u32 = 1_000;

/// Which turns a poller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Turns {
    place: u32,
    of: u32,
}

/// Why turns cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no turn {place} of {of}: turns are counted from 0, and 1 to {MOST} take part")]
pub struct InvalidTurns {
    /// The turn.
    pub place: u32,
    /// How many there are.
    pub of: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    place: u32,
    of: u32,
}

impl TryFrom<Unchecked> for Turns {
    type Error = InvalidTurns;

    fn try_from(Unchecked { place, of }: Unchecked) -> Result<Self, InvalidTurns> {
        Self::new(place, of)
    }
}

impl Turns {
    /// The turns of the poller `place`, from 0, of so many.
    ///
    /// # Errors
    ///
    /// There is no such place, or there are too many.
    pub fn new(place: u32, of: u32) -> Result<Self, InvalidTurns> {
        if (1..=MOST).contains(&of) && place < of { Ok(Self { place, of }) } else { Err(InvalidTurns { place, of }) }
    }

    /// How long it is from `now` to a turn: nothing in one.
    pub(crate) fn wait(self, now: Timestamp) -> Duration {
        let turn = TURN.as_millis();
        let round = turn * u128::from(self.of);
        let since_1970 = u128::try_from(now.as_millisecond()).unwrap_or_default() % round;
        let (begins, ends) = (turn * u128::from(self.place), turn * u128::from(self.place + 1));
        if (begins..ends).contains(&since_1970) {
            return Duration::ZERO;
        }
        let wait = (begins + round - since_1970) % round;
        Duration::from_millis(u64::try_from(wait).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whoever_has_waited_is_in_a_turn_that_nobody_else_has(millis in 0..4_000_000_000_000_i64, of in 1..50_u32) {
            let now = Timestamp::from_millisecond(millis).unwrap();
            let waited = |place| Turns::new(place, of).unwrap().wait(now);
            for place in 0..of {
                let wait = waited(place);
                prop_assert!(wait < TURN * of);
                let then = now + jiff::SignedDuration::try_from(wait).unwrap();
                let in_turn: Vec<_> = (0..of).filter(|place| Turns::new(*place, of).unwrap().wait(then).is_zero()).collect();
                prop_assert_eq!(in_turn, [place]);
            }
        }
    }

    #[test]
    fn there_are_only_turns_that_come() {
        for (place, of) in [(0, 0), (1, 1), (8, 8), (0, MOST + 1), (u32::MAX, u32::MAX)] {
            assert_eq!(Turns::new(place, of), Err(InvalidTurns { place, of }));
        }
        let read = |json: &str| serde_json::from_str::<Turns>(json).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"place": 7, "of": 8}"#), Ok(Turns { place: 7, of: 8 }));
        for wrong in
            [r#"{"place": 8, "of": 8}"#, r#"{"place": -1, "of": 8}"#, r#"{"place": 1}"#, r#"{"place":0,"of":1,"x":1}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Turns::new(0, 3).unwrap().wait(Timestamp::MIN), Duration::ZERO, "no clock shows that");
    }
}
