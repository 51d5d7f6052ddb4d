//! With which session a call is signed, so that one which has ended is not used again.

use std::cell::RefCell;

use super::Result;

tokio::task_local! {
    static SIGNING: RefCell<Signing>;
}

/// Sessions by their access key IDs.
#[derive(Default)]
struct Signing {
    /// That with which the last try was signed, where it is one that can be renewed.
    with: Option<String>,
    /// One that AWS says has ended.
    ended: Option<String>,
}

/// Tries a step, and again, once, with a new session, where AWS says that the one it was signed with has ended.
pub(super) async fn again_if_ended<T, F>(step: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let first = async {
        let result = step().await;
        (result, SIGNING.with(|signing| signing.take().with))
    };
    match SIGNING.scope(RefCell::default(), first).await {
        (Err(error), Some(ended)) if error.is_of_ended_session() => {
            tracing::info!(%error, "the session has ended; the call is tried again with a new one");
            let signing = Signing { with: None, ended: Some(ended) };
            SIGNING.scope(RefCell::new(signing), step()).await
        }
        (result, _) => result,
    }
}

/// Says that the try under way is signed with the session of this access key. What is called outside of
/// [`again_if_ended`] is tried once.
pub(super) fn signs_with(access_key: &str) {
    let _ = SIGNING.try_with(|signing| signing.borrow_mut().with = Some(access_key.to_owned()));
}

/// Whether the try under way knows that the session of this access key has ended.
pub(super) fn has_ended(access_key: &str) -> bool {
    let is_it = |signing: &RefCell<Signing>| signing.borrow().ended.as_deref() == Some(access_key);
    SIGNING.try_with(is_it).unwrap_or(false)
}
