//! What people are told of the deployed pipeline: the events go by Terraform's rules to its topics, and from these to a queue
//! that stands for a chat and a mailbox.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use testkit::deployment::Environment;

use super::{PATIENCE, Pipeline};

/// What the titles of the messages of runs say, each of which something before this has caused.
const OF_RUNS: [&str; 5] = ["for approval", "fixed", "not fixed", "fought over", "contests the fix"];

impl Pipeline {
    /// An operator pauses everything, and sends the tests: by then each kind has been told but that a grace begins, which
    /// is among the tests.
    pub(super) async fn tells_people_what_became_of_batches(&self, operator: &Environment) {
        let records = self.place("");
        let pause = ["pause", "--records", records.trim_end_matches('/'), "--reason", "ticket 4711"];
        let (code, paused) = self.command(operator, &pause).await;
        assert_eq!(code, Some(0), "{paused}");
        let resume = ["resume", "--records", records.trim_end_matches('/'), "--all"];
        assert_eq!(self.command(operator, &resume).await.0, Some(0));
        let test = ["notify", "--test", "--records", records.trim_end_matches('/')];
        let (code, tested) = self.command(operator, &test).await;
        let all = json!({"event_bus": "default", "sent": 7, "taken": 7, "refused": []});
        assert_eq!((code, tested), (Some(0), all));

        let (mails, chats) = self.messages_with("[TEST] Everything is paused").await;
        let (mut first_of_kind, mut titles) = (BTreeSet::new(), Vec::new());
        for mail in &mails {
            let lines: Vec<_> = mail.lines().collect();
            assert!(lines.len() == 6 && lines.iter().all(|line| line.len() > 4 && is_quoted(line)), "{mail}");
            assert!(lines[5].starts_with("\"To copy: autoremediate "), "{mail}");
            let kind = lines[0].split_once(": ").map_or(lines[0], |(_, what)| what);
            if first_of_kind.insert(kind.trim_start_matches(|letter: char| !letter.is_alphabetic()).to_owned()) {
                println!("{mail}\n");
            }
            titles.push(lines[0].trim_matches('"').to_owned());
        }
        for chat in &chats {
            assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")), "{chat}");
            let steps = chat["content"]["nextSteps"].as_array().unwrap();
            assert!(steps[0].as_str().unwrap().starts_with("`autoremediate "), "{chat}");
        }
        println!("{}", serde_json::to_string_pretty(&chats[0]).unwrap());
        for said in OF_RUNS {
            let told = titles.iter().filter(|title| !title.starts_with("[TEST]") && title.contains(said));
            assert!(told.count() > 0, "nobody was told of {said}: {titles:?}");
        }
        assert_eq!(titles.iter().filter(|title| title.as_str() == "Everything is paused").count(), 1, "{titles:?}");
        assert_eq!(titles.iter().filter(|title| title.starts_with("[TEST]")).count(), 7, "{titles:?}");
        let mut of_chats: Vec<_> = chats.iter().map(|chat| chat["content"]["title"].as_str().unwrap()).collect();
        of_chats.sort_unstable();
        titles.sort_unstable();
        assert_eq!(of_chats, titles, "a chat and a mailbox are told the same");
    }

    /// The mails and the chats' notifications, once this title is among both.
    async fn messages_with(&self, title: &str) -> (Vec<String>, Vec<Value>) {
        let end = Instant::now() + PATIENCE;
        loop {
            let bodies = self.deployment.home().told().await.unwrap();
            let (chats, mails): (Vec<_>, Vec<_>) = bodies.into_iter().partition(|body| body.starts_with('{'));
            if [&chats, &mails].iter().all(|of| of.iter().any(|body| body.contains(title))) {
                let chats = chats.iter().map(|chat| serde_json::from_str(chat).unwrap()).collect();
                return (mails, chats);
            }
            assert!(Instant::now() < end, "{title} did not arrive: {chats:?} {mails:?}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

/// Whether the line is between quotes, as EventBridge leaves it, with none of its own.
fn is_quoted(line: &str) -> bool {
    line.starts_with('"') && line.ends_with('"') && line.matches('"').count() == 2
}
