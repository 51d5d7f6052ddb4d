//! The central account in one region, as it is deployed: what was polled, the records, the logs, the failures.

use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::MessageAttributeValue;
use remediation::{BatchId, Report, ReportedFinding};
use serde_json::Value;

use crate::account::Account;
use crate::deployment::PREFIX;
use crate::{ANSWER_WITHIN, Result, get};

/// The deployment of one region.
#[derive(Debug, Clone)]
pub struct Central {
    /// The central account in that region, with full rights.
    pub account: Account,
    /// The bucket of findings, plans and reports.
    pub bucket: String,
    prefix: &'static str,
}

/// What a region's deployment did.
#[derive(Debug)]
pub struct Done {
    /// The region's code.
    pub region: String,
    /// The poller's answer for each rule.
    pub polls: Vec<Value>,
    /// The reports with their keys.
    pub reports: Vec<(String, Report)>,
}

impl Done {
    /// The findings of all reports: those that no earlier report has in full.
    pub fn findings(&self) -> impl Iterator<Item = &ReportedFinding> {
        self.reports.iter().flat_map(|(_, report)| &report.findings)
    }

    /// What the poller answered for a rule.
    pub fn poll(&self, rule: &str) -> Option<&Value> {
        self.polls.iter().find(|poll| poll["rule"] == rule)
    }
}

impl Central {
    /// The deployment in an account and a region, under the names that Terraform gives it by default.
    pub fn of(account: Account) -> Self {
        Self::new(account, PREFIX)
    }

    pub(crate) fn new(account: Account, prefix: &'static str) -> Self {
        let bucket = format!("{prefix}-{}-{}", account.id, account.region);
        Self { account, bucket, prefix }
    }

    /// Waits until `rules` rules were polled for and each batch has its report.
    pub(crate) async fn done(&self, rules: usize, end: Instant) -> Result<Done> {
        loop {
            let polls = self.polls().await?;
            let reports = if polls.len() < rules { Vec::new() } else { self.reports().await? };
            let batches: u64 = polls.iter().filter_map(|poll| poll["batches"].as_u64()).sum();
            let region = self.account.region.clone();
            if polls.len() >= rules && reports.len() as u64 >= batches {
                return Ok(Done { region, polls, reports });
            }
            if Instant::now() > end {
                return Err(format!("{region} is not done: the polls {polls:?}, the reports {reports:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits for the report of a batch.
    ///
    /// # Errors
    ///
    /// It does not come in time, or cannot be read.
    pub async fn report(&self, id: &BatchId, within: Duration) -> Result<Report> {
        let (key, end) = (id.report_key(), Instant::now() + within);
        while self.account.keys(&self.bucket, &key).await?.is_empty() {
            if Instant::now() > end {
                return Err(format!("no report {key}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(serde_json::from_value(self.account.json(&self.bucket, &key).await?)?)
    }

    /// The state of each alarm, by its name, as the metrics are now.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn alarms(&self) -> Result<Value> {
        let Account { id, region, config, .. } = &self.account;
        let url = config.endpoint_url().ok_or("there is no emulator")?;
        let put = reqwest::Client::new().put(format!("{url}/_remediation/alarms/{id}/{region}"));
        Ok(serde_json::from_str(&put.timeout(ANSWER_WITHIN).send().await?.error_for_status()?.text().await?)?)
    }

    /// Everything that a function has logged so far; LocalStack ships a log when the invocation has ended.
    ///
    /// # Errors
    ///
    /// CloudWatch Logs refuses.
    pub async fn log_lines(&self, function: &str) -> Result<Vec<String>> {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&self.account.config);
        let group = format!("/aws/lambda/{}-{function}", self.prefix);
        let pages = logs.filter_log_events().log_group_name(&group).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await?;
        let events = pages.iter().flat_map(|page| page.events());
        Ok(events.filter_map(|event| event.message()).map(|line| line.trim().to_owned()).collect())
    }

    /// How many messages wait in the queue of failures.
    /// <https://docs.localstack.cloud/aws/services/sqs/#developer-endpoints>
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn failures(&self) -> Result<usize> {
        Ok(self.failed().await?.matches("<Message>").count())
    }

    /// What waits in the queue of failures, as XML.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn failed(&self) -> Result<String> {
        self.messages("failures").await
    }

    /// Sends a message to the queue of failures, as a service does that says the rest in attributes.
    ///
    /// # Errors
    ///
    /// SQS refuses.
    pub async fn fail(&self, body: &str, attributes: &[(&str, &str)]) -> Result<()> {
        let sqs = aws_sdk_sqs::Client::new(&self.account.config);
        let queue = sqs.get_queue_url().queue_name(format!("{}-failures", self.prefix)).send().await?.queue_url;
        let mut send = sqs.send_message().queue_url(queue.ok_or("GetQueueUrl gave none")?).message_body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value).build()?;
            send = send.message_attributes(*name, value);
        }
        send.send().await?;
        Ok(())
    }

    /// What waits in the queue of batches that were too old, as XML.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn too_old(&self) -> Result<String> {
        self.messages("too-old").await
    }

    /// Tells of an event that Lambda has dropped, as Lambda does.
    ///
    /// # Errors
    ///
    /// EventBridge refuses.
    pub async fn tell_dropped(&self, record: &Value) -> Result<()> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(format!("{}-failures", self.prefix))
            .source("lambda")
            .detail_type("Lambda Function Invocation Result - Failure")
            .detail(record.to_string());
        let events = aws_sdk_eventbridge::Client::new(&self.account.config);
        let answer = events.put_events().entries(entry.build()).send().await?;
        if answer.failed_entry_count > 0 { Err(format!("{answer:?}").into()) } else { Ok(()) }
    }

    /// What waits in the queue of overrides of the policy, as XML.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn overrides(&self) -> Result<String> {
        self.messages("overrides").await
    }

    /// What was sent to people so far, to a chat and to mailboxes, where a queue listens.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn told(&self) -> Result<Vec<String>> {
        let messages = self.messages("messages").await?;
        let bodies = messages.split("<Body>").skip(1).filter_map(|rest| rest.split("</Body>").next());
        let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#10;", "\n"), ("&amp;", "&")];
        let plain = |body: &str| entities.iter().fold(body.to_owned(), |text, (from, to)| text.replace(from, to));
        Ok(bodies.map(plain).collect())
    }

