//! How many calls are under way in target accounts: a number in all, and in one account's region, by API, as many as AWS
//! takes.
//!
//! AWS throttles by account, region and API, so each of these has a window of its own, and one that is throttled makes no
//! other wait. A window begins with what is safe, doubles while nothing is throttled, is halved where AWS says "slower", and
//! grows by one at a time until it has been calm for a while: additive increase, multiplicative decrease
//! (<https://www.rfc-editor.org/rfc/rfc5681#section-3.1>). So two processes in one account come to share what it takes.
//!
//! A read waits for a permit right before it is sent. A write must not: whether it may be made was looked at before, so who
//! writes gets a permit first, and looks after that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{AccountId, Error, ErrorKind, Region, Result};

/// So long after it was throttled a window grows by one at a time: a bucket of 50 tokens that gets five a second, as EC2 has
/// for its writes, is full again by then. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
const CALM: Duration = Duration::from_secs(10);
/// So many windows are kept: those of a batch in many accounts. Who has been idle begins anew where there are more.
const MOST_WINDOWS: usize = 10_000;
/// So many calls under way are throttled together: they halve their window once.
const TOGETHER: Duration = Duration::from_secs(1);

tokio::task_local! {
    static SCOPE: Scope;
}

/// How many calls are let be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// In all accounts together.
    pub calls: usize,
    /// Of one API in an account's region, before anything is known of it.
    pub at_first: usize,
    /// Of one API in an account's region, however well it goes.
    pub of_account: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { calls: 64, at_first: 8, of_account: 64 }
    }
}

/// The permits of calls, and what is known of how many AWS takes. The runs of a process can share them.
#[derive(Debug)]
pub struct Concurrency {
    most: Most,
    calls: Semaphore,
    windows: Mutex<HashMap<(AccountId, Region, Of), Arc<Window>>>,
}

/// What has a window of its own in an account's region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Of {
    Reads(String),
    /// A rule writes by one API, or by several that AWS throttles together.
    Writes,
}

/// Whose calls are made.
#[derive(Debug, Clone)]
enum Scope {
    /// Each call waits for a permit.
    Each(Arc<Concurrency>, AccountId, Region),
    /// They have a permit.
    Permitted(Arc<Concurrency>, Arc<Window>),
    /// They are no account's.
    Nobodys,
}

/// As many as AWS takes.
#[derive(Debug)]
struct Window {
    most: usize,
    free: Arc<Semaphore>,
    width: Mutex<Width>,
}

#[derive(Debug)]
struct Width {
    is: usize,
    /// So many permits more are out: they end with whoever has them.
    too_many: usize,
    /// So many have gone well since it last grew.
    went_well: usize,
    halved: Option<Instant>,
}

/// The right to write in an account's region.
#[derive(Debug)]
pub struct WritePermit {
    concurrency: Arc<Concurrency>,
    taken: Taken,
}

