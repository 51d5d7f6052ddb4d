//! Slots, by numbers and in a folder.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn turns(place: u32, of: u32) -> Turns {
    Turns::new(Records::Folder("/nonexistent".into()), Place::new(place, of).unwrap())
}

proptest! {
    #[test]
    fn what_is_free_is_nobody_elses_and_far_enough_apart(
        millis in 0..4_000_000_000_000_i64, (place, of) in (1..40_u32).prop_flat_map(|of| (0..of, Just(of))),
        gap in 0..5_000_u64, taken in prop::collection::btree_set(0..200_i64, 0..100),
    ) {
        let (turns, now) = (turns(place, of), at(millis));
        let first = turns.first_from(now);
        prop_assert!((0..SLOT * i64::from(of)).contains(&(turns.begins(Slot(first)) - millis)));
        let taken: BTreeSet<_> = taken.into_iter().map(|number| Slot(first + number)).collect();
        let free = turns.free(&taken, now, Duration::from_millis(gap));
        prop_assert_eq!(free.len(), MOST_SLOTS);
        prop_assert!(free.iter().all(|slot| !taken.contains(slot) && turns.until(*slot, now).is_some()));
        let begins: Vec<_> = free.iter().map(|slot| turns.begins(*slot)).collect();
        prop_assert!(begins.windows(2).all(|two| two[1] - two[0] >= SLOT.max(gap.try_into().unwrap())), "{:?}", begins);
        let places = begins.iter().map(|begins| (begins / SLOT).rem_euclid(i64::from(of)));
        prop_assert!(places.into_iter().all(|of| of == i64::from(place)), "{:?}", begins);
        // What is kept is never taken, and only one rule has it.
        for rules in [1, 3, 8] {
            let kept: BTreeSet<_> = (0..rules).map(|rule| turns.kept_for(Place::new(rule, rules).unwrap(), now, None)).collect();
            prop_assert_eq!(kept.len(), usize::try_from(rules).unwrap());
            prop_assert!(kept.iter().all(|slot| slot.0.rem_euclid(KEPT) == KEPT - 1 && slot.0 >= first));
            prop_assert!(free.iter().all(|slot| !kept.contains(slot)));
            let (rule, last) = (Place::new(0, rules).unwrap(), kept.first().copied());
            prop_assert!(turns.kept_for(rule, now, last) > last.unwrap());
        }
    }
}

#[test]
fn a_slot_is_used_at_its_beginning_or_not_at_all() {
    let turns = turns(0, 1);
    let slot = Slot(10);
    assert_eq!(turns.until(slot, at(10 * SLOT - 300)), Some(Duration::from_millis(300)));
    assert_eq!(turns.until(slot, at(10 * SLOT + LATE)), Some(Duration::ZERO));
    assert_eq!(turns.until(slot, at(10 * SLOT + LATE + 1)), None);
    // The fifth request is a second after the first, however late that was.
    const { assert!(4 * SLOT - LATE >= 1_000) };
}

#[tokio::test]
async fn no_two_take_the_same_slot_and_what_is_past_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let turns = Turns::new(Records::Folder(folder.path().into()), Place::ALONE);
    let taken = futures::future::try_join_all((0..20).map(|_| turns.take(Duration::ZERO))).await.unwrap();
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 20 * MOST_SLOTS);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
    let stored = turns.records.get(TURNS_KEY).await.unwrap();
    let mut stored: Taken = read(&stored).unwrap();
    // Long ago, and so far off that no Lambda waits for it.
    stored.slots = [Slot(7), Slot(i64::MAX), Slot(i64::MIN)].into();
    let bytes = serde_json::to_vec(&stored).unwrap();
    std::fs::write(folder.path().join(TURNS_KEY), bytes).unwrap();
    let slots = turns.take(Duration::ZERO).await.unwrap();
    let stored: Taken = read(&turns.records.get(TURNS_KEY).await.unwrap()).unwrap();
    assert_eq!(stored.slots, slots.into_iter().collect());
}

#[tokio::test]
async fn turns_that_cannot_be_read_are_an_error_that_names_them() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(TURNS_KEY), "{}").unwrap();
    let turns = Turns::new(Records::Folder(folder.path().into()), Place::ALONE);
    let error = turns.take(Duration::ZERO).await.unwrap_err().to_string();
    assert!(error.starts_with("netskope-turns.json: "), "{error}");
}

#[test]
fn there_are_only_places_that_come() {
    for (place, of) in [(0, 0), (1, 1), (8, 8), (0, MOST + 1), (u32::MAX, u32::MAX)] {
        assert_eq!(Place::new(place, of), Err(InvalidPlace { place, of }));
    }
    let read = |json: &str| serde_json::from_str::<Place>(json).map_err(|error| error.to_string());
    assert_eq!(read(r#"{"place": 7, "of": 8}"#), Ok(Place { place: 7, of: 8 }));
    for wrong in
        [r#"{"place": 8, "of": 8}"#, r#"{"place": -1, "of": 8}"#, r#"{"place": 1}"#, r#"{"place":0,"of":1,"x":1}"#]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
