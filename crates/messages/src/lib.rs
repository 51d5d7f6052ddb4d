//! What people are told: one EventBridge event for what a batch has come to, or for a pause of everything.
//!
//! A rule's Lambda stores the report of a batch, and then tells what it says: that plans wait, that resources were fixed,
//! that some failed, that some are fought over, that the grace of some begins. Each of these is one event a batch, however
//! many findings it is about: a [`Message`] counts them all and names the first. The command line tells a pause of
//! everything when it has stored it, since a pause is stored once and is met by every batch after that.
//!
//! A message is made by a pure function ([`of_report`], [`of_pause`]), so that what is told follows from what is stored, and
//! is sent by a [`Bus`]. It is no part of the work: one that cannot be sent is logged, and stops nothing.
//!
//! Its detail has the facts for programs, and the same as texts for people: lines for an e-mail, and the form that Amazon Q
//! Developer in chat applications shows. So the rules of EventBridge that pass it on only choose, and compose nothing.
//! EventBridge puts a value into a line of text as it is, so the texts hold nothing that would have to be escaped there:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-issues>

mod bus;
mod chat;
mod detail;
mod make;
mod samples;
mod text;

pub use bus::{Bus, BusError, DEFAULT_BUS, Refused, Sent};
pub use chat::{Chat, ChatContent, ChatMetadata};
pub use detail::{AccountCount, DETAIL_SCHEMA, Detail, Kind, Message, PauseTold, ResourceTold, SOURCE, Text, schema};
pub use make::{of_pause, of_report};
pub use samples::samples;