#[derive(Debug)]
struct Taken {
    window: Arc<Window>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Concurrency {
    /// Permits, of which so many are out at once; at least one.
    pub fn new(most: Most) -> Arc<Self> {
        let Most { calls, at_first, of_account } = most;
        let most = Most { calls: calls.max(1), at_first: at_first.clamp(1, of_account.max(1)), of_account };
        Arc::new(Self { calls: Semaphore::new(most.calls), windows: Mutex::default(), most })
    }

    /// Makes each call of `work` wait for a permit in an account's region, unless they have one already.
    pub async fn each<T>(self: &Arc<Self>, account: &AccountId, region: &Region, work: impl Future<Output = T>) -> T {
        // Futures of calls are large, and a scope has its own beside it.
        let work = Box::pin(work);
        if SCOPE.try_with(|scope| matches!(scope, Scope::Permitted(..))).unwrap_or(false) {
            return work.await;
        }
        SCOPE.scope(Scope::Each(Arc::clone(self), account.clone(), region.clone()), work).await
    }

    /// Waits for a permit to write in an account's region.
    pub async fn permit_to_write(self: &Arc<Self>, account: &AccountId, region: &Region) -> WritePermit {
        let window = self.window(account, region, Of::Writes);
        WritePermit { concurrency: Arc::clone(self), taken: window.take().await }
    }

    /// Forgets how many writes AWS takes: each run begins with few, so that a breaker can stop one whose writes fail.
    pub fn begin_run(&self) {
        lock(&self.windows).retain(|(_, _, of), _| *of != Of::Writes);
    }

    fn window(&self, account: &AccountId, region: &Region, of: Of) -> Arc<Window> {
        let (mut windows, key) = (lock(&self.windows), (account.clone(), region.clone(), of));
        if windows.len() >= MOST_WINDOWS && !windows.contains_key(&key) {
            windows.retain(|_, window| Arc::strong_count(window) > 1);
        }
        Arc::clone(windows.entry(key).or_insert_with(|| Window::new(self.most)))
    }
}

impl WritePermit {
    /// Does `work`, whose calls wait for no other permit.
    pub async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        let scope = Scope::Permitted(Arc::clone(&self.concurrency), Arc::clone(&self.taken.window));
        SCOPE.scope(scope, Box::pin(work)).await
    }

    /// Ends it; `went_well` where AWS has taken what was written.
    pub fn end(self, went_well: bool) {
        if went_well {
            self.taken.window.went_well();
        }
    }
}

/// Does `work`, whose calls are of our own records and wait for no account's permit.
pub(crate) async fn of_no_account<T>(work: impl Future<Output = T>) -> T {
    SCOPE.scope(Scope::Nobodys, Box::pin(work)).await
}

/// Makes a call once it has a permit.
pub(super) async fn permitted<T>(action: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
    let request = Box::pin(request);
    let Ok(scope) = SCOPE.try_with(Clone::clone) else { return request.await };
    let (concurrency, taken, window) = match scope {
        Scope::Each(concurrency, account, region) => {
            let taken = concurrency.window(&account, &region, Of::Reads(action.to_owned())).take().await;
            let window = Arc::clone(&taken.window);
            (concurrency, Some(taken), window)
        }
        Scope::Permitted(concurrency, window) => (concurrency, None, window),
        Scope::Nobodys => return request.await,
    };
    // It is never closed, so this waits and cannot fail.
    let _call = concurrency.calls.acquire().await;
    let answer = SCOPE.scope(Scope::Permitted(Arc::clone(&concurrency), Arc::clone(&window)), request).await;
    match &answer {
        Err(Error { kind: ErrorKind::Throttled, .. }) => window.slower(),
        Err(error) if !error.is_answer() => {}
        // That there is no such thing is what many a look asks for.
        _ if taken.is_some() => window.went_well(),
        _ => {}
    }
    answer
}

/// AWS has answered the call that is made with "slower". The SDK tries it again by itself.
pub(super) fn slower() {
    let _ = SCOPE.try_with(|scope| {
        if let Scope::Permitted(_, window) = scope {
            window.slower();
        }
    });
}

impl Window {
    fn new(Most { at_first, of_account, .. }: Most) -> Arc<Self> {
        let width = Width { is: at_first, too_many: 0, went_well: 0, halved: None };
        Arc::new(Self { most: of_account, free: Arc::new(Semaphore::new(at_first)), width: Mutex::new(width) })
    }

    async fn take(self: Arc<Self>) -> Taken {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        Taken { window: self, permit }
    }

    fn went_well(&self) {
        let mut width = lock(&self.width);
        width.went_well += 1;
        if width.went_well < width.is {
            return;
        }
        width.went_well = 0;
        let is_calm = width.halved.is_none_or(|halved| halved.elapsed() >= CALM);
        let by = if is_calm { width.is } else { 1 };
        let by = by.min(self.most.saturating_sub(width.is));
        width.is += by;
        let kept = by.min(width.too_many);
        width.too_many -= kept;
        self.free.add_permits(by - kept);
    }

