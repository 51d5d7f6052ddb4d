//! Looks by ID that are asked for within a moment, in one call: where AWS describes many things at once, a hundred looks in an
//! account and region cost what one does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::call::count;
use super::{Error, ErrorKind, Result};

/// So long the first look waits for others.
const MOMENT: Duration = Duration::from_millis(5);
/// So many are asked for in one call: EC2 takes 200 values for a filter
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html>), and what has many parts has them on few pages.
const MOST: usize = 100;

/// Collects looks of one kind, of one session.
#[derive(Debug)]
pub struct Together<T> {
    action: &'static str,
    gathering: Mutex<Option<Gathering<T>>>,
}

/// What was found, by ID; nothing where there was only one look.
type Found<T> = Option<Arc<HashMap<String, T>>>;
type Answer<T> = Shared<BoxFuture<'static, Result<Found<T>>>>;

/// Looks that go together.
#[derive(Debug)]
struct Gathering<T> {
    ids: Arc<Mutex<Ids>>,
    answer: Answer<T>,
}

#[derive(Debug)]
enum Ids {
    Open {
        ids: Vec<String>,
        /// How many looks are for them: several can be for one.
        looks: usize,
    },
    Asked,
}

impl<T: Clone + Send + Sync + 'static> Together<T> {
    /// Collects looks that `action` answers.
    pub fn new(action: &'static str) -> Self {
        Self { action, gathering: Mutex::default() }
    }

    /// What is of `id`, by one call for all that are asked for at this moment. None where no other is asked for, where the
    /// answer has nothing of it, or where AWS refuses the call for what one of them is: then it says more to whoever asks for it
    /// alone, and a wrong ID costs the others no more than that.
    ///
    /// # Errors
    ///
    /// The call failed for a reason that is none of theirs.
    pub async fn find<F>(&self, id: &str, ask: impl FnOnce(Vec<String>) -> F + Send + 'static) -> Result<Option<T>>
    where
        F: Future<Output = Result<HashMap<String, T>>> + Send,
    {
        let answer = self.join(id, ask);
        let Some(found) = answer.await? else { return Ok(None) };
        count(self.action);
        Ok(found.get(id).cloned())
    }

    fn join<F>(&self, id: &str, ask: impl FnOnce(Vec<String>) -> F + Send + 'static) -> Answer<T>
    where
        F: Future<Output = Result<HashMap<String, T>>> + Send,
    {
        let mut gathering = lock(&self.gathering);
        if let Some(gathering) = gathering.as_ref().filter(|gathering| gathering.takes(id)) {
            return gathering.answer.clone();
        }
        let ids = Arc::new(Mutex::new(Ids::Open { ids: vec![id.to_owned()], looks: 1 }));
        let asked = Arc::clone(&ids);
        let answer = async move {
            tokio::time::sleep(MOMENT).await;
            let ids = std::mem::replace(&mut *lock(&asked), Ids::Asked);
            match ids {
                Ids::Open { ids, looks: 2.. } => match ask(ids).await {
                    Err(error) if is_of_one(&error) => Ok(None),
                    found => found.map(|found| Some(Arc::new(found))),
                },
                Ids::Open { .. } | Ids::Asked => Ok(None),
            }
        };
        let answer = answer.boxed().shared();
        *gathering = Some(Gathering { ids, answer: answer.clone() });
        answer
    }
}

/// Whether AWS may refuse a call so for what one of its IDs is.
fn is_of_one(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Gone | ErrorKind::InvalidFinding | ErrorKind::Permanent)
}