    /// Has the poller poll for a rule, and gives its answer; an error's text where the invocation failed.
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn poll_for(&self, rule: &str, within: Duration) -> Result<Result<Value, String>> {
        let Account { id, region, config, .. } = &self.account;
        let url = config.endpoint_url().ok_or("there is no emulator")?;
        let credential = format!("{id}/20260101/{region}/lambda/aws4_request");
        let invoked = reqwest::Client::new()
            .post(format!("{url}/2015-03-31/functions/{}-poller/invocations", self.prefix))
            .header(
                "Authorization",
                format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
            )
            .body(serde_json::json!({"rule": rule}).to_string());
        let answer = invoked.timeout(within).send().await?.error_for_status()?;
        let failed = answer.headers().contains_key("X-Amz-Function-Error");
        let text = answer.text().await?;
        Ok(if failed { Err(text) } else { Ok(serde_json::from_str(&text)?) })
    }

    /// Has Lambda throttle an invocation of a function, which it lets be invoked again afterwards.
    ///
    /// # Errors
    ///
    /// It is invoked all the same, or the emulator does not answer.
    pub async fn throttle(&self, function: &str) -> Result<()> {
        let config = aws_sdk_lambda::config::Builder::from(&self.account.config);
        let lambda = aws_sdk_lambda::Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
        let name = format!("{}-{function}", self.prefix);
        lambda.put_function_concurrency().function_name(&name).reserved_concurrent_executions(0).send().await?;
        let invoked = lambda.invoke().function_name(&name).send().await;
        lambda.delete_function_concurrency().function_name(&name).send().await?;
        match invoked.map_err(aws_sdk_lambda::Error::from) {
            Err(aws_sdk_lambda::Error::TooManyRequestsException(_)) => Ok(()),
            other => Err(format!("{function} was not throttled: {other:?}").into()),
        }
    }

    async fn messages(&self, queue: &str) -> Result<String> {
        let Account { id, region, config, .. } = &self.account;
        let url = config.endpoint_url().ok_or("there is no emulator")?;
        get(&format!("{url}/_aws/sqs/messages/{region}/{id}/{}-{queue}", self.prefix)).await
    }

    /// What the poller answered, from its log.
    async fn polls(&self) -> Result<Vec<Value>> {
        let lines = self.log_lines("poller").await?;
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let answers = lines.filter(|line| line["message"] == "poll done");
        answers.map(|line| Ok(serde_json::from_str(line["answer"].as_str().unwrap_or_default())?)).collect()
    }

    async fn reports(&self) -> Result<Vec<(String, Report)>> {
        let mut reports = Vec::new();
        for key in self.account.keys(&self.bucket, "reports/").await? {
            let report: Report = serde_json::from_value(self.account.json(&self.bucket, &key).await?)?;
            reports.push((key, report));
        }
        Ok(reports)
    }
}