    fn slower(&self) {
        let mut width = lock(&self.width);
        if width.halved.is_some_and(|halved| halved.elapsed() < TOGETHER) {
            return;
        }
        (width.halved, width.went_well) = (Some(Instant::now()), 0);
        let by = width.is / 2;
        width.is -= by;
        width.too_many += by - self.free.forget_permits(by);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut width = lock(&self.window.width);
        if width.too_many > 0
            && let Some(permit) = self.permit.take()
        {
            width.too_many -= 1;
            permit.forget();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const READ: &str = "ec2:DescribeVpcs";
    const MOST: Most = Most { calls: 20, at_first: 4, of_account: 16 };

    /// How many calls were under way at once.
    #[derive(Debug, Default)]
    struct UnderWay {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl UnderWay {
        async fn call(&self, answer: Result<()>) -> Result<()> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(40)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            answer
        }
    }

    fn account(number: usize) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    fn throttled() -> Error {
        Error::new(READ, ErrorKind::Throttled, "RequestLimitExceeded".to_owned())
    }

    /// Reads so often in an account; gives how many were under way at most.
    async fn read(
        concurrency: &Arc<Concurrency>,
        number: usize,
        action: &str,
        times: usize,
        answer: Result<()>,
    ) -> usize {
        let (under_way, region, account) = (UnderWay::default(), Region::code("eu-west-1"), account(number));
        let one = || concurrency.each(&account, &region, permitted(action, under_way.call(answer.clone())));
        futures::future::join_all((0..times).map(|_| one())).await;
        under_way.most.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_doubles_while_all_goes_well_up_to_its_most() {
        let concurrency = Concurrency::new(MOST);
        // One call more than may be under way shows the bound.
        assert_eq!(read(&concurrency, 1, READ, 5, Ok(())).await, 4);
        assert_eq!(read(&concurrency, 1, READ, 9, Ok(())).await, 8);
        assert_eq!(read(&concurrency, 1, READ, 100, Ok(())).await, 16);
        assert_eq!(read(&concurrency, 1, "ec2:DescribeFlowLogs", 4, Ok(())).await, 4, "another API is not known yet");
        assert_eq!(read(&concurrency, 2, READ, 4, Ok(())).await, 4, "nor another account");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_throttled_goes_slower_alone_and_grows_by_one_until_it_is_calm() {
        let concurrency = Concurrency::new(MOST);
        assert_eq!(read(&concurrency, 1, READ, 100, Ok(())).await, 16);
        // Those that are under way together halve it once.
        read(&concurrency, 1, READ, 16, Err(throttled())).await;
        assert_eq!(read(&concurrency, 1, READ, 9, Ok(())).await, 8);
        assert_eq!(read(&concurrency, 1, READ, 10, Ok(())).await, 9);
        assert_eq!(read(&concurrency, 2, READ, 100, Ok(())).await, 16, "another account was made to wait");
        tokio::time::advance(CALM).await;
        read(&concurrency, 1, READ, 10, Ok(())).await;
        assert_eq!(read(&concurrency, 1, READ, 16, Ok(())).await, 16, "it grew by one although all has been calm");
        // At the last one it stays.
        for _ in 0..10 {
            tokio::time::advance(TOGETHER).await;
            read(&concurrency, 1, READ, 1, Err(throttled())).await;
        }
        assert_eq!(read(&concurrency, 1, READ, 2, Ok(())).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_says_no_lets_a_window_grow_and_trouble_does_nothing() {
        let said = |kind, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            Error { code, ..Error::new(READ, kind, "no".to_owned()) }
        };
        let answers = [
            (ErrorKind::Gone, "InvalidVpcID.NotFound", 16),
            (ErrorKind::Permanent, "NoSuchWebsiteConfiguration", 16),
            (ErrorKind::AccessDenied, "UnauthorizedOperation", 16),
            (ErrorKind::Transient, "InternalError", 4),
            (ErrorKind::Transient, "", 4),
            (ErrorKind::Passing, "OperationAborted", 4),
            (ErrorKind::OutOfReach, "", 4),
        ];
        for (number, (kind, code, most)) in answers.into_iter().enumerate() {
            let concurrency = Concurrency::new(MOST);
            read(&concurrency, number, READ, 100, Err(said(kind, code))).await;
            assert_eq!(read(&concurrency, number, READ, 100, Err(said(kind, code))).await, most, "{kind:?} {code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_windows_those_that_nobody_uses_are_forgotten() {
        let (concurrency, region, first) = (Concurrency::new(MOST), Region::code("eu-west-1"), account(0));
        let one = concurrency.each(&first, &region, permitted(READ, std::future::pending::<Result<()>>()));
        let work = async {
            for number in 1..=MOST_WINDOWS {
                read(&concurrency, number, READ, 1, Ok(())).await;
            }
            let windows = lock(&concurrency.windows);
            let of = |number| windows.contains_key(&(account(number), region.clone(), Of::Reads(READ.to_owned())));
            assert!(windows.len() < MOST_WINDOWS && of(0) && of(MOST_WINDOWS) && !of(1), "{}", windows.len());
        };
        tokio::select! {
            biased;
            _ = one => unreachable!(),
            () = work => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_all_accounts_together_there_are_no_more_than_there_may_be() {
        let (concurrency, under_way, region) = (Concurrency::new(MOST), UnderWay::default(), Region::code("eu-west-1"));
        let accounts: Vec<_> = (0..100).map(account).collect();
        let one = |account| concurrency.each(account, &region, permitted(READ, under_way.call(Ok(()))));
        futures::future::join_all(accounts.iter().map(one)).await;
        assert_eq!(under_way.most.into_inner(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_has_a_permit_before_and_waits_for_no_other() {
        let (concurrency, account, region) = (Concurrency::new(MOST), account(1), Region::code("eu-west-1"));
        let (under_way, wrote) = (UnderWay::default(), AtomicUsize::new(0));
        let write = || async {
            let permit = concurrency.permit_to_write(&account, &region).await;
            // A look of its own, by an API of which all permits are out, and then the write.
            let look = concurrency.each(&account, &region, permitted(READ, under_way.call(Ok(()))));
            permit.of(look).await.unwrap();
            wrote.fetch_add(1, Ordering::SeqCst);
            permit.end(true);
        };
        let reads = || concurrency.each(&account, &region, permitted(READ, std::future::pending::<Result<()>>()));
        let hang = futures::future::join_all((0..MOST.at_first).map(|_| reads()));
        tokio::select! {
            biased;
            _ = hang => unreachable!(),
            _ = futures::future::join_all((0..100).map(|_| write())) => {}
        }
        assert_eq!((wrote.into_inner(), under_way.most.into_inner()), (100, 16));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_slower_that_the_sdk_keeps_to_itself_counts_and_of_our_own_records_none_does() {
        let (concurrency, account, region) = (Concurrency::new(MOST), account(1), Region::code("eu-west-1"));
        let told = |aside| async move {
            if aside {
                of_no_account(async { slower() }).await
            } else {
                slower()
            }
            Ok(())
        };
        concurrency.each(&account, &region, permitted(READ, told(true))).await.unwrap();
        assert_eq!(read(&concurrency, 1, READ, 4, Ok(())).await, 4);
        concurrency.each(&account, &region, permitted(READ, told(false))).await.unwrap();
        assert!(read(&concurrency, 1, READ, 5, Ok(())).await < 5);
        // Outside of a run there are no permits.
        slower();
        permitted(READ, async { Ok(()) }).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_dropped_where_it_waits_or_works_is_free_again() {
        let (concurrency, account, region) = (Concurrency::new(MOST), account(1), Region::code("eu-west-1"));
        for _ in 0..10 {
            let hang = || concurrency.each(&account, &region, permitted(READ, std::future::pending::<Result<()>>()));
            let hang = futures::future::join_all((0..100).map(|_| hang()));
            assert!(tokio::time::timeout(Duration::from_secs(1), hang).await.is_err());
        }
        assert_eq!(read(&concurrency, 1, READ, 4, Ok(())).await, 4);
    }
}