impl<T> Gathering<T> {
    /// Whether `id` is asked for, too.
    fn takes(&self, id: &str) -> bool {
        match &mut *lock(&self.ids) {
            Ids::Open { ids, looks } => {
                let is_new = ids.iter().all(|of| of != id);
                let has_room = !is_new || ids.len() < MOST;
                if has_room {
                    *looks += 1;
                    ids.extend(is_new.then(|| id.to_owned()));
                }
                has_room
            }
            Ids::Asked => false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::aws::counted;

    const ACTION: &str = "ec2:DescribeVpcs";

    /// AWS, which knows no ID that begins with `bad`; and what it was asked for.
    #[derive(Debug, Clone, Default)]
    struct Aws(Arc<Mutex<Vec<Vec<String>>>>);

    impl Aws {
        async fn find(&self, together: &Together<String>, id: &str) -> Result<Option<String>> {
            let aws = self.clone();
            let ask = |ids: Vec<String>| async move {
                lock(&aws.0).push(ids.clone());
                tokio::time::sleep(Duration::from_millis(40)).await;
                let known = ids.into_iter().filter(|id| !id.starts_with("bad"));
                Ok(known.map(|id| (id.clone(), format!("of {id}"))).collect())
            };
            together.find(id, ask).await
        }

        fn sizes(&self) -> Vec<usize> {
            lock(&self.0).iter().map(Vec::len).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_at_one_moment_is_one_call_of_no_more_than_aws_takes() {
        let (aws, together) = (Aws::default(), Together::new(ACTION));
        let ids: Vec<_> = (0..250).map(|number| format!("vpc-{number}")).collect();
        let found = join_all(ids.iter().map(|id| counted(aws.find(&together, id)))).await;
        for (id, (found, calls)) in ids.iter().zip(found) {
            assert_eq!(found.unwrap(), Some(format!("of {id}")));
            assert_eq!(calls, [ACTION], "each look knows what it rests on");
        }
        assert_eq!(aws.sizes(), [100, 100, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_later_is_asked_for_later() {
        let (aws, together) = (Aws::default(), Together::new(ACTION));
        let late = |id: &'static str, after| {
            let (aws, together) = (&aws, &together);
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                aws.find(together, id).await.unwrap()
            }
        };
        join_all([late("a", 0), late("b", 4), late("c", 6), late("d", 7), late("a", 8)]).await;
        assert_eq!(*lock(&aws.0), [vec!["a", "b"], vec!["c", "d", "a"]], "an answer from before serves nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_and_a_bad_one_are_left_to_who_asks_and_cost_the_others_nothing() {
        let (aws, together) = (Aws::default(), Together::new(ACTION));
        let (found, calls) = counted(aws.find(&together, "a")).await;
        assert_eq!((found.unwrap(), calls, aws.sizes().len()), (None, vec![], 0));
        let found = join_all(["a", "bad", "b", "a"].map(|id| aws.find(&together, id))).await;
        let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, [Some("of a".to_owned()), None, Some("of b".to_owned()), Some("of a".to_owned())]);
        let found = join_all(["a", "a"].map(|id| aws.find(&together, id))).await;
        assert!(found.into_iter().all(|found| found.unwrap().as_deref() == Some("of a")));
        assert_eq!(aws.sizes(), [3, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_fails_for_all_unless_it_may_be_for_one_of_them() {
        let together = Together::<String>::new(ACTION);
        for (kind, fails) in [
            (ErrorKind::AccessDenied, true),
            (ErrorKind::Throttled, true),
            (ErrorKind::Transient, true),
            (ErrorKind::Permanent, false),
            (ErrorKind::Gone, false),
        ] {
            let ask = move |_| async move { Err(Error::new(ACTION, kind, "no".to_owned())) };
            for found in join_all(["a", "b"].map(|id| together.find(id, ask))).await {
                assert_eq!(found.map_err(|error| error.kind), if fails { Err(kind) } else { Ok(None) });
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn that_the_first_gives_up_costs_the_others_nothing() {
        let (aws, together) = (Aws::default(), Together::new(ACTION));
        for gives_up_after in [1, 20] {
            let first = tokio::time::timeout(Duration::from_millis(gives_up_after), aws.find(&together, "a"));
            let (first, second) = tokio::join!(first, aws.find(&together, "b"));
            assert_eq!((first.is_err(), second.unwrap().as_deref()), (true, Some("of b")));
        }
    }
}
