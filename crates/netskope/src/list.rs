//! A list, read page after page until one is empty.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use crate::page::{self, Place};
use crate::text::readable;
use crate::{Client, Error, Filter, Page, PageError};

/// A page that is too large is asked for again with an eighth of its rows.
const FEWER_ROWS: u32 = 8;

/// What a list is of.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The exact name of the control.
    pub(crate) rule_name: String,
    /// The account's twelve digits, where it is a list of what passes there, and not of what fails anywhere.
    pub(crate) passed_in: Option<String>,
}

impl Asked {
    /// What fails a control.
    pub(crate) fn failed(rule_name: &str) -> Self {
        Self { rule_name: rule_name.to_owned(), passed_in: None }
    }
}

/// The violations of one control at one moment, as they are being read.
///
/// A list that comes wrong is known by its rows: rows that say the same, byte for byte, on two pages are one row that
/// came twice. (Netskope lists a violation once for each profile and policy, but such rows differ in these, and within
/// one page nothing is concluded.)
#[derive(Debug)]
pub struct Violations {
    client: Client,
    asked: Asked,
    filter: Filter,
    as_of: i64,
    until: Instant,
    /// Where the next page begins.
    next: Place,
    /// How many rows a page is asked to have.
    limit: u32,
    /// A digest of each row so far.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// How many rows came that were on an earlier page.
    repeated: usize,
    /// How many requests may still be sent, where that is bounded. A retry is one, too.
    requests: Option<usize>,
    ended: bool,
}

impl Violations {
    pub(crate) fn new(client: Client, asked: Asked, as_of: i64, until: Instant) -> Self {
        let limit = client.options().page_size;
        Self {
            client,
            limit,
            asked,
            filter: Filter::default(),
            as_of,
            until,
            next: Place { number: 1, skip: 0 },
            seen: HashSet::new(),
            hasher: RandomState::new(),
            repeated: 0,
            requests: None,
            ended: false,
        }
    }

    /// The same list, of the filter's profile and policy alone.
    #[must_use]
    pub fn filtered(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }

    /// The same list, for which at most so many requests are sent, and none a second time.
    #[must_use]
    pub fn within(self, requests: usize) -> Self {
        Self { client: self.client.without_retries(), requests: Some(requests), ..self }
    }

    /// How many requests may still be sent; none where that is not bounded.
    pub fn requests_left(&self) -> Option<usize> {
        self.requests
    }

    /// Goes on with another token, with the page that was refused.
    pub fn set_token(&mut self, token: SecretString) {
        self.client = self.client.with_token(token);
    }

    /// The next page that has rows; none at the end of the list.
    ///
    /// # Errors
    ///
    /// The list is incomplete. The pages before the error are still correct. The list ends with the error, except where
    /// the token was refused: then the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        if self.ended {
            return Ok(None);
        }
        let page = self.next.number;
        let read = self.read().await.map_err(|source| {
            let source = source.cleaned(|text| self.client.redact(text));
            Error::Page { page, rule_name: self.asked.rule_name.clone(), source }
        });
        self.ended = match &read {
            Ok(page) => page.is_none(),
            Err(error) => !error.is_refused(),
        };
        read
    }

    async fn read(&mut self) -> Result<Option<Page>, PageError> {
        let body = self.body().await?;
        let bytes = body.len();
        let (text, forms) = (readable(body), self.client.forms());
        let (page, rows) = page::read(&text, &self.asked, &self.filter, self.next, &forms)?;
        let page = Page { bytes, ..page };
        if page.received == 0 {
            return if self.repeated == 0 { Ok(None) } else { Err(PageError::Overlaps(self.repeated)) };
        }
        self.compare(&rows, page.received)?;
        self.next = self.next.after(page.received);
        let options = self.client.options();
        if page.number > options.max_pages || self.next.skip > options.max_rows {
            return Err(PageError::Endless { pages: page.number, rows: self.next.skip });
        }
        Ok(Some(page))
    }

    /// The body of the next page. If it is too large, the same rows are asked for in smaller pages, so that one large
    /// row does not cost the others.
    async fn body(&mut self) -> Result<Vec<u8>, PageError> {
        loop {
            if let Some(left) = &mut self.requests {
                *left = left.checked_sub(1).ok_or(PageError::OutOfRequests)?;
            }
            let page = self.client.page(&self.asked, &self.filter, self.as_of, self.next, self.limit);
            let Ok(body) = timeout_at(self.until, page).await else {
                let Place { number, skip } = self.next;
                return Err(PageError::OutOfTime { pages: number.saturating_sub(1), rows: skip });
            };
            match body {
                Err(error @ PageError::TooLarge { .. }) if self.limit > 1 => {
                    self.limit = (self.limit / FEWER_ROWS).max(1);
                    let (page, limit) = (self.next.number, self.limit);
                    tracing::warn!(page, %error, limit, "the page is too large; the next request asks for fewer rows");
                }
                body => return body,
            }
        }
    }

    /// Compares the rows of a page of `received` with all that were on earlier ones.
    fn compare(&mut self, rows: &[&str], received: usize) -> Result<(), PageError> {
        let digests: Vec<_> = rows.iter().map(|row| self.hasher.hash_one(row)).collect();
        let repeated = digests.iter().filter(|digest| self.seen.contains(digest)).count();
        if repeated == received {
            return Err(PageError::Repeats);
        }
        self.repeated += repeated;
        self.seen.extend(digests);
        Ok(())
    }
}
