//! A page without a client: for whoever has the body of an answer.

use secrecy::SecretString;

use crate::list::Asked;
use crate::page::{self, Place};
use crate::redact::Forms;
use crate::text::readable;
use crate::{Filter, Page, PageError};

impl Page {
    /// Reads the body of an answer as the first page of a list of the violations of `rule_name`, which was asked for with
    /// `token`.
    ///
    /// # Errors
    ///
    /// It is no page, or the API says in it that it failed. What it says is as the server sent it.
    pub fn from_body(body: &[u8], rule_name: &str, token: &SecretString) -> Result<Self, PageError> {
        let text = readable(body.to_vec());
        let asked = Asked::failed(rule_name);
        page::read(&text, &asked, &Filter::default(), Place { number: 1, skip: 0 }, &Forms::of(token))
            .map(|(page, _)| page)
    }
}
